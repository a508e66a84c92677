#include "stream/h2_server_stream.h"

#include <utility>

#include "base/result.h"

namespace lateen::stream {

namespace {
constexpr std::uint16_t kStatusContinue = 100;
constexpr std::uint16_t kStatusSwitching = 101;
constexpr std::uint16_t kStatusOk = 200;
}  // namespace

H2ServerStream::H2ServerStream(Connection& connection, std::unique_ptr<http::H2Exchange> exchange, Time started)
    : connection_(connection),
      exchange_(std::move(exchange)),
      awaits_continue_(exchange_->head.expects_continue && exchange_->has_body),
      started_(started) {}

void H2ServerStream::set_handler(ServerStreamHandler* handler) {
  if (!aborted_) handler_ = handler;
  if (was_cut_) handler->on_reset(ResetReason::kLocal);
}

// ---- what comes from the client -------------------------------------------------------------------------------------

void H2ServerStream::on_data(std::string_view bytes) {
  if (handler_ == nullptr) {
    connection_.session().consume(exchange_->id, bytes.size());
    return;
  }
  awaits_continue_ = false;  // it did not wait
  unconsumed_ += bytes.size();
  request_bytes_ += bytes.size();
  handler_->on_data(connection_.received(bytes), End::kNo);
}

void H2ServerStream::on_end() {
  if (handler_ != nullptr) handler_->on_data({}, End::kYes);
}

void H2ServerStream::on_trailers(http::HeaderMap trailers) {
  if (handler_ != nullptr) handler_->on_trailers(std::move(trailers));
}

void H2ServerStream::on_closed(http::H2Close why) {
  closed_ = true;
  // What the handler still holds is no longer the stream's: the connection's window has it back.
  if (unconsumed_ > 0) connection_.session().consume_closed(std::exchange(unconsumed_, 0));
  if (aborted_) return connection_.retire(exchange_->id);
  if (exchange_->end_sent) {
    if (end_flushed_) complete();
    return;
  }
  fail(why == http::H2Close::kProtocolError ? ResetReason::kProtocolError : ResetReason::kConnectionTermination);
}

void H2ServerStream::on_connection_end(ResetReason reason) {
  closed_ = true;
  fail(reason);
}

void H2ServerStream::fail(ResetReason reason) {
  aborted_ = true;
  state_ = State::kEnded;
  pending_.clear();
  connection_.retire(exchange_->id);
  if (ServerStreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_reset(reason);
}

void H2ServerStream::consumed(std::size_t bytes) {
  if (closed_) return;
  LATEEN_CHECK(bytes <= unconsumed_);
  unconsumed_ -= bytes;
  if (state_ == State::kOpen && awaits_continue_) send_continue();
  if (bytes > 0) connection_.session().consume(exchange_->id, bytes);
  connection_.flush_soon();
}

// ---- the response ---------------------------------------------------------------------------------------------------

void H2ServerStream::send_continue() {
  http::ResponseHead head;
  head.status = kStatusContinue;
  send_informational(head);
}

void H2ServerStream::send_informational(const http::ResponseHead& head) {
  LATEEN_CHECK(head.status >= 100 && head.status < 200 && head.status != kStatusSwitching);
  if (state_ != State::kOpen) return;
  if (head.status == kStatusContinue && !std::exchange(awaits_continue_, false)) return;
  connection_.session().submit_informational(*exchange_, head);
  connection_.flush_soon();
}

void H2ServerStream::send_headers(const http::ResponseHead& head, End end) {
  if (state_ == State::kEnded) return;  // the client has gone
  LATEEN_CHECK(state_ == State::kOpen);
  if (exchange_->is_extended_connect) {
    // RFC 8441, section 5: 101 is 200; any other 2xx would be taken for it.
    if (head.status == kStatusSwitching) return send_established(head, end);
    if (head.status < 300) return cut();
  } else if (head.status == kStatusSwitching) {
    return cut();  // HTTP/2 has no upgrade (RFC 9113, section 8.6)
  }
  const http::Answered answered{exchange_->head.method, http::Version::kHttp2, true};
  submit(head, http::frame_response(head, answered, end == End::kNo), end);
}

void H2ServerStream::send_established(const http::ResponseHead& head, End end) {
  http::ResponseHead established;
  established.status = kStatusOk;
  established.headers = head.headers.copy();
  established.headers.remove("sec-websocket-accept");   // stands for the key, which HTTP/2 does not have
  http::OutgoingFraming raw;
  raw.body = http::BodyKind::kTunnel;
  submit(established, raw, end);
}

void H2ServerStream::submit(const http::ResponseHead& head, const http::OutgoingFraming& framing, End end) {
  body_ = framing.body;
  length_left_ = framing.length;
  connection_.session().submit_response(*exchange_, head, framing, end == End::kYes);
  state_ = end == End::kYes ? State::kEnded : State::kHeadSent;
  connection_.flush_soon();
}

void H2ServerStream::send_data(Buffer data, End end) {
  if (state_ == State::kEnded) return;
  LATEEN_CHECK(state_ == State::kHeadSent);
  const std::size_t size = data.size();
  response_bytes_ += size;
  if (body_ == http::BodyKind::kLength) {
    if (size > length_left_ || (end == End::kYes && size < length_left_)) return cut();
    length_left_ -= size;
  }
  // HEAD, 204, 304: what would have been the body goes nowhere.
  const bool drops = body_ == http::BodyKind::kNone;
  if (!drops) pending_.append(std::move(data));
  if (end == End::kYes) state_ = State::kEnded;
  connection_.session().offer(*exchange_, drops ? 0 : size, end == End::kYes);
  connection_.flush_soon();
}

void H2ServerStream::send_trailers(const http::HeaderMap& trailers) {
  if (state_ == State::kEnded) return;
  LATEEN_CHECK(state_ == State::kHeadSent);
  if (body_ == http::BodyKind::kLength && length_left_ > 0) return cut();
  state_ = State::kEnded;
  connection_.session().offer_trailers(*exchange_, trailers);
  connection_.flush_soon();
}

void H2ServerStream::write_body(std::size_t bytes) {
  Buffer part;
  pending_.move_prefix(bytes, part);
  connection_.put_body(exchange_->id, std::move(part));
}

void H2ServerStream::on_sent(std::size_t bytes) {
  if (handler_ != nullptr) handler_->on_sent(bytes);
}

void H2ServerStream::on_end_flushed() {
  end_flushed_ = true;
  if (closed_ && !aborted_) complete();
}

void H2ServerStream::complete() {
  aborted_ = true;
  connection_.retire(exchange_->id);
  if (ServerStreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_complete();
}

void H2ServerStream::reset() {
  handler_ = nullptr;
  state_ = State::kEnded;
  if (std::exchange(aborted_, true)) return;
  pending_.clear();
  if (closed_) return connection_.retire(exchange_->id);
  connection_.session().reset(*exchange_, http::H2Error::kInternal);
  connection_.flush_soon();
}

// The response cannot be what its head said.
void H2ServerStream::cut() {
  ServerStreamHandler* handler = handler_;
  reset();
  if (handler == nullptr) {
    was_cut_ = true;  // inside the acceptor's on_request: told when there is a handler
  } else {
    handler->on_reset(ResetReason::kLocal);
  }
}

}  // namespace lateen::stream
