// ReadWatch: calls back while a descriptor can be read. For descriptors that are no Socket: signals, unix channels.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/epoll_loop.h"

namespace lateen::cli {

class ReadWatch final : public net::FdEvents {
 public:
  // `loop` must outlive the watch, and the descriptor too. Inside its own callback it must not be destroyed: use
  // Loop::defer.
  static Result<std::unique_ptr<ReadWatch>> start(net::EpollLoop& loop, int descriptor, std::function<void()> on_readable);
  ~ReadWatch() override;
  // Whether the callback is wanted for writing too.
  void also_writable(bool wanted);
  void on_fd_events(std::uint32_t events) override;

 private:
  ReadWatch(net::EpollLoop& loop, int descriptor, std::function<void()> on_readable)
      : loop_(loop), descriptor_(descriptor), on_readable_(std::move(on_readable)) {}
  net::EpollLoop& loop_;
  const int descriptor_;
  const std::function<void()> on_readable_;
  net::FdToken token_;
  bool registered_ = false;
};

}  // namespace lateen::cli
