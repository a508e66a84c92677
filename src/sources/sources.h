// Where objects come from, joined into one candidate: files that are followed, what was applied to the mesh, and the
// workloads that are registered for as long as they live.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"
#include "model/read.h"
#include "net/loop.h"

namespace lateen::sources {

// What is more is refused, with a problem that names the file or the folder.
inline constexpr std::size_t kFilesMax = 10'000;
inline constexpr std::size_t kFileBytesMax = 16 * 1024 * 1024;
inline constexpr int kFolderDepthMax = 16;

// When an object was first seen; kept over restarts by who owns the mesh, so that who is older stays the same.
using FirstSeen = std::map<model::Key, WallTime>;

// Follows files and directories (recursively; *.yaml, *.yml, *.json; names that begin with a dot are not looked at):
// atomic renames, in-place edits, new and removed files alike; a change is seen within some 100 ms. A file that
// lost documents or became unreadable is believed only when it stays so for kSettle: an editor may be half-way through.
class Directory {
 public:
  struct File {
    std::string path;                      // as the user named it, or below the folder that the user named
    model::ReadResult content;             // objects have meta.created: as written, or when they were first seen
  };
  static constexpr Duration kSettle = std::chrono::milliseconds(50);

  // Reads everything once; fails only where a named path does not exist. `on_change` is called on the loop, never from
  // inside open().
  static Result<std::unique_ptr<Directory>> open(net::Loop& loop, std::vector<std::string> paths,
                                                 std::function<void()> on_change, FirstSeen first_seen = {});
  virtual ~Directory() = default;
  virtual const std::map<std::string, File>& files() const = 0;
};

// Objects applied through the admin port, kept as files under a state directory (write, fsync, rename), with their
// creation time. An empty directory name keeps them in memory only.
class AppliedStore {
 public:
  static Result<std::unique_ptr<AppliedStore>> open(const std::string& directory);
  virtual ~AppliedStore() = default;
  virtual const std::map<model::Key, model::ObjectPtr>& objects() const = 0;
  // Durable when it returns. Keeps the creation time of an object that is there already; a new one must bring its own
  // (meta.created). `file` stays what the user named at the time, for messages.
  virtual Result<void> put(const model::ObjectPtr& object) = 0;
  // Gives an object another creation time, and with it another place in the order of precedence.
  virtual Result<void> set_created(const model::Key& key, WallTime created) = 0;
  virtual Result<bool> remove(const model::Key& key) = 0;   // false: was not there
  virtual std::vector<Diagnostic> problems() const = 0;     // of stored files that could not be read
};

// `object` with that creation time; itself where it has one already.
model::ObjectPtr with_created(const model::ObjectPtr& object, WallTime created);

}  // namespace lateen::sources
