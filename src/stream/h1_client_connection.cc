#include "stream/h1_client_connection.h"

#include <utility>

#include "base/result.h"
#include "stream/h1_client_stream.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

namespace {

// Behind a response that is complete: enough to see that it is not clean.
constexpr std::size_t kUnaskedBytesMax = 1;
constexpr std::uint16_t kStatusRequestTimeout = 408;

}  // namespace

H1ClientConnection::H1ClientConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, const net::Address& remote,
                                       const PoolOptions& options, Owner& owner)
    : loop_(loop), owner_(owner), remote_(remote), options_(options), socket_(std::move(socket)), parser_(options.head_limits) {
  if (options_.max_connection_duration > Duration::zero()) {
    loop_.arm<&H1ClientConnection::retire>(age_timer_, options_.max_connection_duration, this);
  }
  arm_idle();
  socket_->set_events(this);
}

H1ClientConnection::~H1ClientConnection() {
  if (stream_ == nullptr) return;
  H1ClientStream& stream = *std::exchange(stream_, nullptr);
  const bool bytes_sent = stream.bytes_sent;
  stream.detach();
  const bool goes_on = state_ != State::kClosed && !response_done_;
  if (goes_on) stream.handler().on_reset(ResetReason::kLocal, bytes_sent, "connection pool closed");
}

const net::Address& H1ClientConnection::local_address() const {
  if (local_.family == net::Address::Family::kNone && socket_ != nullptr) local_ = socket_->local_address();
  return local_;
}

std::unique_ptr<ClientStream> H1ClientConnection::start_stream(ClientStreamHandler& handler) {
  LATEEN_CHECK(state_ == State::kIdle);
  timer_.cancel();
  state_ = State::kExchange;
  auto stream = std::make_unique<H1ClientStream>(*this, handler, requests_ > 0);
  stream_ = stream.get();
  ++requests_;
  if (options_.max_requests_per_connection > 0 && requests_ >= options_.max_requests_per_connection) retired_ = true;
  head_read_ = response_done_ = response_started_ = keep_alive_ = large_reads_ = false;
  informational_ = 0;
  return stream;
}

void H1ClientConnection::retire() {
  retired_ = true;
  if (state_ == State::kIdle) close();
}

void H1ClientConnection::arm_idle() {
  if (options_.idle_timeout > Duration::zero()) {
    loop_.arm<&H1ClientConnection::on_idle_timeout>(timer_, options_.idle_timeout, this);
  }
}

void H1ClientConnection::on_socket_error(int) {
  switch (state_) {
    case State::kIdle:
      close();
      return;
    case State::kExchange:
      fail(ResetReason::kConnectionTermination, "connection reset by peer");
      return;
    case State::kClosed:
      return;
  }
}

// ---- what happens after the current event ---------------------------------------------------------------------------

void H1ClientConnection::run_soon() {
  if (!soon_.armed()) loop_.arm<&H1ClientConnection::on_soon>(soon_, Duration::zero(), this);
}

void H1ClientConnection::flush_soon() {
  flush_pending_ = true;
  run_soon();
}

void H1ClientConnection::read_soon() {
  read_pending_ = true;
  run_soon();
}

void H1ClientConnection::on_soon() {
  if (std::exchange(flush_pending_, false)) flush();
  if (std::exchange(read_pending_, false)) {
    process();
    read();
  }
}

void H1ClientConnection::flush() {
  if (socket_ == nullptr || state_ != State::kExchange) return;
  const std::size_t before = outbox_.size();
  std::size_t body_bytes = 0;
  const Outbox::Flush result = outbox_.flush(*socket_, body_bytes);
  if (outbox_.size() < before && stream_ != nullptr) stream_->bytes_sent = true;
  if (result == Outbox::Flush::kFailed) {
    // The peer may have answered before it closed: the answer is read first, and the end of the stream tells the rest.
    outbox_.clear();
    retired_ = true;
    return read_soon();
  }
  if (body_bytes > 0 && stream_ != nullptr) stream_->handler().on_sent(body_bytes);
  if (stream_ != nullptr && outbox_.empty() && stream_->is_tunnel() && stream_->request_ended() &&
      !std::exchange(write_shut_, true)) {
    socket_->shutdown_write();
  }
}

// ---- reading --------------------------------------------------------------------------------------------------------

bool H1ClientConnection::wants_to_read() const {
  if (socket_ == nullptr || peer_ended_) return false;
  switch (state_) {
    case State::kIdle:
      return true;
    case State::kExchange:
      if (response_done_) return in_.size() < kUnaskedBytesMax;
      return stream_->credit() > 0;
    case State::kClosed:
      return false;
  }
  return false;
}

void H1ClientConnection::read() {
  while (wants_to_read()) {
    const net::IoResult result = read_into(*socket_, in_, large_reads_);
    switch (result.status) {
      case net::IoStatus::kOk:
        // What nobody has asked for is never taken for an answer.
        if (state_ == State::kIdle) return close();
        if (!stream_->bytes_sent) return fail(ResetReason::kConnectionTermination, "response before the request");
        response_started_ = true;
        large_reads_ = result.bytes >= kSlabBytes / 2 && head_read_;
        process();
        break;
      case net::IoStatus::kWouldBlock:
        return;
      case net::IoStatus::kEnd:
        peer_ended_ = true;
        on_peer_end();
        return;
      case net::IoStatus::kError:
        on_socket_error(result.error);
        return;
    }
  }
}

void H1ClientConnection::on_peer_end() {
  if (state_ == State::kIdle) return close();
  if (state_ == State::kExchange) process();
}

void H1ClientConnection::process() {
  if (std::exchange(processing_, true)) return;
  while (advance()) {
  }
  processing_ = false;
}

