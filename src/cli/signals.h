// Signals as events of a loop.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/result.h"
#include "net/epoll_loop.h"

namespace lateen::cli {

class Signals {
 public:
  // Blocks the signals for this thread and those that it starts later, and calls `on_signal` on the loop instead.
  static Result<std::unique_ptr<Signals>> watch(net::EpollLoop& loop, std::initializer_list<int> signals,
                                                std::function<void(int)> on_signal);
  virtual ~Signals() = default;
};

}  // namespace lateen::cli
