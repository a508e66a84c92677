#include "proxy/tunnel_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lateen::proxy {

TunnelEnd::~TunnelEnd() { lose(ECONNRESET); }

std::unique_ptr<net::Socket> TunnelEnd::make_socket(net::Address destination) {
  const net::Address remote = stream_ == nullptr ? net::Address() : stream_->remote_address();
  auto socket = std::make_unique<TunnelSocket>(*this, std::move(destination), remote, std::move(early_), early_end_);
  socket_ = socket.get();
  return socket;
}

void TunnelEnd::on_data(stream::Buffer data, stream::End end) {
  const bool last = end == stream::End::kYes;
  if (socket_ == nullptr) {
    early_.append(std::move(data));
    early_end_ = early_end_ || last;
    return;
  }
  socket_->received_.append(std::move(data));
  socket_->received_end_ = socket_->received_end_ || last;
  if (socket_->events_ != nullptr) socket_->events_->on_readable();
}

void TunnelEnd::on_sent(std::size_t bytes) {
  if (socket_ == nullptr) return;
  socket_->unsent_ -= std::min(bytes, socket_->unsent_);
  if (!socket_->blocked_ || socket_->unsent_ >= stream::kStreamWindowBytes) return;
  socket_->blocked_ = false;
  if (socket_->events_ != nullptr) socket_->events_->on_writable();
}

void TunnelEnd::on_reset(stream::ResetReason) {
  stream_ = nullptr;
  lose(ECONNRESET);
}

void TunnelEnd::on_complete() {
  stream_ = nullptr;
  lose(0);
}

void TunnelEnd::lose(int error) {
  TunnelSocket* socket = std::exchange(socket_, nullptr);
  if (socket == nullptr) return;
  socket->end_ = nullptr;
  socket->error_ = error;
  socket->received_end_ = true;
  if (error != 0 && socket->events_ != nullptr) socket->events_->on_socket_error(error);
}

TunnelSocket::TunnelSocket(TunnelEnd& end, net::Address local, net::Address remote, stream::Buffer early, bool early_end)
    : end_(&end),
      loop_(end.loop_),
      local_(std::move(local)),
      remote_(std::move(remote)),
      received_(std::move(early)),
      received_end_(early_end) {
  if (end.stream_ == nullptr) {
    end_ = nullptr;
    error_ = ECONNRESET;
  }
}

TunnelSocket::~TunnelSocket() {
  if (end_ == nullptr) return;
  end_->socket_ = nullptr;
  stream::ServerStream* stream = end_->stream_;
  if (stream == nullptr) return;
  if (write_ended_ && !reset_on_close_) {
    // The last bytes are on their way; what still comes is dropped.
    if (!received_.empty()) stream->consumed(received_.size());
    return;
  }
  if (reset_on_close_) {
    end_->stream_ = nullptr;
    stream->reset();
    return;
  }
  stream->send_data(stream::Buffer(), stream::End::kYes);
}

void TunnelSocket::set_events(net::SocketEvents* events) {
  events_ = events;
  tell_.cancel();
  if (events != nullptr) loop_.arm<&TunnelSocket::tell_all>(tell_, Duration::zero(), this);
}

void TunnelSocket::tell_all() {
  if (events_ == nullptr) return;
  if (error_ != 0) return events_->on_socket_error(error_);
  if (!received_.empty() || received_end_) return events_->on_readable();   // may destroy this object
  events_->on_writable();
}

std::size_t TunnelSocket::copy(std::span<std::byte> into) const {
  std::size_t at = 0;
  for (const stream::Slice& slice : received_.slices()) {
    const std::size_t count = std::min(slice.size(), into.size() - at);
    std::memcpy(into.data() + at, slice.view().data(), count);
    at += count;
    if (at == into.size()) break;
  }
  return at;
}

net::IoResult TunnelSocket::peek(std::span<std::byte> into) {
  if (!received_.empty()) return {.status = net::IoStatus::kOk, .bytes = copy(into), .error = 0};
  if (error_ != 0) return {.status = net::IoStatus::kError, .bytes = 0, .error = error_};
  return {.status = received_end_ ? net::IoStatus::kEnd : net::IoStatus::kWouldBlock, .bytes = 0, .error = 0};
}

net::IoResult TunnelSocket::read(std::span<std::byte> into) {
  net::IoResult result = peek(into);
  if (result.status != net::IoStatus::kOk) return result;
  received_.remove_prefix(result.bytes);
  if (end_ != nullptr && end_->stream_ != nullptr) end_->stream_->consumed(result.bytes);
  return result;
}

net::IoResult TunnelSocket::readv(std::span<const iovec> into) {
  net::IoResult total{.status = net::IoStatus::kWouldBlock, .bytes = 0, .error = 0};
  for (const iovec& piece : into) {
    const net::IoResult result = read({static_cast<std::byte*>(piece.iov_base), piece.iov_len});
    if (result.status != net::IoStatus::kOk) return total.bytes > 0 ? total : result;
    total.status = net::IoStatus::kOk;
    total.bytes += result.bytes;
  }
  return total;
}

net::IoResult TunnelSocket::writev(std::span<const iovec> from) {
  if (end_ == nullptr || end_->stream_ == nullptr || write_ended_) {
    return {.status = net::IoStatus::kError, .bytes = 0, .error = EPIPE};
  }
  if (unsent_ >= stream::kStreamWindowBytes) {
    blocked_ = true;
    return {.status = net::IoStatus::kWouldBlock, .bytes = 0, .error = 0};
  }
  stream::Buffer data;
  for (const iovec& piece : from) data.append_copy({static_cast<const char*>(piece.iov_base), piece.iov_len});
  const std::size_t bytes = data.size();
  unsent_ += bytes;
  end_->stream_->send_data(std::move(data), stream::End::kNo);
  return {.status = net::IoStatus::kOk, .bytes = bytes, .error = 0};
}

void TunnelSocket::shutdown_write() {
  if (write_ended_) return;
  write_ended_ = true;
  if (end_ != nullptr && end_->stream_ != nullptr) end_->stream_->send_data(stream::Buffer(), stream::End::kYes);
}

}  // namespace lateen::proxy
