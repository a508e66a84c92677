#include "testing/virtual_network.h"

#include <algorithm>
#include <cerrno>

#include "testing/virtual_loop.h"
#include "testing/virtual_socket.h"

namespace lateen::testing {

using net::IoResult;
using net::IoStatus;

namespace {
constexpr Duration kConnectGivesUp = std::chrono::seconds(127);  // Linux: tcp_syn_retries 6
constexpr std::size_t kListenQueueMax = 4096;
}  // namespace

NetworkOptions NetworkOptions::calm() {
  NetworkOptions options;
  options.latency_min = options.latency_max = std::chrono::microseconds(100);
  options.cut_per_million = options.short_write_per_million = 0;
  return options;
}

VirtualNetwork::VirtualNetwork(std::uint64_t seed, const NetworkOptions& options)
    : options_(options), random_state_(seed), now_(std::chrono::hours(1)) {}

VirtualNetwork::~VirtualNetwork() = default;

std::uint64_t VirtualNetwork::random() {
  std::uint64_t z = (random_state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::uint64_t VirtualNetwork::random_between(std::uint64_t low, std::uint64_t high) {
  return low + random() % (high - low + 1);
}

Duration VirtualNetwork::latency() {
  return Duration(static_cast<Duration::rep>(random_between(static_cast<std::uint64_t>(options_.latency_min.count()),
                                                            static_cast<std::uint64_t>(options_.latency_max.count()))));
}

void VirtualNetwork::set_unreachable(const net::Address& address, bool unreachable) {
  if (unreachable) {
    unreachable_.insert(to_string(address));
  } else {
    unreachable_.erase(to_string(address));
  }
}

void VirtualNetwork::after(Duration delay, std::function<void()> work) { schedule(now_ + delay, nullptr, std::move(work)); }

void VirtualNetwork::schedule(Time at, VirtualLoop* loop, std::function<void()> run) {
  events_.push({at, sequence_++, loop, std::move(run)});
}

VirtualNetwork::Connection* VirtualNetwork::find(ConnectionId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

std::size_t VirtualNetwork::open_sockets() const {
  std::size_t count = 0;
  for (const auto& [id, connection] : connections_) {
    for (const End& end : connection.ends) count += end.socket != nullptr ? 1 : 0;
  }
  return count;
}

// The earliest thing that can happen; `loop` is null when it is an event of the network.
std::optional<Time> VirtualNetwork::next_time(VirtualLoop*& loop) const {
  std::optional<Time> earliest;
  loop = nullptr;
  if (!events_.empty()) earliest = events_.top().at;
  for (VirtualLoop* candidate : loops_) {
    const std::optional<Time> time = candidate->next_time();
    if (time && (!earliest || *time < *earliest)) {
      earliest = time;
      loop = candidate;
    }
  }
  return earliest;
}

bool VirtualNetwork::step() {
  VirtualLoop* loop = nullptr;
  const std::optional<Time> time = next_time(loop);
  if (!time) return false;
  now_ = std::max(now_, *time);
  if (loop != nullptr) {
    loop->begin_round(now_);
    loop->end_round();
    return true;
  }
  const Event event = events_.top();
  events_.pop();
  // The loop may have been destroyed since.
  const bool lives = event.loop != nullptr && std::find(loops_.begin(), loops_.end(), event.loop) != loops_.end();
  if (event.loop != nullptr && !lives) return true;
  if (lives) event.loop->begin_round(now_);
  event.run();
  if (lives && std::find(loops_.begin(), loops_.end(), event.loop) != loops_.end()) event.loop->end_round();
  return true;
}

bool VirtualNetwork::run_until(const std::function<bool()>& done, Duration at_most) {
  const Time end = now_ + at_most;
  VirtualLoop* loop = nullptr;
  bool is_done = done();
  while (!is_done) {
    const std::optional<Time> time = next_time(loop);
    if (!time) break;
    if (*time > end) {
      now_ = end;
      break;
    }
    step();
    is_done = done();
  }
  synchronise();
  return is_done;
}

// So that a test which calls into a loop from outside sees the time up to which it has run.
void VirtualNetwork::synchronise() {
  for (VirtualLoop* loop : loops_) loop->begin_round(now_);
}

bool VirtualNetwork::run_until_idle(Duration at_most) {
  VirtualLoop* loop = nullptr;
  run_until([] { return false; }, at_most);
  return !next_time(loop);
}

void VirtualNetwork::run_for(Duration duration) {
  const Time end = now_ + duration;
  run_until([] { return false; }, duration);
  now_ = std::max(now_, end);
  synchronise();
}

// ---- opening ------------------------------------------------------------------------------------------------------

VirtualNetwork::ConnectionId VirtualNetwork::start_connection(VirtualSocket& socket, VirtualLoop& loop,
                                                              const net::Address& to, const net::Address& bind_to) {
  const ConnectionId id = ++connections_made_;
  Connection& connection = connections_[id];
  End& client = connection.ends[0];
  client.loop = &loop;
  client.socket = &socket;
  client.address = bind_to.family == net::Address::Family::kNone
                       ? net::Address{net::Address::Family::kIpv4, "127.0.0.1", 0}
                       : bind_to;
  if (client.address.port == 0) client.address.port = next_port_++;
  connection.ends[1].address = to;

  if (unreachable_.contains(to_string(to)) || happens(options_.lose_per_million)) {
    schedule(now_ + kConnectGivesUp, &loop, [this, id] { fail_connection(id, ETIMEDOUT); });
  } else if (happens(options_.refuse_per_million)) {
    schedule(now_ + latency(), &loop, [this, id] { fail_connection(id, ECONNREFUSED); });
  } else {
    schedule(now_ + latency(), nullptr, [this, id] { arrive_at_listener(id); });
  }
  return id;
}

void VirtualNetwork::fail_connection(ConnectionId id, int error) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  End& client = connection->ends[0];
  if (client.closed) return;
  client.error = error;
  if (client.socket->events_ != nullptr) client.socket->events_->on_socket_error(error);
}

VirtualListenSocket* VirtualNetwork::pick_listener(const net::Address& to) {
  const auto listening = [&](bool wildcard) {
    std::vector<VirtualListenSocket*> found;
    for (VirtualListenSocket* listener : listeners_) {
      const net::Address& at = listener->address_;
      const bool takes_all = at.family == net::Address::Family::kIpv4 && at.host == "0.0.0.0" && at.port == to.port;
      if (wildcard ? takes_all : at == to) found.push_back(listener);
    }
    return found;
  };
  std::vector<VirtualListenSocket*> found = listening(false);
  if (found.empty()) found = listening(true);
  return found.empty() ? nullptr : found[random() % found.size()];
}

void VirtualNetwork::arrive_at_listener(ConnectionId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;  // given up
  VirtualListenSocket* listener = pick_listener(connection->ends[1].address);
  if (listener == nullptr) {
    schedule(now_ + latency(), connection->ends[0].loop, [this, id] { fail_connection(id, ECONNREFUSED); });
  } else if (listener->paused_) {
    if (listener->queue_.size() < kListenQueueMax) listener->queue_.push_back(id);
  } else {
    schedule(now_, &listener->loop_, [this, id] {
      const Connection* waiting = find(id);
      VirtualListenSocket* still = waiting != nullptr ? pick_listener(waiting->ends[1].address) : nullptr;
      if (still != nullptr) accept(id, *still);
      else if (waiting != nullptr) fail_connection(id, ECONNREFUSED);
    });
  }
}

void VirtualNetwork::accept(ConnectionId id, VirtualListenSocket& listener) {
  Connection& connection = *find(id);
  End& server = connection.ends[1];
  auto socket = std::make_unique<VirtualSocket>(*this, id, 1);
  server.loop = &listener.loop_;
  server.socket = socket.get();
  connection.established = true;
  // What the server sends comes after the news that the connection is up.
  const Time up = now_ + latency();
  server.last_arrival = up;
  schedule(up, connection.ends[0].loop, [this, id] {
    Connection* found = find(id);
    if (found == nullptr || found->ends[0].closed || found->ends[0].error != 0) return;
    VirtualSocket* client = found->ends[0].socket;
    const bool blocked = std::exchange(found->ends[0].write_blocked, false);
    if (client->events_ == nullptr) return;
    client->events_->on_connected();
    found = find(id);
    if (blocked && found != nullptr && found->ends[0].socket != nullptr && found->ends[0].socket->events_ != nullptr) {
      found->ends[0].socket->events_->on_writable();
    }
  });
  // The listener runs in its own loop's time, also when another loop of the same network shares the port.
  listener.loop_.begin_round(now_);
  listener.events_.on_accept(std::move(socket));
  if (std::find(loops_.begin(), loops_.end(), &listener.loop_) != loops_.end()) listener.loop_.end_round();
}

// ---- bytes --------------------------------------------------------------------------------------------------------

IoResult VirtualNetwork::write(ConnectionId id, std::size_t side, std::span<const iovec> from) {
  Connection* connection = find(id);
  if (connection == nullptr) return {IoStatus::kError, 0, ENOTCONN};
  End& end = connection->ends[side];
  if (end.error != 0) return {IoStatus::kError, 0, end.error};
  if (end.sent_end) return {IoStatus::kError, 0, EPIPE};
  const std::size_t held = end.in_flight + connection->ends[1 - side].received.size();
  const std::size_t room = options_.pipe_bytes > held ? options_.pipe_bytes - held : 0;
  // A client whose connection is not up, or not yet known to be, cannot write.
  if (!connection->established || room == 0) {
    end.write_blocked = true;
    return {IoStatus::kWouldBlock, 0, 0};
  }
  std::string bytes;
  for (const iovec& part : from) {
    const std::size_t take = std::min(part.iov_len, room - bytes.size());
    bytes.append(static_cast<const char*>(part.iov_base), take);
  }
  std::size_t asked = 0;
  for (const iovec& part : from) asked += part.iov_len;
  if (bytes.size() > 1 && happens(options_.short_write_per_million)) bytes.resize(random_between(1, bytes.size() - 1));
  if (bytes.size() < asked) {
    end.write_blocked = true;
    if (held + bytes.size() < options_.pipe_bytes) wake_writer(id, side);
  }
  const std::size_t taken = bytes.size();
  end.in_flight += taken;
  send_segments(id, side, std::move(bytes));
  if (happens(options_.reset_per_million)) {
    send_reset(id, side);
    send_reset(id, 1 - side);
  }
  return {IoStatus::kOk, taken, 0};
}

void VirtualNetwork::send_segments(ConnectionId id, std::size_t side, std::string bytes) {
  End& end = find(id)->ends[side];
  while (!bytes.empty()) {
    std::size_t size = bytes.size();
    if (size > 1 && happens(options_.cut_per_million)) size = random_between(1, size - 1);
    end.last_arrival = std::max(end.last_arrival, now_ + latency());
    schedule(end.last_arrival, find(id)->ends[1 - side].loop,
             [this, id, side, segment = bytes.substr(0, size)] { deliver(id, side, segment); });
    bytes.erase(0, size);
  }
}

void VirtualNetwork::deliver(ConnectionId id, std::size_t from, std::string bytes) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  connection->ends[from].in_flight -= bytes.size();
  End& to = connection->ends[1 - from];
  if (to.closed) return send_reset(id, 1 - from);
  if (to.error != 0) return;
  to.received += bytes;
  tell_readable(id, 1 - from);
}

IoResult VirtualNetwork::read(ConnectionId id, std::size_t side, std::span<const iovec> into, bool remove) {
  Connection* connection = find(id);
  if (connection == nullptr) return {IoStatus::kError, 0, ENOTCONN};
  End& end = connection->ends[side];
  std::size_t taken = 0;
  for (const iovec& part : into) {
    const std::size_t take = std::min(part.iov_len, end.received.size() - taken);
    end.received.copy(static_cast<char*>(part.iov_base), take, taken);
    taken += take;
  }
  if (taken > 0) {
    if (remove) {
      end.received.erase(0, taken);
      wake_writer(id, 1 - side);
    }
    return {IoStatus::kOk, taken, 0};
  }
  if (end.error != 0) {
    end.error_was_read = true;
    return {IoStatus::kError, 0, end.error};
  }
  if (end.got_end) return {IoStatus::kEnd, 0, 0};
  return {IoStatus::kWouldBlock, 0, 0};
}

void VirtualNetwork::wake_writer(ConnectionId id, std::size_t side) {
  Connection* connection = find(id);
  if (!connection->ends[side].write_blocked || connection->ends[side].closed) return;
  schedule(now_ + latency(), connection->ends[side].loop, [this, id, side] {
    Connection* found = find(id);
    if (found == nullptr) return;
    End& end = found->ends[side];
    if (!end.write_blocked || end.socket == nullptr || !found->established || end.error != 0) return;
    end.write_blocked = false;
    if (end.socket->events_ != nullptr) end.socket->events_->on_writable();
  });
}

void VirtualNetwork::tell_readable(ConnectionId id, std::size_t side) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  const VirtualSocket* socket = connection->ends[side].socket;
  if (socket != nullptr && socket->events_ != nullptr) socket->events_->on_readable();
}

// ---- closing ------------------------------------------------------------------------------------------------------

void VirtualNetwork::send_end(ConnectionId id, std::size_t side) {
  Connection* connection = find(id);
  if (connection == nullptr || !connection->established) return;
  End& end = connection->ends[side];
  if (end.sent_end || end.error != 0) return;
  end.sent_end = true;
  end.last_arrival = std::max(end.last_arrival, now_ + latency());
  schedule(end.last_arrival, connection->ends[1 - side].loop, [this, id, side] {
    Connection* found = find(id);
    if (found == nullptr || found->ends[1 - side].error != 0) return;
    found->ends[1 - side].got_end = true;
    tell_readable(id, 1 - side);
  });
}

// A reset from end `from` on its way to the other one; it does not wait for data before it.
void VirtualNetwork::send_reset(ConnectionId id, std::size_t from) {
  const std::size_t side = 1 - from;
  Connection* connection = find(id);
  if (connection == nullptr || connection->ends[side].loop == nullptr) return;
  schedule(now_ + latency(), connection->ends[side].loop, [this, id, side] {
    Connection* found = find(id);
    if (found == nullptr) return;
    End& end = found->ends[side];
    if (end.closed || end.error != 0) return;
    end.error = ECONNRESET;
    if (happens(500'000)) end.received.clear();
    tell_readable(id, side);
    found = find(id);
    if (found == nullptr || found->ends[side].socket == nullptr || found->ends[side].error_was_read) return;
    net::SocketEvents* events = found->ends[side].socket->events_;
    if (events != nullptr) events->on_socket_error(ECONNRESET);
  });
}

void VirtualNetwork::close(ConnectionId id, std::size_t side, bool with_reset) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  End& end = connection->ends[side];
  end.closed = true;
  end.socket = nullptr;
  if (!connection->established) {
    connections_.erase(id);
    return;
  }
  if (end.error == 0) {
    if (with_reset || !end.received.empty()) {
      send_reset(id, side);
    } else {
      send_end(id, side);
    }
  }
  end.received.clear();
  if (connection->ends[1 - side].closed) connections_.erase(id);
}

}  // namespace lateen::testing
