// VirtualNetwork: the network and the clock of simulated loops. Everything that chance decides (how a write is cut, how
// long bytes travel, which connection is refused or reset) comes from one seed, so one seed is one run.
//
// The model follows what Linux does on loopback where programs can see it:
//   - a direction holds a bounded number of bytes (in flight and unread); a full one answers kWouldBlock;
//   - bytes arrive in order, in segments of any size, possibly long after each other;
//   - closing with unread bytes, or receiving bytes after closing, sends a reset; a reset may overtake data and may
//     destroy what the receiver had not read;
//   - a listener's accept happens in its loop, a connection may be half-closed on either side;
//   - a lost connection attempt fails after two minutes, as the kernel's does.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "net/loop.h"

namespace lateen::testing {

class VirtualLoop;
class VirtualSocket;
class VirtualListenSocket;

struct NetworkOptions {
  Duration latency_min = std::chrono::microseconds(20);
  Duration latency_max = std::chrono::milliseconds(2);
  std::size_t pipe_bytes = 64 * 1024;               // one direction of one connection
  std::uint32_t cut_per_million = 300'000;          // a write travels in several segments
  std::uint32_t short_write_per_million = 50'000;   // a write takes only a part, though there is room
  std::uint32_t refuse_per_million = 0;             // a connection attempt is refused
  std::uint32_t lose_per_million = 0;               // a connection attempt gets no answer
  std::uint32_t reset_per_million = 0;              // a write is followed by a reset of the connection

  // Without anything that goes wrong, without cuts, with the same latency always.
  static NetworkOptions calm();
};

class VirtualNetwork {
 public:
  explicit VirtualNetwork(std::uint64_t seed, const NetworkOptions& options = {});
  ~VirtualNetwork();
  VirtualNetwork(const VirtualNetwork&) = delete;
  VirtualNetwork& operator=(const VirtualNetwork&) = delete;

  Time now() const { return now_; }
  NetworkOptions& options() { return options_; }  // may be changed at any time
  std::uint64_t random();
  // Uniform in [low, high].
  std::uint64_t random_between(std::uint64_t low, std::uint64_t high);
  bool happens(std::uint32_t per_million) { return random() % 1'000'000 < per_million; }

  // Attempts to connect to `address` get no answer from now on (or get one again).
  void set_unreachable(const net::Address& address, bool unreachable);
  // Calls `work` after `delay`, outside every loop: for scripts of tests.
  void after(Duration delay, std::function<void()> work);

  // One event: the earliest of network, timers and posted work. False: nothing is left to happen.
  bool step();
  // Until nothing is left to happen, or `at_most` has passed. True: nothing is left.
  bool run_until_idle(Duration at_most = std::chrono::hours(24 * 365));
  void run_for(Duration duration);
  // Until `done()`, checked between events. False: nothing is left, or `at_most` has passed, and it is not done.
  bool run_until(const std::function<bool()>& done, Duration at_most = std::chrono::hours(24));

  std::size_t open_sockets() const;
  std::uint64_t connections_made() const { return connections_made_; }

 private:
  friend class VirtualLoop;
  friend class VirtualSocket;
  friend class VirtualListenSocket;

  using ConnectionId = std::uint64_t;

  // One end of a connection; `socket` is null before accept and after close.
  struct End {
    VirtualLoop* loop = nullptr;
    VirtualSocket* socket = nullptr;
    net::Address address;
    std::string received;
    std::size_t in_flight = 0;   // bytes that this end has sent and that have not arrived
    Time last_arrival{};         // of what this end has sent: keeps the order
    bool closed = false;
    bool sent_end = false;       // FIN
    bool got_end = false;
    bool write_blocked = false;
    int error = 0;
    bool error_was_read = false;
  };
  struct Connection {
    std::array<End, 2> ends;     // 0: who connected
    bool established = false;
  };
  struct Event {
    Time at;
    std::uint64_t sequence;
    VirtualLoop* loop;           // whose round it is; null: none
    std::function<void()> run;
    bool operator>(const Event& other) const {
      return at != other.at ? at > other.at : sequence > other.sequence;
    }
  };

  Duration latency();
  void schedule(Time at, VirtualLoop* loop, std::function<void()> run);
  Connection* find(ConnectionId id);
  std::optional<Time> next_time(VirtualLoop*& loop) const;
  void synchronise();

  ConnectionId start_connection(VirtualSocket& socket, VirtualLoop& loop, const net::Address& to,
                                const net::Address& bind_to);
  void arrive_at_listener(ConnectionId id);
  void accept(ConnectionId id, VirtualListenSocket& listener);
  void fail_connection(ConnectionId id, int error);
  VirtualListenSocket* pick_listener(const net::Address& to);

  net::IoResult write(ConnectionId id, std::size_t side, std::span<const iovec> from);
  net::IoResult read(ConnectionId id, std::size_t side, std::span<const iovec> into, bool remove);
  void send_segments(ConnectionId id, std::size_t side, std::string bytes);
  void deliver(ConnectionId id, std::size_t from, std::string bytes);
  void send_end(ConnectionId id, std::size_t side);
  void send_reset(ConnectionId id, std::size_t from);
  void wake_writer(ConnectionId id, std::size_t side);
  void tell_readable(ConnectionId id, std::size_t side);
  void close(ConnectionId id, std::size_t side, bool with_reset);

  NetworkOptions options_;
  std::uint64_t random_state_;
  Time now_;
  std::uint64_t sequence_ = 0;
  std::uint16_t next_port_ = 20'000;
  std::uint64_t connections_made_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<ConnectionId, Connection> connections_;
  std::vector<VirtualLoop*> loops_;
  std::vector<VirtualListenSocket*> listeners_;
  std::set<std::string> unreachable_;
};

}  // namespace lateen::testing
