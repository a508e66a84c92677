#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <unistd.h>

#include "sources/sources.h"
#include "sources/stored_object.h"

namespace lateen::sources {

model::ObjectPtr with_created(const model::ObjectPtr& object, WallTime created) {
  if (object->meta.created) return object;
  model::Object copy = *object;
  copy.meta.created = created;
  return std::make_shared<const model::Object>(std::move(copy));
}

namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> system_failure(const std::string& what, const std::string& path) {
  return fail(ErrorCode::kSystem, what + " " + path + ": " + std::strerror(errno));
}

// The file is whole or not there: written beside its place, made durable, then renamed.
Result<void> write_durably(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return system_failure("cannot write", temporary);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      auto failure = system_failure("cannot write", temporary);
      ::close(file);
      return failure;
    }
    written += static_cast<std::size_t>(count);
  }
  const bool durable = ::fsync(file) == 0;
  ::close(file);
  if (!durable || ::rename(temporary.c_str(), path.c_str()) != 0) return system_failure("cannot store", path);
  return {};
}

// A rename or a removal lasts only when its folder is on disk too.
void sync_folder(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

class Store final : public AppliedStore {
 public:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}

  Result<void> load() {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return fail(ErrorCode::kSystem, "cannot make the state folder " + folder_ + ": " + error.message());
    fs::permissions(folder_, fs::perms::owner_all, error);
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
      if (entry.path().extension() != ".yaml") continue;
      load_file(entry.path().string());
    }
    if (error) return fail(ErrorCode::kSystem, "cannot read the state folder " + folder_ + ": " + error.message());
    return {};
  }

  const std::map<model::Key, model::ObjectPtr>& objects() const override { return objects_; }
  std::vector<Diagnostic> problems() const override { return problems_; }

  Result<void> put(const model::ObjectPtr& object) override {
    const model::Key key = object->key();
    const auto known = objects_.find(key);
    model::Object copy = *object;
    if (known != objects_.end()) copy.meta.created = known->second->meta.created;
    if (!copy.meta.created)
      return fail(ErrorCode::kInvalidConfig, "an applied object needs its time of creation", object->origin());
    return keep(key, std::move(copy));
  }

  Result<void> set_created(const model::Key& key, WallTime created) override {
    const auto known = objects_.find(key);
    if (known == objects_.end()) return fail(ErrorCode::kNotFound, model::to_string(key) + " was not applied");
    model::Object copy = *known->second;
    copy.meta.created = created;
    return keep(key, std::move(copy));
  }

  Result<bool> remove(const model::Key& key) override {
    const auto known = objects_.find(key);
    if (known == objects_.end()) return false;
    if (!folder_.empty()) {
      const std::string path = folder_ + "/" + stored_file_name(key);
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_failure("cannot remove", path);
      sync_folder(folder_);
    }
    objects_.erase(known);
    return true;
  }

 private:
  Result<void> keep(const model::Key& key, model::Object object) {
    if (!folder_.empty()) {
      LATEEN_TRY_VOID(write_durably(folder_ + "/" + stored_file_name(key), stored_text(object)));
      sync_folder(folder_);
    }
    objects_[key] = std::make_shared<const model::Object>(std::move(object));
    return {};
  }

  void load_file(const std::string& path) {
    std::ifstream input(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
    auto stored = parse_stored(text, path);
    if (!stored) {
      problems_.push_back({"LTN0904", Severity::kError, stored.error().origin, stored.error().message,
                           "remove the file, or apply the object again"});
      return;
    }
    objects_[(*stored)->key()] = *stored;
  }

  std::string folder_;  // empty: in memory only
  std::map<model::Key, model::ObjectPtr> objects_;
  std::vector<Diagnostic> problems_;
};

}  // namespace

Result<std::unique_ptr<AppliedStore>> AppliedStore::open(const std::string& directory) {
  auto store = std::make_unique<Store>(directory);
  if (!directory.empty()) LATEEN_TRY_VOID(store->load());
  return store;
}

}  // namespace lateen::sources
