#include "stream/dial.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;

struct Keepalive {
  Duration idle{}, interval{};
  int probes = 0;
  bool operator==(const Keepalive&) const = default;
};

// A socket that writes down how it is to be kept alive.
class Noted final : public net::Socket {
 public:
  Noted(std::unique_ptr<net::Socket> socket, std::vector<Keepalive>& notes) : socket_(std::move(socket)), notes_(notes) {}
  void set_events(net::SocketEvents* events) override { socket_->set_events(events); }
  net::IoResult read(std::span<std::byte> into) override { return socket_->read(into); }
  net::IoResult readv(std::span<const iovec> into) override { return socket_->readv(into); }
  net::IoResult writev(std::span<const iovec> from) override { return socket_->writev(from); }
  void shutdown_write() override { socket_->shutdown_write(); }
  void reset_on_close() override { socket_->reset_on_close(); }
  net::Address local_address() const override { return socket_->local_address(); }
  net::Address remote_address() const override { return socket_->remote_address(); }
  net::IoResult peek(std::span<std::byte> into) override { return socket_->peek(into); }
  void set_keepalive(Duration idle, Duration interval, int probes) override { notes_.push_back({idle, interval, probes}); }

 private:
  std::unique_ptr<net::Socket> socket_;
  std::vector<Keepalive>& notes_;
};

struct Noting final : Connector {
  explicit Noting(std::vector<Keepalive>& seen) : notes(seen) {}
  std::unique_ptr<net::Socket> connect(net::Loop& loop, const net::Address& to, net::SocketEvents& events,
                                       const net::Address& bind_to) const override {
    return std::make_unique<Noted>(loop.connect(to, events, bind_to), notes);
  }
  std::vector<Keepalive>& notes;
};

struct Nobody final : Dial::Owner {
  void on_connected(Dial&, std::unique_ptr<net::Socket>) override {}
  void on_connect_failed(Dial&, ResetReason, std::string_view) override {}
};

TEST(Dial, AnyPartOfKeepaliveTurnsItOn) {
  const Keepalive cases[] = {{}, {7s, 0s, 0}, {0s, 3s, 0}, {0s, 0s, 5}, {7s, 3s, 5}};
  for (const Keepalive& wanted : cases) {
    testing::VirtualLoop loop(1);
    testing::PeerListener listener(loop);
    std::vector<Keepalive> seen;
    PoolOptions options;
    options.connector = std::make_shared<const Noting>(seen);
    options.keepalive_idle = wanted.idle;
    options.keepalive_interval = wanted.interval;
    options.keepalive_probes = wanted.probes;
    Nobody owner;
    {
      const Dial dial(loop, listener.address(), options, owner);
      loop.run_until_idle();
    }
    EXPECT_EQ(seen, wanted == Keepalive{} ? std::vector<Keepalive>{} : std::vector<Keepalive>{wanted});
  }
}

}  // namespace
}  // namespace lateen::stream
