#include "cli/signals.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/descriptor.h"

namespace lateen::cli {

namespace {

class SignalDescriptor final : public Signals, private net::FdEvents {
 public:
  SignalDescriptor(net::EpollLoop& loop, net::Descriptor descriptor, std::function<void(int)> on_signal)
      : loop_(loop), descriptor_(std::move(descriptor)), on_signal_(std::move(on_signal)) {}
  ~SignalDescriptor() override {
    if (watched_) loop_.remove_fd(token_, descriptor_.get());
  }

  Result<void> watch() {
    LATEEN_TRY(token_, loop_.add_fd(descriptor_.get(), EPOLLIN, *this));
    watched_ = true;
    return {};
  }

 private:
  void on_fd_events(std::uint32_t) override {
    signalfd_siginfo info{};
    if (::read(descriptor_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    on_signal_(static_cast<int>(info.ssi_signo));
  }

  net::EpollLoop& loop_;
  net::Descriptor descriptor_;
  std::function<void(int)> on_signal_;
  net::FdToken token_;
  bool watched_ = false;
};

}  // namespace

Result<std::unique_ptr<Signals>> Signals::watch(net::EpollLoop& loop, std::initializer_list<int> signals,
                                                std::function<void(int)> on_signal) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return fail(ErrorCode::kSystem, "cannot block signals");
  net::Descriptor descriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!descriptor.valid()) return fail(ErrorCode::kSystem, std::string("signalfd: ") + std::strerror(errno));
  auto watching = std::make_unique<SignalDescriptor>(loop, std::move(descriptor), std::move(on_signal));
  LATEEN_TRY_VOID(watching->watch());
  return watching;
}

}  // namespace lateen::cli
