#include "stream/h1_server_stream.h"

#include <utility>

#include "base/result.h"

namespace lateen::stream {

namespace {
constexpr std::uint16_t kStatusContinue = 100;
}

void H1ServerStream::begin(http::RequestHead& head, bool keep_alive, bool has_body, Time started) {
  handler_ = nullptr;
  head_ = &head;
  answered_ = {head.method, head.version, keep_alive};
  state_ = State::kOpen;
  keep_alive_ = false;
  awaits_continue_ = head.expects_continue && has_body;
  started_ = started;
  unconsumed_ = 0;
  request_bytes_ = response_bytes_ = 0;
}

void H1ServerStream::on_data(Buffer data, End end) {
  awaits_continue_ = false;  // it did not wait
  unconsumed_ += data.size();
  request_bytes_ += data.size();
  handler_->on_data(std::move(data), end);
}

void H1ServerStream::on_sent(std::size_t bytes) {
  if (handler_ != nullptr) handler_->on_sent(bytes);
}

void H1ServerStream::on_reset(ResetReason reason) {
  state_ = State::kEnded;
  if (ServerStreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_reset(reason);
}

void H1ServerStream::on_complete() {
  if (ServerStreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_complete();
}

void H1ServerStream::send_informational(const http::ResponseHead& head) {
  LATEEN_CHECK(head.status >= 100 && head.status < 200 && head.status != 101);
  // HTTP/1.0 has none, and a client that does not wait for a 100 could take it for something else.
  if (state_ != State::kOpen || answered_.version == http::Version::kHttp10) return;
  if (head.status == kStatusContinue && !std::exchange(awaits_continue_, false)) return;
  connection_.outbox().put_head(head, http::OutgoingFraming{});
  connection_.flush_soon();
}

void H1ServerStream::send_headers(const http::ResponseHead& head, End end) {
  if (state_ == State::kEnded) return;  // the client has gone
  LATEEN_CHECK(state_ == State::kOpen);
  if (connection_.must_close(end)) answered_.keep_alive = false;
  http::OutgoingFraming framing = http::frame_response(head, answered_, end == End::kNo);
  const bool is_tunnel = framing.body == http::BodyKind::kTunnel;
  keep_alive_ = answered_.keep_alive && !framing.close && framing.body != http::BodyKind::kUntilClose && !is_tunnel;
  framing.close = !keep_alive_ && !is_tunnel;
  if (framing.close) framing.writes_keep_alive = false;
  connection_.outbox().put_head(head, framing);
  writer_.begin(framing);
  state_ = State::kHeadSent;
  connection_.flush_soon();
  if (is_tunnel) connection_.begin_tunnel();
  if (end == End::kYes) send_data({}, End::kYes);
}

void H1ServerStream::send_data(Buffer data, End end) {
  if (state_ == State::kEnded) return;
  LATEEN_CHECK(state_ == State::kHeadSent);
  response_bytes_ += data.size();
  if (!writer_.data(connection_.outbox(), std::move(data), end)) return connection_.cut();
  if (end == End::kYes) state_ = State::kEnded;
  connection_.flush_soon();
}

void H1ServerStream::send_trailers(const http::HeaderMap& trailers) {
  if (state_ == State::kEnded) return;
  LATEEN_CHECK(state_ == State::kHeadSent);
  if (!writer_.trailers(connection_.outbox(), trailers)) return connection_.cut();
  state_ = State::kEnded;
  connection_.flush_soon();
}

void H1ServerStream::consumed(std::size_t bytes) {
  LATEEN_CHECK(bytes <= unconsumed_);
  const bool was_full = credit() == 0;
  unconsumed_ -= bytes;
  if (state_ == State::kOpen && std::exchange(awaits_continue_, false)) {
    connection_.outbox().put_static(http::kContinue);
    connection_.flush_soon();
  }
  if (was_full && credit() > 0) connection_.read_soon();
}

void H1ServerStream::reset() {
  handler_ = nullptr;
  state_ = State::kEnded;
  connection_.cut();
}

}  // namespace lateen::stream
