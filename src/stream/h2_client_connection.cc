#include "stream/h2_client_connection.h"

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "stream/h2_server_connection.h"
#include "stream/slab_arena.h"

namespace lateen::stream {

H2ClientConnection::H2ClientConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, const net::Address& remote,
                                       const PoolOptions& options, Owner& owner)
    : loop_(loop),
      socket_(std::move(socket)),
      remote_(remote),
      options_(options),
      owner_(owner),
      session_(*this, {.limits = options.head_limits}) {
  if (options_.max_connection_duration > Duration::zero()) {
    loop_.arm<&H2ClientConnection::on_age>(age_timer_, options_.max_connection_duration, this);
  }
  if (options_.http2_ping_interval > Duration::zero()) {
    loop_.arm<&H2ClientConnection::on_ping_time>(ping_timer_, options_.http2_ping_interval, this);
  }
  arm_idle();
  socket_->set_events(this);
  flush_soon();
}

H2ClientConnection::~H2ClientConnection() {
  closed_ = unused_ = true;
  end_exchanges(ResetReason::kLocal, "connection pool closed");
  for (H2ClientStream* stream = first_; stream != nullptr; stream = stream->next) stream->forget_connection();
}

const net::Address& H2ClientConnection::local_address() const {
  if (local_.family == net::Address::Family::kNone && socket_ != nullptr) local_ = socket_->local_address();
  return local_;
}

// ---- streams --------------------------------------------------------------------------------------------------------

std::size_t H2ClientConnection::room() const {
  if (closed_ || retired_ || broken_) return 0;
  const std::size_t ours = options_.http2_streams_max == 0 ? kPoolStreamsMax : options_.http2_streams_max;
  const std::size_t most = std::min({ours, std::size_t{kPoolStreamsMax}, session_.streams_max()});
  return most > exchanges_.size() ? most - exchanges_.size() : 0;
}

std::unique_ptr<ClientStream> H2ClientConnection::start_stream(ClientStreamHandler& handler) {
  LATEEN_CHECK(room() > 0);
  idle_timer_.cancel();
  H2ClientExchange::Connection& self = *this;
  const std::uint64_t number = ++started_;
  auto stream = std::make_unique<H2ClientStream>(self, handler, number > 1);
  auto exchange = std::make_unique<H2ClientExchange>(self, number, *stream);
  stream->attach(*exchange);
  stream->next = first_;
  if (first_ != nullptr) first_->previous = stream.get();
  first_ = stream.get();
  exchanges_.emplace(number, std::move(exchange));
  if (options_.max_requests_per_connection > 0 && started_ >= options_.max_requests_per_connection) retired_ = true;
  return stream;
}

void H2ClientConnection::on_stream_released(H2ClientStream& stream) {
  (stream.previous != nullptr ? stream.previous->next : first_) = stream.next;
  if (stream.next != nullptr) stream.next->previous = stream.previous;
  if (closed_ && first_ == nullptr && !std::exchange(unused_, true)) owner_.on_unused(*this);
}

void H2ClientConnection::retire(std::uint64_t exchange) {
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end()) return;
  dead_.push_back(std::move(found->second));
  exchanges_.erase(found);
  if (closed_) return;
  run_soon();
  if (exchanges_.empty()) arm_idle();
  owner_.on_room(*this);
}

void H2ClientConnection::fail_soon(std::uint64_t exchange) {
  failing_.push_back(exchange);
  run_soon();
}

void H2ClientConnection::on_room_changed() {
  settings_came_ = true;
  run_soon();
  owner_.on_room(*this);
}

void H2ClientConnection::retire() {
  if (std::exchange(retired_, true)) return;
  if (idle()) shut_down();
}

void H2ClientConnection::arm_idle() {
  if (options_.idle_timeout > Duration::zero()) {
    loop_.arm<&H2ClientConnection::on_idle_timeout>(idle_timer_, options_.idle_timeout, this);
  }
}

// ---- whether the peer lives -----------------------------------------------------------------------------------------

void H2ClientConnection::on_ping_time() {
  session_.ping();
  flush_soon();
  const bool has_timeout = options_.http2_ping_timeout > Duration::zero();
  const Duration timeout = has_timeout ? options_.http2_ping_timeout : options_.http2_ping_interval;
  loop_.arm<&H2ClientConnection::on_ping_timeout>(ping_timer_, timeout, this);
}

void H2ClientConnection::on_ping_answered() {
  if (options_.http2_ping_interval <= Duration::zero()) return;
  loop_.arm<&H2ClientConnection::on_ping_time>(ping_timer_, options_.http2_ping_interval, this);
}

// ---- what happens after the current event ---------------------------------------------------------------------------

void H2ClientConnection::run_soon() {
  if (!in_soon_ && !closed_ && !soon_.armed()) loop_.arm<&H2ClientConnection::on_soon>(soon_, Duration::zero(), this);
}

void H2ClientConnection::flush_soon() {
  flush_pending_ = true;
  run_soon();
}

