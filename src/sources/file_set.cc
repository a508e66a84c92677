#include "sources/file_set.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include "model/supported.h"

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

// File systems stamp with the kernel's tick, some milliseconds.
constexpr std::int64_t kHotNs = 100'000'000;

// FNV-1a, to see that a file was written anew with what it had.
std::uint64_t text_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

struct Text {
  bool readable = false;
  std::string bytes;
};
Text read_text(const std::string& path) {
  std::ifstream input(path, std::ios::binary);
  Text text;
  text.readable = static_cast<bool>(input);
  if (input) text.bytes.assign(std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>());
  return text;
}

bool has_error(const model::ReadResult& content) { return has_errors(content.problems); }

// Positions that did not move and content that did not change make the same object: whoever holds it may keep it.
bool same_object(const model::Object& a, const model::Object& b) {
  return a.content_hash == b.content_hash && a.positions == b.positions && a.yaml == b.yaml;
}

}  // namespace

FileSet::FileSet(std::vector<std::string> paths, FirstSeen first_seen)
    : paths_(std::move(paths)), first_seen_(std::move(first_seen)) {}

FileSet::Stamp FileSet::Stamp::of(const struct stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

void FileSet::list_folder(const std::string& folder, int depth, Listing& listing) {
  folders_.insert(folder);
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error) {
    if (error != std::errc::no_such_file_or_directory) unlistable_.insert(folder + "/");
    return;
  }
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.')) continue;
    struct stat info {};
    if (::stat(it->path().c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      if (depth < kFolderDepthMax) list_folder(it->path().string(), depth + 1, listing);
    } else if (S_ISREG(info.st_mode) && is_manifest_name(name) && listing.size() <= kFilesMax) {
      listing[it->path().string()] = Stamp::of(info);
    }
  }
}

FileSet::Listing FileSet::list() {
  Listing listing;
  folders_.clear();
  unlistable_.clear();
  for (const std::string& path : paths_) {
    const fs::path parent = fs::path(path).parent_path();
    struct stat info {};
    const bool there = ::stat(path.c_str(), &info) == 0;
    if (there && S_ISDIR(info.st_mode)) {
      list_folder(path, 0, listing);
      continue;
    }
    folders_.insert(parent.empty() ? "." : parent.string());
    if (there) listing[path] = Stamp::of(info);
  }
  return listing;
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

void FileSet::take(const std::string& path, model::ReadResult content, WallTime now) {
  const auto known = files_.find(path);
  for (model::ObjectPtr& object : content.objects) {
    object = with_created(object, first_seen_.try_emplace(object->key(), now).first->second);
    if (known == files_.end()) continue;
    for (const model::ObjectPtr& before : known->second.content.objects)
      if (before->key() == object->key() && same_object(*before, *object)) object = before;
  }
  files_[path] = {path, std::move(content)};
}

bool FileSet::believed(const std::string& path, const Stamp& stamp, Trust trust) const {
  const auto before = doubted_.find(path);
  return trust == Trust::kAll || (before != doubted_.end() && before->second == stamp);
}

bool FileSet::scan_file(const std::string& path, const Stamp& stamp, WallTime now, Trust trust, Listing& doubted) {
  const auto known = taken_.find(path);
  if (known != taken_.end() && known->second == stamp && !hot_.contains(path)) return false;
  model::ReadResult content;
  std::uint64_t hash = 0;
  if (listed_ > kFilesMax) {
    content = unreadable(path, "LTN0906", "is one of more than " + std::to_string(kFilesMax) + " files", "follow fewer files");
  } else if (stamp.size > kFileBytesMax) {
    content = unreadable(path, "LTN0905", "is larger than " + std::to_string(kFileBytesMax >> 20) + " MiB", "split the file");
  } else if (const Text text = read_text(path); text.readable) {
    hash = text_hash(text.bytes);
    if (known != taken_.end() && text_hashes_[path] == hash) {
      taken_[path] = stamp;
      hot_.erase(path);
      return false;
    }
    content = model::read_supported_manifests(text.bytes, path);
  } else {
    content = unreadable(path, "LTN0903", "cannot be read", "make the file readable for the user that runs the mesh");
  }
  if (!believed(path, stamp, trust) && loses(path, content)) {
    doubted[path] = stamp;
    return false;
  }
  take(path, std::move(content), now);
  taken_[path] = stamp;
  text_hashes_[path] = hash;
  if (now.time_since_epoch().count() - stamp.modified_ns < kHotNs)
    hot_.insert(path);
  else
    hot_.erase(path);
  return true;
}

bool FileSet::forget_vanished(const Listing& listing, Trust trust, Listing& doubted) {
  bool changed = false;
  for (auto it = files_.begin(); it != files_.end();) {
    const std::string path = it->first;
    const bool hidden = std::any_of(unlistable_.begin(), unlistable_.end(),
                                    [&](const std::string& folder) { return path.starts_with(folder); });
    if (listing.contains(path) || hidden) {
      ++it;
    } else if (!believed(path, Stamp{}, trust)) {
      doubted[path] = Stamp{};
      ++it;
    } else {
      taken_.erase(path);
      text_hashes_.erase(path);
      hot_.erase(path);
      it = files_.erase(it);
      changed = true;
    }
  }
  return changed;
}

FileSet::Outcome FileSet::scan(WallTime now, Trust trust) {
  const Listing listing = list();
  listed_ = listing.size();
  Listing doubted;
  bool changed = false;
  for (const auto& [path, stamp] : listing) changed |= scan_file(path, stamp, now, trust, doubted);
  changed |= forget_vanished(listing, trust, doubted);
  doubted_ = std::move(doubted);
  if (doubted_.empty() && hot_.empty()) return changed ? Outcome::kChanged : Outcome::kSame;
  return changed ? Outcome::kChangedAndUnsure : Outcome::kUnsure;
}

}  // namespace lateen::sources
