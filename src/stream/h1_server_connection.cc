#include "stream/h1_server_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/result.h"
#include "http/date.h"
#include "http/status.h"
#include "stream/h1_server_stream.h"
#include "stream/head_region.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

namespace {

// Of requests that wait behind the current one. More stay in the kernel; reading at all shows whether the client is there.
constexpr std::size_t kPipelinedBytesMax = 16 * 1024;

class H1ServerConnection final : public ServerConnection, private net::SocketEvents, private H1ServerStream::Connection {
 public:
  H1ServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, ServerStreamAcceptor& acceptor,
                     const H1ServerOptions& options, std::string_view first_bytes);

  void drain() override;
  bool idle() const override { return state_ == State::kIdle; }
  const net::Address& remote_address() const override { return remote_; }
  const net::Address& local_address() const override { return local_; }

 private:
  enum class State : std::uint8_t { kIdle, kHead, kExchange, kTunnel, kDraining, kLingering, kClosed };

  // net::SocketEvents
  void on_readable() override { read(); }
  void on_writable() override { flush(); }
  void on_socket_error(int) override { on_connection_lost(); }
  // H1ServerStream::Connection
  Outbox& outbox() override { return outbox_; }
  void flush_soon() override;
  void read_soon() override;
  bool must_close(End end) override;
  void begin_tunnel() override;
  void cut() override;

  void run_soon();
  void on_soon();
  void on_timeout();

  bool wants_to_read() const;
  void read();
  void on_peer_end();
  void on_connection_lost();
  void process();
  bool advance();

  bool read_head();
  void begin_exchange();
  bool read_body();
  void on_bad_body();
  bool drop_body();
  void refuse(std::uint16_t status, std::string_view detail);
  bool is_http2() const;
  bool is_bad_preface() const;
  void hand_over();

  void flush();
  void on_flushed();
  void end_exchange();
  void become_idle();
  void linger();
  void close();

  net::Loop& loop_;
  std::unique_ptr<net::Socket> socket_;
  ServerStreamAcceptor& acceptor_;
  const H1ServerOptions options_;
  const net::Address remote_, local_;
  http::RequestParser parser_;
  HeadRegion region_;
  BodyReader body_;
  H1ServerStream stream_;
  Buffer in_;           // read, not yet used
  Outbox outbox_;
  State state_ = State::kIdle;
  bool request_done_ = true;      // the current request has been read to its end
  bool awaits_tunnel_ = false;    // an upgrade or CONNECT that has not been answered yet
  bool peer_ended_ = false;       // the client's FIN
  bool write_shut_ = false;       // ours
  bool drains_ = false;           // no request after the current one
  bool had_request_ = false;
  bool processing_ = false;
  bool large_reads_ = false;
  bool flush_pending_ = false, read_pending_ = false, closed_pending_ = false, in_soon_ = false;
  std::size_t dropped_bytes_ = 0; // in kDraining and kLingering
  Time head_started_{};
  net::Timer timer_;              // kIdle: idle; kHead: header timeout; kDraining, kLingering: linger timeout
  net::Timer age_timer_;
  net::Timer soon_;
};

H1ServerConnection::H1ServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                       ServerStreamAcceptor& acceptor, const H1ServerOptions& options,
                                       std::string_view first_bytes)
    : loop_(loop),
      socket_(std::move(socket)),
      acceptor_(acceptor),
      options_(options),
      remote_(socket_->remote_address()),
      local_(socket_->local_address()),
      parser_(options.head_limits),
      stream_(*this) {
  in_.append_copy(first_bytes);
  if (options_.max_connection_duration > Duration::zero()) {
    loop_.arm<&H1ServerConnection::drain>(age_timer_, options_.max_connection_duration, this);
  }
  if (options_.idle_timeout > Duration::zero()) {
    loop_.arm<&H1ServerConnection::on_timeout>(timer_, options_.idle_timeout, this);
  }
  socket_->set_events(this);
  if (!in_.empty()) read_soon();
}