void H2ClientConnection::on_soon() {
  in_soon_ = true;
  if (std::exchange(settings_came_, false) && session_.has_settings()) {
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, exchange] : exchanges_) {
      if (exchange->is_held()) numbers.push_back(number);
    }
    for (const std::uint64_t number : numbers) {
      if (const auto found = exchanges_.find(number); found != exchanges_.end()) found->second->on_settings();
    }
  }
  for (const std::uint64_t number : std::exchange(failing_, {})) {
    if (const auto found = exchanges_.find(number); found != exchanges_.end()) found->second->fail_unsent();
  }
  if (std::exchange(flush_pending_, false)) flush();
  in_soon_ = false;
  dead_.clear();
  if (closed_) return;
  if (retired_ && idle()) return shut_down();
  if (flush_pending_ || !failing_.empty()) run_soon();
}

// ---- reading --------------------------------------------------------------------------------------------------------

void H2ClientConnection::read() {
  while (socket_ != nullptr) {
    Buffer in;
    const net::IoResult result = read_into(*socket_, in, large_reads_);
    switch (result.status) {
      case net::IoStatus::kOk:
        large_reads_ = result.bytes >= kSlabBytes / 2;
        process(in);
        break;
      case net::IoStatus::kWouldBlock:
        return;
      case net::IoStatus::kEnd:
        return on_connection_lost("connection closed by the peer");
      case net::IoStatus::kError:
        return on_connection_lost("connection reset by peer");
    }
  }
}

void H2ClientConnection::process(const Buffer& bytes) {
  for (const Slice& slice : bytes.slices()) {
    if (broken_ || closed_) break;
    current_ = slice;
    broken_ = !session_.receive(slice.view(), loop_.now());
    current_ = {};
  }
  flush_soon();
}

// ---- writing --------------------------------------------------------------------------------------------------------

void H2ClientConnection::write(std::string_view bytes) {
  outbox_.put_framing(bytes);
  written_ += bytes.size();
}

void H2ClientConnection::put_body(std::uint64_t exchange, Buffer body) {
  const std::size_t bytes = body.size();
  written_ += bytes;
  outbox_.put_body(std::move(body));
  marks_.push_back({written_, exchange, bytes});
}

void H2ClientConnection::flush() {
  bool blocked = false;
  while (socket_ != nullptr && !blocked) {
    if (outbox_.size() < kH2OutboxBytesMax && !broken_) broken_ = !session_.produce(kH2OutboxBytesMax - outbox_.size());
    const bool has_output = !outbox_.empty();
    std::size_t body_bytes = 0;
    const Outbox::Flush result = outbox_.flush(*socket_, body_bytes);
    // The peer may have answered before it closed: what it has said is read first, and the end of that tells the rest.
    if (result == Outbox::Flush::kFailed) {
      outbox_.clear();
      marks_.clear();
      read();
      return on_connection_lost("connection reset by peer");
    }
    blocked = result == Outbox::Flush::kBlocked;
    release_marks();
    if (!has_output) break;
  }
  if (closed_ || !(broken_ || session_.terminated() || session_.finished())) return;
  close();
  end_exchanges(ResetReason::kProtocolError, "http2 protocol error");
}

void H2ClientConnection::release_marks() {
  const std::uint64_t taken = written_ - outbox_.size();
  while (!marks_.empty() && marks_.front().position <= taken) {
    const Mark mark = marks_.front();
    marks_.pop_front();
    const auto found = exchanges_.find(mark.exchange);
    if (found == exchanges_.end()) continue;
    if (mark.body_bytes == 0) {
      found->second->on_first_byte();
    } else {
      found->second->on_sent(mark.body_bytes);
    }
  }
}

// ---- ending ---------------------------------------------------------------------------------------------------------

void H2ClientConnection::end_exchanges(ResetReason reason, std::string_view detail) {
  while (!exchanges_.empty()) {
    const auto first = exchanges_.begin();
    H2ClientExchange& exchange = *first->second;
    exchange.on_connection_end(reason, detail);   // retires it
  }
}

void H2ClientConnection::on_connection_lost(std::string_view detail) {
  if (closed_) return;
  close();
  end_exchanges(ResetReason::kConnectionTermination, detail);
}

// Without an exchange: says goodbye, as far as the socket takes it at once.
void H2ClientConnection::shut_down() {
  if (closed_) return;
  session_.terminate(http::H2Error::kNone);
  if (outbox_.size() < kH2OutboxBytesMax && !broken_ && session_.produce(kH2OutboxBytesMax)) {
    std::size_t body_bytes = 0;
    outbox_.flush(*socket_, body_bytes);
  }
  close();
}

void H2ClientConnection::close() {
  if (std::exchange(closed_, true)) return;
  if (first_ != nullptr) local_address();
  for (net::Timer* timer : {&idle_timer_, &age_timer_, &ping_timer_, &soon_}) timer->cancel();
  outbox_.clear();
  marks_.clear();
  socket_.reset();
  owner_.on_closed(*this);
  if (first_ == nullptr && !std::exchange(unused_, true)) owner_.on_unused(*this);
}

}  // namespace lateen::stream
