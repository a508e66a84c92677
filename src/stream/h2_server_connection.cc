#include "stream/h2_server_connection.h"

#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/h2_session.h"
#include "stream/h2_server_stream.h"
#include "stream/h2_received.h"
#include "stream/outbox.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

namespace {

http::H2ServerOptions session_options(const H1ServerOptions& options) {
  return {.limits = options.head_limits,
          .server_name = options.server_name,
          .scheme = options.scheme,
          .streams_max = options.http2_streams_max,
          .stream_window_bytes = options.http2_stream_window_bytes,
          .connection_window_bytes = options.http2_connection_window_bytes,
          .extended_connect = options.http2_extended_connect};
}

// An HTTP/1.1 server wants a key (RFC 6455, section 4.1), which HTTP/2 has no use for: 16 bytes, in base64.
void add_websocket_key(http::RequestHead& head, net::Loop& loop) {
  constexpr std::string_view kKey = "sec-websocket-key";
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::size_t kWholeDigits = 21;   // of 6 bits; the last digit has but 2, behind it comes padding
  if (head.headers.get(http::HeaderId::kUpgrade) != "websocket" || head.headers.get(kKey)) return;
  std::string key;
  for (std::size_t i = 0; i < kWholeDigits; ++i) key += kDigits[loop.random() % kDigits.size()];
  key += kDigits[loop.random() % 4 * 16];
  head.headers.add(kKey, key + "==");
}

class H2ServerConnection final : public ServerConnection,
                                 private net::SocketEvents,
                                 private http::H2SessionEvents,
                                 private H2ServerStream::Connection {
 public:
  H2ServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, ServerStreamAcceptor& acceptor,
                     const H1ServerOptions& options, std::string_view first_bytes);

  void drain() override;
  bool idle() const override { return state_ == State::kOpen && streams_.empty(); }
  const net::Address& remote_address() const override { return remote_; }
  const net::Address& local_address() const override { return local_; }

 private:
  enum class State : std::uint8_t { kOpen, kLingering, kClosed };
  // Where in the bytes written a stream's body or its end lies.
  struct Mark {
    std::uint64_t position;
    http::H2StreamId id;
    std::size_t body_bytes;
    bool is_end;
  };

  // net::SocketEvents
  void on_readable() override { read(); }
  void on_writable() override { flush_soon(); }
  void on_socket_error(int) override { on_connection_lost(); }
  // http::H2SessionEvents
  http::H2StreamEvents* on_request(std::unique_ptr<http::H2Exchange> exchange) override;
  void on_refused(std::uint16_t status, std::string_view detail) override { acceptor_.on_refused(status, detail); }
  void on_head_started() override;
  void on_head_ended() override { header_timer_.cancel(); }
  void write(std::string_view bytes) override;
  // H2ServerStream::Connection
  http::H2ServerSession& session() override { return session_; }
  void flush_soon() override;
  Buffer received(std::string_view bytes) override { return received_piece(current_, bytes); }
  void put_body(http::H2StreamId id, Buffer body) override;
  void put_end(http::H2StreamId id) override { marks_.push_back({written_, id, 0, true}); }
  void drain_soon() override { drain(); }
  void retire(http::H2StreamId id) override;

  void run_soon();
  void on_soon();
  void on_drain_time();
  void on_header_timeout();
  void on_idle_timeout();

  void read();
  void process();
  void flush();
  void release_marks();
  void on_connection_lost();
  void end_streams(ResetReason reason);
  void arm_idle();
  void linger();
  void close();

  net::Loop& loop_;
  std::unique_ptr<net::Socket> socket_;
  ServerStreamAcceptor& acceptor_;
  const H1ServerOptions options_;
  const net::Address remote_, local_;
  std::unordered_map<http::H2StreamId, std::unique_ptr<H2ServerStream>> streams_;
  std::vector<std::unique_ptr<H2ServerStream>> dead_;   // until the current event is over
  http::H2ServerSession session_;
  Buffer in_;                        // read, not yet given to the session
  Slice current_;                    // what the session is reading
  Outbox outbox_;
  std::deque<Mark> marks_;           // of what is in the outbox, in order
  std::uint64_t written_ = 0;        // bytes that were ever put into the outbox
  State state_ = State::kOpen;
  bool broken_ = false;              // the session can do no more
  bool gives_up_ = false;            // the timer is for the last bytes
  bool drains_ = false, write_shut_ = false, large_reads_ = false;
  bool flush_pending_ = false, read_pending_ = false, closed_pending_ = false, in_soon_ = false;
  std::size_t dropped_bytes_ = 0;    // in kLingering
  Time head_started_{};
  net::Timer timer_;                 // no stream: idle; kLingering: linger timeout
  net::Timer header_timer_, drain_timer_, age_timer_, soon_;
};

