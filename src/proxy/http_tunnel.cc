#include "proxy/http_tunnel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lateen::proxy {
namespace {

using stream::End;

//   kWaiting (for a stream, then for the answer) --2xx--> kOpen --end of both sides, reset--> kGone
class HttpTunnel final : public net::Socket, private stream::StreamWaiter, private stream::ClientStreamHandler {
 public:
  HttpTunnel(net::Loop& loop, TunnelRequest request, net::SocketEvents& events)
      : loop_(loop), request_(std::move(request)), events_(&events) {}
  ~HttpTunnel() override {
    place_.reset();
    // An exchange that is not over is cut by letting go of it.
    if (stream_ != nullptr && state_ == State::kOpen && !reset_on_close_ && !write_ended_) {
      stream_->send_data(stream::Buffer(), End::kYes);
    }
  }

  void start(stream::ClientPool& pool) {
    std::unique_ptr<stream::PendingStream> place = pool.start(*this, *this);
    if (place != nullptr) place_ = std::move(place);
  }
  std::string_view failure() const { return failure_; }

  void set_events(net::SocketEvents* events) override {
    events_ = events;
    tell_.cancel();
    if (events != nullptr && state_ != State::kWaiting) tell_soon();
  }
  net::IoResult peek(std::span<std::byte> into) override {
    if (!received_.empty()) return {net::IoStatus::kOk, copy(into), 0};
    if (state_ == State::kGone && error_ != 0) return {net::IoStatus::kError, 0, error_};
    return {received_end_ ? net::IoStatus::kEnd : net::IoStatus::kWouldBlock, 0, 0};
  }
  net::IoResult read(std::span<std::byte> into) override {
    const net::IoResult result = peek(into);
    if (result.status != net::IoStatus::kOk) return result;
    received_.remove_prefix(result.bytes);
    if (stream_ != nullptr) stream_->consumed(result.bytes);
    return result;
  }
  net::IoResult readv(std::span<const iovec> into) override {
    std::size_t total = 0;
    for (const iovec& piece : into) {
      const net::IoResult result = read({static_cast<std::byte*>(piece.iov_base), piece.iov_len});
      if (result.status != net::IoStatus::kOk) return total > 0 ? net::IoResult{net::IoStatus::kOk, total, 0} : result;
      total += result.bytes;
    }
    return {net::IoStatus::kOk, total, 0};
  }
  net::IoResult writev(std::span<const iovec> from) override {
    if (state_ == State::kGone || write_ended_) return {net::IoStatus::kError, 0, EPIPE};
    if (state_ == State::kWaiting || unsent_ >= stream::kStreamWindowBytes) {
      blocked_ = true;
      return {net::IoStatus::kWouldBlock, 0, 0};
    }
    stream::Buffer data;
    for (const iovec& piece : from) data.append_copy({static_cast<const char*>(piece.iov_base), piece.iov_len});
    const std::size_t bytes = data.size();
    unsent_ += bytes;
    stream_->send_data(std::move(data), End::kNo);
    return {net::IoStatus::kOk, bytes, 0};
  }
  void shutdown_write() override {
    if (std::exchange(write_ended_, true) || stream_ == nullptr) return;
    stream_->send_data(stream::Buffer(), End::kYes);
  }
  void reset_on_close() override { reset_on_close_ = true; }
  net::Address local_address() const override { return stream_ == nullptr ? net::Address() : stream_->local_address(); }
  net::Address remote_address() const override { return stream_ == nullptr ? net::Address() : stream_->remote_address(); }
  void set_keepalive(Duration, Duration, int) override {}

 private:
  enum class State : std::uint8_t { kWaiting, kOpen, kGone };

  void on_stream_ready(std::unique_ptr<stream::ClientStream> ready) override {
    place_.reset();
    stream_ = std::move(ready);
    head_.method = request_.post ? "POST" : "CONNECT";
    head_.authority = request_.authority;
    head_.scheme = "http";
    if (request_.post) head_.path = request_.path;
    head_.headers = std::move(request_.headers);
    stream_->send_headers(head_, End::kNo);
  }
  void on_stream_failure(stream::ResetReason reason, std::string_view detail) override {
    place_.reset();
    failure_ = detail;
    lose(reason == stream::ResetReason::kConnectTimeout ? ETIMEDOUT : ECONNREFUSED);
  }
  void on_informational(http::ResponseHead) override {}
  void on_headers(http::ResponseHead head, End end) override {
    if (state_ != State::kWaiting) return;
    if (head.status < 200 || head.status > 299) {
      failure_ = "the proxy answered " + std::to_string(head.status);
      return lose(ECONNREFUSED);
    }
    state_ = State::kOpen;
    received_end_ = end == End::kYes;
    blocked_ = false;
    if (events_ != nullptr) events_->on_connected();   // may destroy this object
  }
  void on_data(stream::Buffer data, End end) override {
    received_.append(std::move(data));
    received_end_ = received_end_ || end == End::kYes;
    if (events_ != nullptr) events_->on_readable();
  }
  void on_trailers(http::HeaderMap) override {
    received_end_ = true;
    if (events_ != nullptr) events_->on_readable();
  }
  void on_reset(stream::ResetReason, bool, std::string_view detail) override {
    failure_ = detail;
    lose(ECONNRESET);
  }
  void on_sent(std::size_t bytes) override {
    unsent_ -= std::min(bytes, unsent_);
    if (!blocked_ || unsent_ >= stream::kStreamWindowBytes) return;
    blocked_ = false;
    if (events_ != nullptr) events_->on_writable();
  }

  // After the current event: it may come from inside start(), and the stream may be at work.
  void lose(int error) {
    state_ = State::kGone;
    error_ = error;
    tell_soon();
  }
  void tell_soon() {
    if (!tell_.armed()) loop_.arm<&HttpTunnel::tell>(tell_, Duration::zero(), this);
  }
  void tell() {
    if (events_ == nullptr) return;
    if (state_ == State::kGone && error_ != 0) return events_->on_socket_error(error_);
    if (!received_.empty() || received_end_) return events_->on_readable();   // may destroy this object
    events_->on_writable();
  }
  std::size_t copy(std::span<std::byte> into) const {
    std::size_t at = 0;
    for (const stream::Slice& slice : received_.slices()) {
      const std::size_t count = std::min(slice.size(), into.size() - at);
      std::memcpy(into.data() + at, slice.view().data(), count);
      at += count;
      if (at == into.size()) break;
    }
    return at;
  }

  net::Loop& loop_;
  TunnelRequest request_;
  net::SocketEvents* events_;
  http::RequestHead head_;
  State state_ = State::kWaiting;
  stream::Buffer received_;
  std::size_t unsent_ = 0;
  int error_ = 0;
  bool received_end_ = false, write_ended_ = false, blocked_ = false, reset_on_close_ = false;
  std::string failure_;
  net::Timer tell_;
  std::unique_ptr<stream::PendingStream> place_;
  std::unique_ptr<stream::ClientStream> stream_;
};

}  // namespace

std::unique_ptr<net::Socket> open_tunnel(net::Loop& loop, stream::ClientPool& pool, TunnelRequest request, net::SocketEvents& events) {
  auto tunnel = std::make_unique<HttpTunnel>(loop, std::move(request), events);
  tunnel->start(pool);
  return tunnel;
}

std::string_view tunnel_failure(const net::Socket& socket) {
  const auto* tunnel = dynamic_cast<const HttpTunnel*>(&socket);
  return tunnel == nullptr ? std::string_view() : tunnel->failure();
}

}  // namespace lateen::proxy
