#include "net/process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lateen::net {

namespace {

constexpr int kTermRounds = 50;        // of kRoundMs: how long SIGTERM may take
constexpr int kKillRoundsMax = 100;    // SIGKILL needs one round a generation; a process in the kernel may need longer
constexpr int kRoundMs = 10;
constexpr std::size_t kChildrenMax = 4096;

std::vector<int> children() {
  std::vector<int> found;
  std::ifstream list("/proc/thread-self/children");
  int pid = 0;
  while (found.size() < kChildrenMax && list >> pid) found.push_back(pid);
  return found;
}

// False: no child is left.
bool reap() {
  for (;;) {
    const int pid = ::waitpid(-1, nullptr, WNOHANG);
    if (pid < 0) return errno != ECHILD;
    if (pid == 0) return true;
  }
}

// execvp() says EACCES also when it found nothing but a folder of PATH that it may not search.
bool exists_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return true;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/bin:/usr/bin");
  std::string folder;
  while (std::getline(folders, folder, ':')) {
    if (::access(((folder.empty() ? "." : folder) + "/" + name).c_str(), F_OK) == 0) return true;
  }
  return false;
}

}  // namespace

Result<SignalWatch> SignalWatch::open(const std::vector<int>& signals) {
  sigset_t wanted, before;
  sigemptyset(&wanted);
  for (const int signal : signals) sigaddset(&wanted, signal);
  if (::sigprocmask(SIG_BLOCK, &wanted, &before) < 0) return fail(ErrorCode::kSystem, std::string("sigprocmask: ") + std::strerror(errno));
  Descriptor descriptor(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor.valid()) return fail(ErrorCode::kSystem, std::string("signalfd: ") + std::strerror(errno));
  return SignalWatch(std::move(descriptor), before);
}

SignalWatch::~SignalWatch() {
  if (descriptor_.valid()) restore_mask();
}

void SignalWatch::restore_mask() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<SignalWatch::Signal> SignalWatch::read() {
  signalfd_siginfo info{};
  if (::read(descriptor_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return Signal{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

Result<int> fork_child(const std::function<int()>& child) {
  const int parent = ::getpid();
  const int pid = ::fork();
  if (pid < 0) return fail(ErrorCode::kSystem, std::string("fork: ") + std::strerror(errno));
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::_exit(child());
}

int become(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const int error = errno == EACCES && !exists_in_path(command.front()) ? ENOENT : errno;
  std::fprintf(stderr, "lateen: %s: %s\n", arguments[0], error == ENOENT ? "command not found" : std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? kExitNotFound : kExitNotExecutable;
}

int become_self(const std::vector<std::string>& args) {
  std::string name = "lateen";
  std::vector<char*> arguments{name.data()};
  for (const std::string& word : args) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  std::fprintf(stderr, "lateen: cannot start itself: %s\n", std::strerror(errno));
  return kExitNotExecutable;
}

std::string own_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::optional<ChildEvent> next_child_event() {
  int status = 0;
  const int pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
  if (pid <= 0) return std::nullopt;
  ChildEvent event;
  event.pid = pid;
  if (WIFSTOPPED(status)) {
    event.stop_signal = WSTOPSIG(status);
    return event;
  }
  event.ended = true;
  event.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return event;
}

void end_descendants() {
  if (!reap()) return;
  for (const int pid : children()) ::kill(pid, SIGTERM);
  for (int round = 0; round < kTermRounds; ++round) {
    if (!reap()) return;
    ::poll(nullptr, 0, kRoundMs);
  }
  for (int round = 0; round < kKillRoundsMax && reap(); ++round) {
    for (const int pid : children()) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, kRoundMs);
  }
}

}  // namespace lateen::net
