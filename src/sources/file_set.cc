#include "sources/file_set.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

namespace lateen::sources {

namespace {

namespace fs = std::filesystem;

bool is_manifest_name(const std::string& name) {
  return !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

std::int64_t nanoseconds(const timespec& time) { return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

model::ReadResult unreadable(const std::string& path, std::string code, std::string message, std::string fix) {
  model::ReadResult result;
  result.problems.push_back({std::move(code), Severity::kError,
                             Origin{.file = path, .line = 0, .column = 0, .object = {}, .field_path = {}},
                             std::move(message), std::move(fix)});
  return result;
}

bool has_error(const model::ReadResult& content) { return has_errors(content.problems); }

// Positions that did not move and content that did not change make the same object: whoever holds it may keep it.
bool same_object(const model::Object& a, const model::Object& b) {
  return a.content_hash == b.content_hash && a.positions == b.positions && a.yaml == b.yaml;
}

}  // namespace

FileSet::FileSet(std::vector<std::string> paths, FirstSeen first_seen)
    : paths_(std::move(paths)), first_seen_(std::move(first_seen)) {}

void FileSet::list_folder(const std::string& folder, int depth, Listing& listing) {
  folders_.insert(folder);
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.')) continue;
    struct stat info {};
    if (::stat(it->path().c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      if (depth < kFolderDepthMax) list_folder(it->path().string(), depth + 1, listing);
    } else if (S_ISREG(info.st_mode) && is_manifest_name(name) && listing.size() <= kFilesMax) {
      listing[it->path().string()] = {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                                      nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
    }
  }
}

FileSet::Listing FileSet::list() {
  Listing listing;
  folders_.clear();
  for (const std::string& path : paths_) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      folders_.insert(fs::path(path).parent_path().empty() ? "." : fs::path(path).parent_path().string());
      continue;
    }
    if (S_ISDIR(info.st_mode)) {
      list_folder(path, 0, listing);
      continue;
    }
    folders_.insert(fs::path(path).parent_path().empty() ? "." : fs::path(path).parent_path().string());
    listing[path] = {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
                     nanoseconds(info.st_ctim)};
  }
  return listing;
}

model::ReadResult FileSet::read(const std::string& path) const {
  std::ifstream input(path, std::ios::binary);
  if (!input) return unreadable(path, "LTN0903", "cannot be read", "make the file readable for the user that runs the mesh");
  std::string text;
  text.assign(std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>());
  if (text.size() > kFileBytesMax)
    return unreadable(path, "LTN0905", "is larger than " + std::to_string(kFileBytesMax >> 20) + " MiB", "split the file");
  return model::read_manifests(text, path);
}

// Fewer objects than before, or an error that was not there: perhaps the writer is not done.
bool FileSet::loses(const std::string& path, const model::ReadResult& content) const {
  const auto known = files_.find(path);
  if (known == files_.end()) return has_error(content);
  if (has_error(content) && !has_error(known->second.content)) return true;
  return std::any_of(known->second.content.objects.begin(), known->second.content.objects.end(), [&](const auto& before) {
    return std::none_of(content.objects.begin(), content.objects.end(),
                        [&](const auto& now) { return now->key() == before->key(); });
  });
}

void FileSet::take(const std::string& path, const Stamp& stamp, model::ReadResult content, WallTime now) {
  const auto known = files_.find(path);
  for (model::ObjectPtr& object : content.objects) {
    object = with_created(object, first_seen_.try_emplace(object->key(), now).first->second);
    if (known == files_.end()) continue;
    for (const model::ObjectPtr& before : known->second.content.objects)
      if (before->key() == object->key() && same_object(*before, *object)) object = before;
  }
  files_[path] = {path, std::move(content)};
  taken_[path] = stamp;
}

FileSet::Outcome FileSet::scan(WallTime now, Trust trust) {
  const Listing listing = list();
  Listing doubted;
  bool changed = false;
  const auto believed = [&](const std::string& path, const Stamp& stamp) {
    const auto before = doubted_.find(path);
    return trust == Trust::kAll || (before != doubted_.end() && before->second == stamp);
  };
  for (const auto& [path, stamp] : listing) {
    const auto known = taken_.find(path);
    if (known != taken_.end() && known->second == stamp) continue;
    model::ReadResult content = listing.size() > kFilesMax
        ? unreadable(path, "LTN0906", "is one of more than " + std::to_string(kFilesMax) + " files", "follow fewer files")
        : read(path);
    if (!believed(path, stamp) && loses(path, content)) {
      doubted[path] = stamp;
      continue;
    }
    take(path, stamp, std::move(content), now);
    changed = true;
  }
  for (auto it = files_.begin(); it != files_.end();) {
    const std::string& path = it->first;
    if (listing.contains(path)) {
      ++it;
    } else if (!believed(path, Stamp{})) {
      doubted[path] = Stamp{};
      ++it;
    } else {
      taken_.erase(path);
      it = files_.erase(it);
      changed = true;
    }
  }
  doubted_ = std::move(doubted);
  if (doubted_.empty()) return changed ? Outcome::kChanged : Outcome::kSame;
  return changed ? Outcome::kChangedAndUnsure : Outcome::kUnsure;
}

}  // namespace lateen::sources
