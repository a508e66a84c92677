// VirtualLoop: a Loop in a VirtualNetwork. Several may share one network: the workers of a simulated process, or clients
// and servers apart from each other; all of them run on the calling thread.
#pragma once

#include <memory>
#include <vector>

#include "net/loop.h"
#include "testing/virtual_network.h"

namespace lateen::testing {

class VirtualLoop final : public net::Loop {
 public:
  // `network` must outlive the loop; sockets and listeners must be gone before it.
  explicit VirtualLoop(VirtualNetwork& network);
  // With a network of its own.
  explicit VirtualLoop(std::uint64_t seed, const NetworkOptions& options = {});
  ~VirtualLoop() override;

  VirtualNetwork& network() { return network_; }

  WallTime wall_now() const override;
  std::unique_ptr<net::Socket> connect(const net::Address& to, net::SocketEvents& events,
                                       const net::Address& bind_to = {}) override;
  Result<std::unique_ptr<net::ListenSocket>> listen(const net::Address& at, const net::ListenOptions& options,
                                                    net::ListenSocketEvents& events) override;
  net::Mailbox& mailbox() override;
  void defer(std::function<void()> work) override;
  std::uint64_t random() override;
  // Runs the whole network until stop(), or until nothing is left to happen.
  void run() override;
  void stop() override { stopping_ = true; }

  // Shorthands for the network's.
  bool run_until_idle() { return network_.run_until_idle(); }
  void run_for(Duration duration) { network_.run_for(duration); }

 private:
  friend class VirtualNetwork;
  class PostBox;

  void begin_round(Time now);  // sets the time that callbacks see
  void end_round();            // timers that are due, deferred work
  std::optional<Time> next_time() const;

  std::unique_ptr<VirtualNetwork> own_network_;
  VirtualNetwork& network_;
  std::unique_ptr<PostBox> post_box_;
  std::vector<std::function<void()>> deferred_;
  std::uint64_t random_state_;
  bool stopping_ = false;
};

}  // namespace lateen::testing
