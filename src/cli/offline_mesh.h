// A mesh out of files alone, for the commands that need no running one.
#pragma once

#include <string>
#include <vector>

#include "admit/admit.h"
#include "base/diagnostics.h"
#include "model/mesh.h"
#include "model/read.h"

namespace lateen::cli {

struct OfflineMesh {
  admit::Admission admission;
  std::vector<Diagnostic> problems;           // of reading, and objects that are defined twice
  std::vector<model::Ignored> ignored;
  std::size_t files = 0;
};

// Folders are read as `lateen run` reads them; "-" is standard input. Errors: kNotFound where a path does not exist.
Result<OfflineMesh> load_offline(const std::vector<std::string>& paths, const model::MeshConfig& config);

}  // namespace lateen::cli
