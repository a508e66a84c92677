// LoopThread: an EpollLoop on a thread of its own. Made, called and destroyed by one other thread, its owner.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "net/epoll_loop.h"

namespace lateen::net {

// How many threads can run at once; at least 1.
unsigned core_count();

class LoopThread {
 public:
  // Starts the thread; its loop runs until destruction. Errors: kSystem.
  static Result<std::unique_ptr<LoopThread>> start(const EpollLoop::Options& options);
  // Stops the loop after its current round and joins the thread. What lives on the loop must be gone: see call().
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  // Only its mailbox may be used from outside.
  EpollLoop& loop() { return *loop_; }
  // Runs `work` on the loop's thread, between two events, and waits until it has run.
  void call(const std::function<void()>& work);

 private:
  explicit LoopThread(std::unique_ptr<EpollLoop> loop);

  std::unique_ptr<EpollLoop> loop_;
  std::thread thread_;
};

}  // namespace lateen::net