// ---- what happens after the current event ---------------------------------------------------------------------------

void H1ServerConnection::run_soon() {
  if (!in_soon_ && !soon_.armed()) loop_.arm<&H1ServerConnection::on_soon>(soon_, Duration::zero(), this);
}

void H1ServerConnection::flush_soon() {
  flush_pending_ = true;
  run_soon();
}

void H1ServerConnection::read_soon() {
  read_pending_ = true;
  run_soon();
}

void H1ServerConnection::on_soon() {
  in_soon_ = true;
  if (std::exchange(flush_pending_, false)) flush();
  if (std::exchange(read_pending_, false)) {
    process();
    read();
  }
  in_soon_ = false;
  if (std::exchange(closed_pending_, false)) return acceptor_.on_connection_closed();
  if (flush_pending_ || read_pending_) run_soon();
}

void H1ServerConnection::on_timeout() {
  switch (state_) {
    case State::kIdle:
    case State::kDraining:
    case State::kLingering:
      close();
      return;
    case State::kHead:
      refuse(408, "request_header_timeout");
      return;
    case State::kExchange:
    case State::kTunnel:
    case State::kClosed:
      LATEEN_CHECK(false);  // these have no timer
  }
}

void H1ServerConnection::drain() {
  drains_ = true;
  if (state_ == State::kIdle) loop_.arm<&H1ServerConnection::on_timeout>(timer_, kDrainIdleTime, this);
}

// ---- reading --------------------------------------------------------------------------------------------------------

bool H1ServerConnection::wants_to_read() const {
  if (socket_ == nullptr || peer_ended_) return false;
  switch (state_) {
    case State::kIdle:
    case State::kHead:
    case State::kDraining:
    case State::kLingering:
      return true;
    case State::kExchange:
      if (request_done_ || awaits_tunnel_) return in_.size() < kPipelinedBytesMax;
      return stream_.credit() > 0;
    case State::kTunnel:
      return stream_.credit() > 0;
    case State::kClosed:
      return false;
  }
  return false;
}

void H1ServerConnection::read() {
  while (wants_to_read()) {
    const net::IoResult result = read_into(*socket_, in_, large_reads_);
    switch (result.status) {
      case net::IoStatus::kOk:
        large_reads_ = result.bytes >= kSlabBytes / 2 && state_ != State::kIdle && state_ != State::kHead;
        process();
        break;
      case net::IoStatus::kWouldBlock:
        return;
      case net::IoStatus::kEnd:
        peer_ended_ = true;
        on_peer_end();
        return;
      case net::IoStatus::kError:
        on_connection_lost();
        return;
    }
  }
}

void H1ServerConnection::on_peer_end() {
  switch (state_) {
    case State::kExchange:
      if (options_.half_close_is_gone) return on_connection_lost();
      if (request_done_ || awaits_tunnel_) return;  // a half-closed client still gets its answer
      if (in_.empty()) on_connection_lost();
      return;  // what has been read is delivered first: see advance()
    case State::kTunnel:
      process();
      return;
    case State::kIdle:
    case State::kHead:
    case State::kDraining:
    case State::kLingering:
      close();
      return;
    case State::kClosed:
      return;
  }
}

void H1ServerConnection::on_connection_lost() {
  if (state_ == State::kClosed) return;
  const bool has_stream = state_ == State::kExchange || state_ == State::kTunnel;
  outbox_.clear();
  close();
  if (has_stream) stream_.on_reset(ResetReason::kConnectionTermination);
}

void H1ServerConnection::process() {
  if (std::exchange(processing_, true)) return;  // further up the stack the loop goes on
  while (advance()) {
  }
  processing_ = false;
}

