// Starting one program and looking after it: signals as events, its exit, and the end of all that it started.
//
// Only for a process with one thread.
#pragma once

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/descriptor.h"

namespace lateen::net {

// Signals that arrive as data from now on; destroying it restores the mask.
class SignalWatch {
 public:
  struct Signal {
    int number = 0;
    bool from_terminal = false;  // the kernel sent it to the whole foreground group (Ctrl-C, a change of size)
  };

  static Result<SignalWatch> open(const std::vector<int>& signals);
  SignalWatch(SignalWatch&&) noexcept = default;
  SignalWatch& operator=(SignalWatch&&) = delete;
  ~SignalWatch();

  int descriptor() const { return descriptor_.get(); }
  std::optional<Signal> read();
  // In a child: the mask as it was before open().
  void restore_mask() const;

 private:
  SignalWatch(Descriptor descriptor, const sigset_t& before) : descriptor_(std::move(descriptor)), before_(before) {}
  Descriptor descriptor_;
  sigset_t before_;
};

// Exit codes of a program that could not be started, as in a shell.
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

// Forks. The child dies when this process dies; it calls `prepare` and becomes what that returns (exit code).
// Returns the child's process id.
Result<int> fork_child(const std::function<int()>& child);
// Becomes the program, found by PATH. When that fails: says so on standard error, returns kExitNotFound or kExitNotExecutable.
int become(const std::vector<std::string>& command);

// Becomes this same program with other arguments (without the program's name). Returns like become().
int become_self(const std::vector<std::string>& args);
// The path of this program. Empty when /proc does not tell.
std::string own_path();

// Orphans among our descendants come to us instead of to init.
void adopt_orphans();

struct ChildEvent {
  int pid = 0;
  bool ended = false;    // else it was stopped
  int exit_code = 0;     // 128 + n when it was ended by signal n
  int stop_signal = 0;
};
// What has happened to a child since the last call. Nothing: nothing has.
std::optional<ChildEvent> next_child_event();

// Ends every descendant that is left: SIGTERM, and SIGKILL to what is still there after a moment (half a second at most).
// Without adopt_orphans() only direct children are known.
void end_descendants();

}  // namespace lateen::net
