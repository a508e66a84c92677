// Where objects come from, joined into one candidate: files that are followed, and what was applied to the mesh.
#pragma once

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

// Follows files and directories (recursively; *.yaml, *.yml, *.json): atomic renames, in-place edits, new and removed
// files alike. Needs a loop for inotify; changes are gathered for a few milliseconds and a half-written file is read
// again when it is complete. Never loses the last good content of a file that became unreadable.
class Directory {
 public:
  struct File {
    std::string path;                      // as the user named it
    model::ReadResult content;
  };
  // `on_change` is called on the loop, after the first full read (inside open()) never.
  static Result<std::unique_ptr<Directory>> open(net::Loop& loop, std::vector<std::string> paths,
                                                 std::function<void()> on_change);
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
  // Durable when it returns. Keeps the creation time of an object that is there already.
  virtual Result<void> put(const model::ObjectPtr& object) = 0;
  virtual Result<bool> remove(const model::Key& key) = 0;   // false: was not there
  virtual std::vector<Diagnostic> problems() const = 0;     // of stored files that could not be read
};

}  // namespace lateen::sources
