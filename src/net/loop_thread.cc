#include "net/loop_thread.h"

#include <algorithm>
#include <latch>

#include <csignal>
#include <pthread.h>

namespace lateen::net {

unsigned core_count() { return std::max(1U, std::thread::hardware_concurrency()); }

Result<std::unique_ptr<LoopThread>> LoopThread::start(const EpollLoop::Options& options) {
  LATEEN_TRY(std::unique_ptr<EpollLoop> loop, EpollLoop::create(options));
  return std::unique_ptr<LoopThread>(new LoopThread(std::move(loop)));
}

LoopThread::LoopThread(std::unique_ptr<EpollLoop> loop) : loop_(std::move(loop)) {
  // Signals belong to the owner's thread: the new one inherits a mask that blocks them all.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop_->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LoopThread::~LoopThread() {
  loop_->mailbox().post([this] { loop_->stop(); });
  thread_.join();
}

void LoopThread::call(const std::function<void()>& work) {
  std::latch done(1);
  loop_->mailbox().post([&] {
    work();
    done.count_down();
  });
  done.wait();
}

}  // namespace lateen::net