H2ServerConnection::H2ServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                       ServerStreamAcceptor& acceptor, const H1ServerOptions& options,
                                       std::string_view first_bytes)
    : loop_(loop),
      socket_(std::move(socket)),
      acceptor_(acceptor),
      options_(options),
      remote_(socket_->remote_address()),
      local_(socket_->local_address()),
      session_(*this, session_options(options)) {
  in_.append_copy(first_bytes);
  if (options_.max_connection_duration > Duration::zero()) {
    loop_.arm<&H2ServerConnection::drain>(age_timer_, options_.max_connection_duration, this);
  }
  on_head_started();  // the preface
  arm_idle();
  socket_->set_events(this);
  flush_soon();
  if (!in_.empty()) {
    read_pending_ = true;
    run_soon();
  }
}

// ---- what happens after the current event ---------------------------------------------------------------------------

void H2ServerConnection::run_soon() {
  if (!in_soon_ && !soon_.armed()) loop_.arm<&H2ServerConnection::on_soon>(soon_, Duration::zero(), this);
}

void H2ServerConnection::flush_soon() {
  flush_pending_ = true;
  run_soon();
}

void H2ServerConnection::on_soon() {
  in_soon_ = true;
  if (std::exchange(read_pending_, false)) {
    process();
    read();
  }
  if (std::exchange(flush_pending_, false)) flush();
  in_soon_ = false;
  dead_.clear();
  if (std::exchange(closed_pending_, false)) return acceptor_.on_connection_closed();
  if (flush_pending_ || read_pending_) run_soon();
}

void H2ServerConnection::on_idle_timeout() {
  if (state_ == State::kLingering || gives_up_) return on_connection_lost();
  session_.terminate(http::H2Error::kNone);
  flush_soon();
}

void H2ServerConnection::arm_idle() {
  if (options_.idle_timeout > Duration::zero()) {
    loop_.arm<&H2ServerConnection::on_idle_timeout>(timer_, options_.idle_timeout, this);
  }
}

void H2ServerConnection::on_header_timeout() {
  acceptor_.on_refused(408, "request_header_timeout");
  session_.terminate(http::H2Error::kNone);
  flush_soon();
}

// First all that is on its way is still taken, then only what has come (RFC 9113, section 6.8).
void H2ServerConnection::drain() {
  if (state_ != State::kOpen || std::exchange(drains_, true)) return;
  session_.announce_drain();
  loop_.arm<&H2ServerConnection::on_drain_time>(drain_timer_, kDrainIdleTime, this);
  flush_soon();
}

void H2ServerConnection::on_drain_time() {
  session_.stop_accepting();
  flush_soon();
}

// ---- reading --------------------------------------------------------------------------------------------------------

void H2ServerConnection::read() {
  while (socket_ != nullptr) {
    const net::IoResult result = read_into(*socket_, in_, large_reads_);
    switch (result.status) {
      case net::IoStatus::kOk:
        large_reads_ = result.bytes >= kSlabBytes / 2;
        process();
        break;
      case net::IoStatus::kWouldBlock:
        return;
      case net::IoStatus::kEnd:
      case net::IoStatus::kError:
        return on_connection_lost();
    }
  }
}

void H2ServerConnection::process() {
  const Buffer bytes = std::move(in_);
  in_.clear();
  if (state_ == State::kLingering) {
    dropped_bytes_ += bytes.size();
    if (dropped_bytes_ > kLingerBytesMax) close();
    return;
  }
  const bool had_started = session_.started();
  for (const Slice& slice : bytes.slices()) {
    if (broken_ || state_ != State::kOpen) break;
    current_ = slice;
    broken_ = !session_.receive(slice.view(), loop_.now());
    current_ = {};
  }
  if (!had_started && session_.started() && !session_.in_head()) header_timer_.cancel();
  flush_soon();
}