// One step with what has been read; false when it needs more, or somebody else's doing.
bool H1ServerConnection::advance() {
  switch (state_) {
    case State::kIdle:
    case State::kHead:
      return !in_.empty() && read_head();
    case State::kExchange:
      if (request_done_ || awaits_tunnel_) return false;
      if (peer_ended_ && in_.empty()) {
        on_connection_lost();
        return false;
      }
      return read_body();
    case State::kTunnel:
      return !request_done_ && read_body();
    case State::kDraining:
      return !in_.empty() && drop_body();
    case State::kLingering:
      dropped_bytes_ += in_.size();
      in_.clear();
      if (dropped_bytes_ > kLingerBytesMax) close();
      return false;
    case State::kClosed:
      in_.clear();
      return false;
  }
  return false;
}

bool H1ServerConnection::read_head() {
  if (region_.size() == 0) head_started_ = loop_.now();
  region_.take(in_);
  switch (parser_.parse(region_.data(), region_.size())) {
    case http::ParseState::kNeedMore:
      if (state_ == State::kIdle && parser_.started()) {
        state_ = State::kHead;
        timer_.cancel();
        if (options_.header_timeout > Duration::zero()) {
          loop_.arm<&H1ServerConnection::on_timeout>(timer_, options_.header_timeout, this);
        }
      }
      return false;
    case http::ParseState::kRefused:
      if (is_http2()) {
        hand_over();
        return false;
      }
      if (is_bad_preface()) {
        linger();
        acceptor_.on_refused(parser_.refusal().status, parser_.refusal().detail);
        return true;
      }
      refuse(parser_.refusal().status, parser_.refusal().detail);
      return true;
    case http::ParseState::kComplete:
      region_.finish(parser_.head_bytes(), in_);
      begin_exchange();
      return true;
  }
  return false;
}

void H1ServerConnection::begin_exchange() {
  timer_.cancel();
  state_ = State::kExchange;
  had_request_ = true;
  http::RequestHead& head = parser_.head();
  const http::Framing& framing = parser_.framing();
  if (head.scheme.empty()) head.scheme = options_.scheme;
  // An upgrade with a body would have to wait for the body's end; RFC 9110, section 7.8 lets a server ignore it.
  if (framing.body == http::BodyKind::kLength || framing.body == http::BodyKind::kChunked) head.is_upgrade = false;
  awaits_tunnel_ = head.is_upgrade || framing.body == http::BodyKind::kTunnel;
  body_.begin(framing);
  request_done_ = !awaits_tunnel_ && body_.done();
  stream_.begin(head, framing.keep_alive, !request_done_ && !awaits_tunnel_, head_started_);
  ServerStreamHandler* handler = acceptor_.on_request(stream_, request_done_ ? End::kYes : End::kNo);
  LATEEN_CHECK(handler != nullptr);
  if (state_ != State::kClosed) stream_.set_handler(handler);
}

bool H1ServerConnection::read_body() {
  const bool ends_raw = state_ == State::kTunnel && peer_ended_ && in_.size() <= stream_.credit();
  if (in_.empty() && !ends_raw) return false;
  if (stream_.credit() == 0 && !ends_raw) return false;
  Buffer data;
  body_.read(in_, data, stream_.credit());
  if (ends_raw) body_.on_connection_end();
  if (body_.state() == BodyReader::State::kRefused) {
    on_bad_body();
    return true;
  }
  request_done_ = body_.done();
  const bool has_trailers = request_done_ && body_.has_trailers();
  if (!data.empty() || (request_done_ && !has_trailers)) {
    stream_.on_data(std::move(data), request_done_ && !has_trailers ? End::kYes : End::kNo);
  }
  if (has_trailers && (state_ == State::kExchange)) stream_.on_trailers(std::move(body_.trailers()));
  // A tunnel whose two halves have both ended is complete.
  if (request_done_ && state_ == State::kTunnel) flush_soon();
  return true;
}