bool H1ClientConnection::advance() {
  if (state_ != State::kExchange || response_done_) return false;
  if (!head_read_) {
    if (!in_.empty()) return read_head();
    if (peer_ended_) fail(ResetReason::kConnectionTermination, "connection closed before the response");
    return false;
  }
  return read_body();
}

bool H1ClientConnection::read_head() {
  region_.take(in_);
  switch (parser_.parse(region_.data(), region_.size())) {
    case http::ParseState::kNeedMore:
      return peer_ended_;  // then the next step finds the end
    case http::ParseState::kRefused:
      fail(ResetReason::kProtocolError, parser_.refusal().detail);
      return false;
    case http::ParseState::kComplete:
      break;
  }
  const std::uint16_t status = parser_.head().status;
  const std::size_t bytes = parser_.head_bytes();
  return status < 200 && status != 101 ? on_informational(bytes) : on_head(bytes);
}

bool H1ClientConnection::on_informational(std::size_t head_bytes) {
  if (++informational_ > kInformationalMax) {
    fail(ResetReason::kProtocolError, "too many informational responses");
    return false;
  }
  region_.finish(head_bytes, in_);
  stream_->handler().on_informational(std::move(parser_.head()));
  if (state_ != State::kExchange || stream_ == nullptr) return false;
  region_.clear();
  parser_.reset(method_);
  return true;
}

bool H1ClientConnection::on_head(std::size_t head_bytes) {
  const http::Framing framing = parser_.framing();
  const bool is_tunnel = framing.body == http::BodyKind::kTunnel;
  if (is_tunnel && !stream_->awaits_tunnel()) {
    fail(ResetReason::kProtocolError, "switched protocols unasked");
    return false;
  }
  if (parser_.head().status == kStatusRequestTimeout && stream_->on_reused_connection() && !framing.keep_alive) {
    // The server's word about the idle time before this request, which crossed it (RFC 9110, section 15.5.9).
    fail(ResetReason::kConnectionTermination, "idle connection closed by the peer");
    return false;
  }
  region_.finish(head_bytes, in_);
  head_read_ = true;
  body_.begin(framing);
  response_done_ = body_.done();
  keep_alive_ = framing.keep_alive && framing.body != http::BodyKind::kUntilClose && !is_tunnel;
  if (stream_->awaits_tunnel()) stream_->on_tunnel(is_tunnel);
  stream_->handler().on_headers(std::move(parser_.head()), response_done_ ? End::kYes : End::kNo);
  return true;
}

bool H1ClientConnection::read_body() {
  if (stream_ == nullptr) return false;
  const bool last = peer_ended_ && in_.size() <= stream_->credit();  // after this step nothing can come any more
  if (!last && (in_.empty() || stream_->credit() == 0)) return false;
  Buffer data;
  body_.read(in_, data, stream_->credit());
  if (last) body_.on_connection_end();
  if (body_.state() == BodyReader::State::kRefused) {
    fail(ResetReason::kProtocolError, body_.refusal().detail);
    return false;
  }
  response_done_ = body_.done();
  const bool has_trailers = response_done_ && body_.has_trailers();
  const bool ends = response_done_ && !has_trailers;
  stream_->received(data.size());
  ClientStreamHandler& handler = stream_->handler();
  if (!data.empty() || ends) handler.on_data(std::move(data), ends ? End::kYes : End::kNo);
  if (state_ != State::kExchange || stream_ == nullptr) return false;
  if (has_trailers) {
    handler.on_trailers(std::move(body_.trailers()));
  } else if (last && !response_done_) {
    fail(ResetReason::kConnectionTermination, "connection closed before the end of the response");
    return false;
  }
  return true;
}

// ---- ending ---------------------------------------------------------------------------------------------------------

void H1ClientConnection::begin_response(std::string_view method) {
  method_ = method;
  parser_.reset(method);
}

void H1ClientConnection::fail(ResetReason reason, std::string_view detail) {
  if (state_ != State::kExchange) return;
  if (response_done_) {  // the exchange is over; only the connection is lost
    retired_ = true;
    return;
  }
  H1ClientStream* stream = stream_;
  close();
  if (stream != nullptr) stream->handler().on_reset(reason, stream->bytes_sent, detail);
}

bool H1ClientConnection::exchange_is_clean() {
  const H1ClientStream& stream = *stream_;
  if (!stream.request_ended() || !outbox_.empty() || !head_read_) return false;
  if (!response_done_) {
    // Given up with the rest of the response already here, as when a retriable answer is dropped.
    Buffer dropped;
    body_.read(in_, dropped, in_.size());
    response_done_ = body_.done();
  }
  return response_done_ && in_.empty() && keep_alive_ && !peer_ended_ && !retired_;
}

void H1ClientConnection::release_stream() {
  const bool clean = state_ == State::kExchange && exchange_is_clean();
  stream_ = nullptr;
  region_.clear();
  if (state_ == State::kClosed) return owner_.on_unused(*this);
  if (clean) {
    become_idle();
  } else {
    close();
  }
}

void H1ClientConnection::become_idle() {
  state_ = State::kIdle;
  flush_pending_ = read_pending_ = false;
  soon_.cancel();
  arm_idle();
  owner_.on_free(*this);
}

void H1ClientConnection::close() {
  if (state_ == State::kClosed) return;
  if (stream_ != nullptr) local_address();
  state_ = State::kClosed;
  timer_.cancel();
  age_timer_.cancel();
  soon_.cancel();
  outbox_.clear();
  in_.clear();
  socket_.reset();
  owner_.on_closed(*this);
  if (stream_ == nullptr) owner_.on_unused(*this);
}

}  // namespace lateen::stream
