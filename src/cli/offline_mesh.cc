#include "cli/offline_mesh.h"

#include <filesystem>

#include "cli/object_rows.h"
#include "model/supported.h"
#include "sources/file_set.h"
#include "sources/join.h"

namespace lateen::cli {

Result<OfflineMesh> load_offline(const std::vector<std::string>& paths, const model::MeshConfig& config) {
  std::vector<std::string> on_disk, streams;
  for (const std::string& path : paths) {
    if (path == "-") {
      streams.push_back(path);
      continue;
    }
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return fail(ErrorCode::kNotFound, "there is no file or folder " + path);
    on_disk.push_back(path);
  }
  sources::FileSet set(on_disk, {});
  // All of one age: then the name decides who is older, as with istiod's files.
  set.scan(WallTime{}, sources::FileSet::Trust::kAll);
  std::map<std::string, sources::Directory::File> files = set.files();
  LATEEN_TRY(const std::vector<NamedText> texts, read_manifest_files(streams));
  for (const NamedText& text : texts) files["-"] = {"-", model::read_supported_manifests(text.text, "-")};
  sources::Joined joined = sources::join({files, {}, {}, {}});
  OfflineMesh mesh;
  mesh.files = files.size();
  mesh.admission = admit::admit({}, {joined.objects, joined.problems, joined.unreadable, config});
  mesh.problems = std::move(joined.problems);
  mesh.ignored = std::move(joined.ignored);
  return mesh;
}

}  // namespace lateen::cli