// The client broke the framing of its body. It is told so, if the answer has not begun.
void H1ServerConnection::on_bad_body() {
  const bool head_sent = stream_.head_sent();
  const http::Refusal refusal = body_.refusal();
  state_ = State::kLingering;  // before the call: nothing of the stream is used any more
  stream_.on_reset(ResetReason::kProtocolError);
  if (state_ == State::kClosed) return;
  if (head_sent) {
    close();
  } else {
    refuse(refusal.status, refusal.detail);
  }
}

// kDraining: the body of a request that has been answered.
bool H1ServerConnection::drop_body() {
  Buffer dropped;
  body_.read(in_, dropped, in_.size());
  dropped_bytes_ += dropped.size();
  if (body_.done()) {
    become_idle();
    return true;
  }
  if (body_.state() == BodyReader::State::kRefused || dropped_bytes_ > kLingerBytesMax) linger();
  return state_ == State::kLingering;
}

// An answer of the connection's own, after which it closes.
void H1ServerConnection::refuse(std::uint16_t status, std::string_view detail) {
  timer_.cancel();
  const std::string_view body = http::reason_phrase(status);
  const auto date = http::format_date(loop_.wall_now());
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text.append(body).append("\r\ncontent-length: ").append(std::to_string(body.size()));
  text.append("\r\ncontent-type: text/plain\r\n");
  if (!options_.server_name.empty()) text.append("server: ").append(options_.server_name).append("\r\n");
  text.append("date: ").append(date.data(), date.size()).append("\r\nconnection: close\r\n\r\n").append(body);
  outbox_.put_framing(text);
  linger();
  acceptor_.on_refused(status, detail);
}

// The parser has read "PRI * HTTP/2.0" and nothing behind it, so the bytes are as they came.
bool H1ServerConnection::is_http2() const {
  if (options_.http2 == nullptr || had_request_) return false;
  const std::string_view seen(region_.data(), std::min(region_.size(), kH2Preface.size()));
  return kH2Preface.starts_with(seen);
}

// Where HTTP/2 is spoken too, a line of three words without HTTP or a target among them is a bad preface (h2spec 3.5/2): an answer in
// HTTP/1.1 would be read as frames. Whatever looks more like a request gets its answer.
bool H1ServerConnection::is_bad_preface() const {
  if (options_.http2 == nullptr || had_request_) return false;
  const std::string_view seen(region_.data(), region_.size());
  const std::string_view line = seen.substr(0, seen.find('\r'));
  const std::size_t first = line.find(' ');
  if (line.size() == seen.size() || first == std::string_view::npos || line.find("HTTP") != std::string_view::npos) return false;
  const std::string_view rest = line.substr(first + 1);
  return rest.find(' ') != std::string_view::npos && !rest.starts_with('/') && !rest.starts_with('*');
}

void H1ServerConnection::hand_over() {
  state_ = State::kClosed;
  timer_.cancel();
  age_timer_.cancel();
  socket_->set_events(nullptr);
  options_.http2->on_http2_preface(std::move(socket_), {region_.data(), region_.size()});
}

// ---- writing and ending ---------------------------------------------------------------------------------------------

bool H1ServerConnection::must_close(End end) {
  if (drains_ || peer_ended_) return true;
  // After a CONNECT that was refused come bytes that were meant for the tunnel.
  if (awaits_tunnel_) return body_.state() == BodyReader::State::kRaw;
  if (request_done_) return false;
  // The client may send the body or not: what follows could be either.
  if (stream_.awaits_continue()) return true;
  return end == End::kYes && body_.length_is_known() && body_.bytes_left() > kDrainBytesMax;
}

void H1ServerConnection::begin_tunnel() {
  if (!awaits_tunnel_) return cut();  // a 101 that the client has not asked for
  awaits_tunnel_ = false;
  request_done_ = false;
  body_.begin_raw();
  state_ = State::kTunnel;
  read_soon();
}

