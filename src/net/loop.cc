#include "net/loop.h"

#include <algorithm>
#include <unistd.h>

#include "net/timer_wheel.h"

namespace lateen::net {

namespace {
constexpr Duration kDelayMax = std::chrono::hours(24) * 365 * 10;
}

Loop::Loop() = default;
Loop::~Loop() = default;

void Loop::arm(Timer& timer, Duration delay, TimerCallback callback, void* owner) {
  timer.cancel();
  // Zero is "now" and not "now, rounded up to the next tick": it runs in this round.
  const Time deadline = delay <= Duration::zero() ? Time::min() : now_ + std::min(delay, kDelayMax);
  timers_->add(timer, deadline, callback, owner);
}

void Timer::cancel() {
  if (loop_ != nullptr) loop_->timers_->remove(*this);
}

Result<std::unique_ptr<ListenSocket>> Loop::adopt_listener(int fd, ListenSocketEvents&) {
  ::close(fd);
  return fail(ErrorCode::kUnsupported, "this loop cannot take over file descriptors");
}

Result<std::unique_ptr<Socket>> Loop::adopt_socket(int fd) {
  ::close(fd);
  return fail(ErrorCode::kUnsupported, "this loop cannot take over file descriptors");
}

}  // namespace lateen::net
