#include "testing/virtual_loop.h"

#include <algorithm>
#include <optional>

#include "net/timer_wheel.h"
#include "testing/virtual_socket.h"

namespace lateen::testing {

namespace {
constexpr int kPassesPerRound = 4;  // as EpollLoop
// 2026-01-01T00:00:00Z: any fixed time will do, so that logs of one seed are equal.
constexpr WallTime kWallStart{std::chrono::seconds(1'767'225'600)};
}  // namespace

class VirtualLoop::PostBox final : public net::Mailbox {
 public:
  explicit PostBox(VirtualLoop& loop) : loop_(loop) {}
  void post(std::function<void()> work) override {
    VirtualNetwork& network = loop_.network_;
    // In order, but not at once: another thread's work arrives at any time.
    last_ = std::max(last_, network.now() + network.latency());
    network.schedule(last_, &loop_, std::move(work));
  }

 private:
  VirtualLoop& loop_;
  Time last_{};
};

VirtualLoop::VirtualLoop(VirtualNetwork& network)
    : network_(network), post_box_(std::make_unique<PostBox>(*this)), random_state_(network.random()) {
  now_ = network.now();
  timers_ = std::make_unique<net::TimerWheel>(*this, now_);
  network_.loops_.push_back(this);
}

VirtualLoop::VirtualLoop(std::uint64_t seed, const NetworkOptions& options)
    : own_network_(std::make_unique<VirtualNetwork>(seed, options)),
      network_(*own_network_),
      post_box_(std::make_unique<PostBox>(*this)),
      random_state_(network_.random()) {
  now_ = network_.now();
  timers_ = std::make_unique<net::TimerWheel>(*this, now_);
  network_.loops_.push_back(this);
}

VirtualLoop::~VirtualLoop() {
  deferred_.clear();
  std::erase(network_.loops_, this);
}

WallTime VirtualLoop::wall_now() const { return kWallStart + now_.time_since_epoch(); }

std::unique_ptr<net::Socket> VirtualLoop::connect(const net::Address& to, net::SocketEvents& events,
                                                  const net::Address& bind_to) {
  return VirtualSocket::connect(network_, *this, to, events, bind_to);
}

Result<std::unique_ptr<net::ListenSocket>> VirtualLoop::listen(const net::Address& at,
                                                               const net::ListenOptions& options,
                                                               net::ListenSocketEvents& events) {
  return VirtualListenSocket::create(network_, *this, at, options, events);
}

net::Mailbox& VirtualLoop::mailbox() { return *post_box_; }

void VirtualLoop::defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

std::uint64_t VirtualLoop::random() {
  std::uint64_t z = (random_state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void VirtualLoop::run() {
  stopping_ = false;
  while (!stopping_ && network_.step()) {
  }
}

void VirtualLoop::begin_round(Time now) {
  now_ = now;
  timers_->advance(now);
}

void VirtualLoop::end_round() {
  for (int pass = 0; pass < kPassesPerRound && (timers_->has_due() || !deferred_.empty()); ++pass) {
    timers_->fire_due();
    std::vector<std::function<void()>> running;
    running.swap(deferred_);
    for (std::function<void()>& work : running) work();
  }
}

std::optional<Time> VirtualLoop::next_time() const {
  if (!deferred_.empty() || timers_->has_due()) return now_;
  return timers_->next();
}

}  // namespace lateen::testing
