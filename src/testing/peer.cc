#include "testing/peer.h"

#include <array>

namespace lateen::testing {

using net::IoResult;
using net::IoStatus;

Peer::Peer(net::Loop& loop, const net::Address& to) { socket_ = loop.connect(to, *this); }

Peer::Peer(std::unique_ptr<net::Socket> socket) : socket_(std::move(socket)), connected_(true) {
  socket_->set_events(this);
}

void Peer::write(std::string_view bytes) {
  queue_ += bytes;
  flush();
}

void Peer::shutdown_write() {
  shut_ = true;
  flush();
}

void Peer::close() { socket_.reset(); }

void Peer::reset() {
  if (socket_ == nullptr) return;
  socket_->reset_on_close();
  socket_.reset();
}

void Peer::resume() {
  paused_ = false;
  on_readable();
}

std::string Peer::take() {
  std::string fresh = received_.substr(taken_);
  taken_ = received_.size();
  return fresh;
}

void Peer::on_connected() {
  connected_ = true;
  flush();
  if (on_change) on_change(*this);
}

void Peer::flush() {
  if (socket_ == nullptr || !connected_) return;
  while (!queue_.empty()) {
    const iovec part{queue_.data(), queue_.size()};
    const IoResult result = socket_->writev({&part, 1});
    if (result.status != IoStatus::kOk) return;
    queue_.erase(0, result.bytes);
  }
  if (shut_) socket_->shutdown_write();
}

void Peer::on_readable() {
  std::array<std::byte, 8192> bytes;
  while (socket_ != nullptr && !paused_) {
    const IoResult result = socket_->read(bytes);
    if (result.status == IoStatus::kOk) {
      received_.append(reinterpret_cast<const char*>(bytes.data()), result.bytes);
      continue;
    }
    if (result.status == IoStatus::kEnd) ended_ = true;
    if (result.status == IoStatus::kError) error_ = result.error;
    break;
  }
  if (on_change) on_change(*this);
}

void Peer::on_socket_error(int error) {
  error_ = error;
  if (on_change) on_change(*this);
}

PeerListener::PeerListener(net::Loop& loop) : PeerListener(loop, {net::Address::Family::kIpv4, "127.0.0.1", 0}) {}

PeerListener::PeerListener(net::Loop& loop, const net::Address& at) {
  Result<std::unique_ptr<net::ListenSocket>> socket = loop.listen(at, {}, *this);
  LATEEN_CHECK(socket.has_value());
  socket_ = *std::move(socket);
}

void PeerListener::on_accept(std::unique_ptr<net::Socket> socket) {
  if (wrap) socket = wrap(std::move(socket));
  peers_.push_back(std::make_unique<Peer>(std::move(socket)));
  if (on_peer) on_peer(*peers_.back());
}

}  // namespace lateen::testing
