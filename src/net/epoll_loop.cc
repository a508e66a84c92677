#include "net/epoll_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/epoll_socket.h"
#include "net/timer_wheel.h"

namespace lateen::net {

namespace {

constexpr int kEventsPerWait = 256;
// How often timers and deferred work that made more of themselves are run again before epoll is asked.
constexpr int kPassesPerRound = 4;
constexpr Duration kWaitMax = std::chrono::hours(1);

Time clock_now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::uint64_t pack(FdToken token) { return (std::uint64_t{token.generation} << 32) | token.index; }

}  // namespace

// Written by any thread, emptied by the loop. The eventfd is watched by edges, so it is never read.
class EpollLoop::PostBox final : public Mailbox, public FdEvents {
 public:
  explicit PostBox(int fd) : fd_(fd) {}
  ~PostBox() override { ::close(fd_); }
  int fd() const { return fd_; }

  void post(std::function<void()> work) override {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = waiting_.empty();
      waiting_.push_back(std::move(work));
    }
    if (!was_empty) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);  // fails only when full: already awake
  }

  void on_fd_events(std::uint32_t) override { signalled_ = true; }

  void run() {
    if (!signalled_) return;
    signalled_ = false;
    {
      const std::lock_guard lock(mutex_);
      running_.swap(waiting_);
    }
    for (std::function<void()>& work : running_) work();
    running_.clear();
  }

 private:
  const int fd_;
  std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;
  std::vector<std::function<void()>> running_;
  bool signalled_ = false;
};

Result<std::unique_ptr<EpollLoop>> EpollLoop::create(const Options& options) {
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return fail(ErrorCode::kSystem, std::string("epoll_create1: ") + std::strerror(errno));
  const int event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) {
    const int error = errno;
    ::close(epoll_fd);
    return fail(ErrorCode::kSystem, std::string("eventfd: ") + std::strerror(error));
  }
  std::uint64_t seed = options.seed;
  if (seed == 0 && ::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    seed = static_cast<std::uint64_t>(clock_now().time_since_epoch().count());
  }
  std::unique_ptr<EpollLoop> loop(new EpollLoop(epoll_fd, seed));
  loop->post_box_ = std::make_unique<PostBox>(event_fd);
  const Result<FdToken> added = loop->add_fd(event_fd, EPOLLIN | EPOLLET, *loop->post_box_);
  if (!added) return tl::unexpected<Error>(added.error());
  return loop;
}

EpollLoop::EpollLoop(int epoll_fd, std::uint64_t seed) : epoll_fd_(epoll_fd), random_state_(seed) {
  update_time();
  timers_ = std::make_unique<TimerWheel>(*this, now_);
}

EpollLoop::~EpollLoop() {
  deferred_.clear();
  ::close(epoll_fd_);
}

WallTime EpollLoop::wall_now() const {
  if (!wall_now_known_) {
    wall_now_ = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    wall_now_known_ = true;
  }
  return wall_now_;
}

void EpollLoop::update_time() {
  now_ = clock_now();
  wall_now_known_ = false;
}

std::unique_ptr<Socket> EpollLoop::connect(const Address& to, SocketEvents& events, const Address& bind_to) {
  return EpollSocket::connect(*this, to, events, bind_to);
}

Result<std::unique_ptr<ListenSocket>> EpollLoop::listen(const Address& at, const ListenOptions& options,
                                                        ListenSocketEvents& events) {
  LATEEN_TRY(ListeningFd listening, open_listening_fd(at, options));
  return EpollListenSocket::create(*this, std::move(listening), events);
}

Result<std::unique_ptr<ListenSocket>> EpollLoop::adopt_listener(int fd, ListenSocketEvents& events) {
  LATEEN_TRY(ListeningFd listening, adopt_listening_fd(fd));
  return EpollListenSocket::create(*this, std::move(listening), events);
}

Result<std::unique_ptr<Socket>> EpollLoop::adopt_socket(int fd) { return EpollSocket::adopt(*this, fd); }

Mailbox& EpollLoop::mailbox() { return *post_box_; }

void EpollLoop::defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

// splitmix64: one addition and three multiplications, any seed is good.
std::uint64_t EpollLoop::random() {
  std::uint64_t z = (random_state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Result<FdToken> EpollLoop::add_fd(int fd, std::uint32_t events, FdEvents& receiver) {
  FdToken token;
  if (free_slots_.empty()) {
    token.index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    token.index = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[token.index];
  slot.receiver = &receiver;
  token.generation = slot.generation;

  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(token);
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    forget_fd(token);
    return fail(ErrorCode::kSystem, std::string("epoll_ctl: ") + std::strerror(error));
  }
  return token;
}

void EpollLoop::modify_fd(FdToken token, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(token);
  LATEEN_CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void EpollLoop::remove_fd(FdToken token, int fd) {
  epoll_event event{};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, &event);
  forget_fd(token);
}

void EpollLoop::forget_fd(FdToken token) {
  LATEEN_CHECK(stands(token));
  slots_[token.index].receiver = nullptr;
  ++slots_[token.index].generation;
  free_slots_.push_back(token.index);
}

int EpollLoop::timeout_ms(Duration wait_max) const {
  if (!deferred_.empty() || timers_->has_due()) return 0;
  Duration wait = std::min(wait_max, kWaitMax);
  if (const std::optional<Time> next = timers_->next()) wait = std::min(wait, *next - now_);
  if (wait <= Duration::zero()) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

void EpollLoop::run_once(Duration wait_max) {
  std::array<epoll_event, kEventsPerWait> events;
  const int timeout = timeout_ms(wait_max);
  const int count = ::epoll_wait(epoll_fd_, events.data(), kEventsPerWait, timeout);
  update_time();
  // Before the events, so that what they arm for "now" comes after the timers that were due already.
  timers_->advance(now_);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const FdToken token{static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32)};
    if (!stands(token)) continue;  // destroyed by an event earlier in this batch
    slots_[token.index].receiver->on_fd_events(events[static_cast<std::size_t>(i)].events);
  }
  post_box_->run();
  for (int pass = 0; pass < kPassesPerRound && (timers_->has_due() || !deferred_.empty()); ++pass) {
    timers_->fire_due();
    run_deferred();
  }
}

void EpollLoop::run_deferred() {
  deferred_running_.swap(deferred_);
  for (std::function<void()>& work : deferred_running_) work();
  deferred_running_.clear();
}

void EpollLoop::run() {
  stopping_ = false;
  while (!stopping_) run_once(kWaitMax);
}

}  // namespace lateen::net
