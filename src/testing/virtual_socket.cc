#include "testing/virtual_socket.h"

#include <algorithm>

#include "testing/virtual_loop.h"

namespace lateen::testing {

using net::IoResult;

std::unique_ptr<net::Socket> VirtualSocket::connect(VirtualNetwork& network, VirtualLoop& loop,
                                                    const net::Address& to, net::SocketEvents& events,
                                                    const net::Address& bind_to) {
  auto socket = std::make_unique<VirtualSocket>(network, 0, 0);
  socket->events_ = &events;
  socket->connection_ = network.start_connection(*socket, loop, to, bind_to);
  return socket;
}

VirtualSocket::~VirtualSocket() { network_.close(connection_, side_, reset_on_close_); }

void VirtualSocket::set_events(net::SocketEvents* events) {
  events_ = events;
  VirtualNetwork::Connection* connection = network_.find(connection_);
  if (events == nullptr || connection == nullptr) return;
  const VirtualNetwork::End& end = connection->ends[side_];
  if (end.received.empty() && !end.got_end && end.error == 0) return;
  network_.schedule(network_.now(), end.loop, [&network = network_, id = connection_, side = side_] {
    network.tell_readable(id, side);
  });
}

IoResult VirtualSocket::read(std::span<std::byte> into) {
  const iovec part{into.data(), into.size()};
  return network_.read(connection_, side_, {&part, 1}, true);
}
IoResult VirtualSocket::readv(std::span<const iovec> into) { return network_.read(connection_, side_, into, true); }
IoResult VirtualSocket::peek(std::span<std::byte> into) {
  const iovec part{into.data(), into.size()};
  return network_.read(connection_, side_, {&part, 1}, false);
}
IoResult VirtualSocket::writev(std::span<const iovec> from) { return network_.write(connection_, side_, from); }
void VirtualSocket::shutdown_write() { network_.send_end(connection_, side_); }

net::Address VirtualSocket::local_address() const {
  const auto* connection = network_.find(connection_);
  return connection != nullptr ? connection->ends[side_].address : net::Address{};
}
net::Address VirtualSocket::remote_address() const {
  const auto* connection = network_.find(connection_);
  return connection != nullptr ? connection->ends[1 - side_].address : net::Address{};
}

Result<std::unique_ptr<net::ListenSocket>> VirtualListenSocket::create(VirtualNetwork& network, VirtualLoop& loop,
                                                                       const net::Address& at,
                                                                       const net::ListenOptions& options,
                                                                       net::ListenSocketEvents& events) {
  net::Address address = at;
  if (address.port == 0 && address.family != net::Address::Family::kUnix) address.port = network.next_port_++;
  for (const VirtualListenSocket* other : network.listeners_) {
    if (other->address_ == address && !(other->shared_ && options.reuse_port)) {
      return fail(ErrorCode::kConflict, to_string(address) + ": in use by another process");
    }
  }
  std::unique_ptr<VirtualListenSocket> listener(
      new VirtualListenSocket(network, loop, std::move(address), options.reuse_port, events));
  network.listeners_.push_back(listener.get());
  return listener;
}

VirtualListenSocket::~VirtualListenSocket() {
  std::erase(network_.listeners_, this);
  for (const std::uint64_t id : queue_) network_.fail_connection(id, ECONNRESET);
}

void VirtualListenSocket::resume() {
  paused_ = false;
  std::vector<std::uint64_t> waiting;
  waiting.swap(queue_);
  for (const std::uint64_t id : waiting) {
    network_.schedule(network_.now(), &loop_, [&network = network_, id] { network.arrive_at_listener(id); });
  }
}

}  // namespace lateen::testing