void H1ServerConnection::flush() {
  if (socket_ == nullptr) return;
  std::size_t body_bytes = 0;
  const Outbox::Flush result = outbox_.flush(*socket_, body_bytes);
  if (result == Outbox::Flush::kFailed) return on_connection_lost();
  if (body_bytes > 0) stream_.on_sent(body_bytes);
  if (result == Outbox::Flush::kEmpty && outbox_.empty()) on_flushed();
}

void H1ServerConnection::on_flushed() {
  switch (state_) {
    case State::kExchange:
      if (stream_.response_ended()) end_exchange();
      return;
    case State::kTunnel:
      if (!stream_.response_ended()) return;
      if (!std::exchange(write_shut_, true)) socket_->shutdown_write();
      if (!request_done_) return;
      close();
      stream_.on_complete();
      return;
    case State::kLingering:
      if (!std::exchange(write_shut_, true)) socket_->shutdown_write();
      return;
    case State::kIdle:
    case State::kHead:
    case State::kDraining:
    case State::kClosed:
      return;
  }
}

void H1ServerConnection::end_exchange() {
  const bool keep = stream_.keep_alive() && !peer_ended_ && !drains_;
  const bool can_drain = !stream_.awaits_continue() &&
                         !(body_.length_is_known() && body_.bytes_left() > kLingerBytesMax);
  const bool unanswered_tunnel = std::exchange(awaits_tunnel_, false);
  stream_.on_complete();
  if (state_ != State::kExchange) return;
  if (keep && (request_done_ || unanswered_tunnel)) {
    become_idle();
    read_soon();
  } else if (keep && can_drain) {
    state_ = State::kDraining;
    dropped_bytes_ = 0;
    loop_.arm<&H1ServerConnection::on_timeout>(timer_, options_.linger_timeout, this);
    read_soon();
  } else if (request_done_ && in_.empty()) {
    // The client has nothing under way that could turn our FIN into a reset, so far as we know.
    close();
  } else {
    linger();
  }
}

void H1ServerConnection::become_idle() {
  state_ = State::kIdle;
  request_done_ = true;
  region_.clear();
  parser_.reset();
  timer_.cancel();
  if (drains_) return in_.empty() ? close() : linger();
  if (options_.idle_timeout > Duration::zero()) {
    loop_.arm<&H1ServerConnection::on_timeout>(timer_, options_.idle_timeout, this);
  }
}

// Closing at once with bytes unread would make the kernel send a reset, which can destroy our answer on its way: so only
// our half is closed, and what comes is dropped for a while.
void H1ServerConnection::linger() {
  state_ = State::kLingering;
  dropped_bytes_ = 0;
  in_.clear();
  timer_.cancel();
  loop_.arm<&H1ServerConnection::on_timeout>(timer_, options_.linger_timeout, this);
  flush_soon();
  read_soon();
}

// The traffic code, or the framing, gave up: what is queued may leave, the end must look like no end.
void H1ServerConnection::cut() {
  if (state_ == State::kClosed) return;
  std::size_t body_bytes = 0;
  const bool flushed = outbox_.flush(*socket_, body_bytes) == Outbox::Flush::kEmpty;
  if (stream_.until_close() || !flushed) socket_->reset_on_close();
  const bool was_ended = stream_.response_ended();
  close();
  if (!was_ended) stream_.on_reset(ResetReason::kLocal);
}

void H1ServerConnection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  timer_.cancel();
  age_timer_.cancel();
  socket_.reset();
  closed_pending_ = true;
  run_soon();
}

}  // namespace

std::unique_ptr<ServerConnection> make_h1_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                            ServerStreamAcceptor& acceptor,
                                                            const H1ServerOptions& options,
                                                            std::string_view first_bytes) {
  return std::make_unique<H1ServerConnection>(loop, std::move(socket), acceptor, options, first_bytes);
}

}  // namespace lateen::stream