http::H2StreamEvents* H2ServerConnection::on_request(std::unique_ptr<http::H2Exchange> exchange) {
  timer_.cancel();
  const http::H2StreamId id = exchange->id;
  if (exchange->is_extended_connect) add_websocket_key(exchange->head, loop_);
  H2ServerStream::Connection& self = *this;
  auto made = std::make_unique<H2ServerStream>(self, std::move(exchange), head_started_);
  H2ServerStream& stream = *made;
  streams_.emplace(id, std::move(made));
  ServerStreamHandler* handler = acceptor_.on_request(stream, stream.request_end());
  LATEEN_CHECK(handler != nullptr);
  stream.set_handler(handler);
  return &stream;
}

void H2ServerConnection::on_head_started() {
  head_started_ = loop_.now();
  if (options_.header_timeout > Duration::zero()) {
    loop_.arm<&H2ServerConnection::on_header_timeout>(header_timer_, options_.header_timeout, this);
  }
}

// ---- writing --------------------------------------------------------------------------------------------------------

void H2ServerConnection::write(std::string_view bytes) {
  outbox_.put_framing(bytes);
  written_ += bytes.size();
}

void H2ServerConnection::put_body(http::H2StreamId id, Buffer body) {
  const std::size_t bytes = body.size();
  written_ += bytes;
  outbox_.put_body(std::move(body));
  marks_.push_back({written_, id, bytes, false});
}

void H2ServerConnection::flush() {
  bool blocked = false;
  while (socket_ != nullptr && state_ == State::kOpen && !blocked) {
    if (outbox_.size() < kH2OutboxBytesMax && !broken_) broken_ = !session_.produce(kH2OutboxBytesMax - outbox_.size());
    const bool has_output = !outbox_.empty();
    std::size_t body_bytes = 0;
    const Outbox::Flush result = outbox_.flush(*socket_, body_bytes);
    if (result == Outbox::Flush::kFailed) return on_connection_lost();
    blocked = result == Outbox::Flush::kBlocked;
    release_marks();
    if (!has_output) break;
  }
  if (state_ != State::kOpen || !(broken_ || session_.terminated() || session_.finished())) return;
  if (outbox_.empty()) {
    linger();
    end_streams(ResetReason::kProtocolError);
  } else if (!std::exchange(gives_up_, true)) {
    // The peer has so long to take the last bytes.
    loop_.arm<&H2ServerConnection::on_idle_timeout>(timer_, options_.linger_timeout, this);
  }
}

void H2ServerConnection::release_marks() {
  const std::uint64_t taken = written_ - outbox_.size();
  while (!marks_.empty() && marks_.front().position <= taken) {
    const Mark mark = marks_.front();
    marks_.pop_front();
    const auto found = streams_.find(mark.id);
    if (found == streams_.end()) continue;
    if (mark.is_end) {
      found->second->on_end_flushed();
    } else {
      found->second->on_sent(mark.body_bytes);
    }
  }
}

// ---- ending ---------------------------------------------------------------------------------------------------------

void H2ServerConnection::retire(http::H2StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  dead_.push_back(std::move(found->second));
  streams_.erase(found);
  if (streams_.empty() && state_ == State::kOpen) arm_idle();
  flush_soon();
}

void H2ServerConnection::end_streams(ResetReason reason) {
  while (!streams_.empty()) streams_.begin()->second->on_connection_end(reason);
}

void H2ServerConnection::on_connection_lost() {
  if (state_ == State::kClosed) return;
  outbox_.clear();
  marks_.clear();
  close();
  end_streams(ResetReason::kConnectionTermination);
}

// As in HTTP/1: closing at once with bytes unread could destroy our last frames on their way.
void H2ServerConnection::linger() {
  state_ = State::kLingering;
  header_timer_.cancel();
  drain_timer_.cancel();
  age_timer_.cancel();
  socket_->shutdown_write();
  loop_.arm<&H2ServerConnection::on_idle_timeout>(timer_, options_.linger_timeout, this);
}

void H2ServerConnection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  for (net::Timer* timer : {&timer_, &header_timer_, &drain_timer_, &age_timer_}) timer->cancel();
  socket_.reset();
  closed_pending_ = true;
  run_soon();
}

}  // namespace

std::unique_ptr<ServerConnection> make_h2_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                            ServerStreamAcceptor& acceptor,
                                                            const H1ServerOptions& options,
                                                            std::string_view first_bytes) {
  return std::make_unique<H2ServerConnection>(loop, std::move(socket), acceptor, options, first_bytes);
}

}  // namespace lateen::stream
