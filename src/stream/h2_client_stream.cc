#include "stream/h2_client_stream.h"

#include <array>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <utility>

#include "base/result.h"
#include "http/h1_writer.h"

namespace lateen::stream {

namespace {

const net::Address kNoAddress{};

// What the answer to a WebSocket key is (RFC 6455, section 4.2.2): an HTTP/1.1 client wants it, an HTTP/2 server has no
// key to make it from. Empty: no key was sent.
std::string websocket_accept(const http::HeaderMap& headers) {
  const std::optional<std::string_view> key = headers.get("sec-websocket-key");
  if (!key) return {};
  std::string text(*key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 4 * (SHA_DIGEST_LENGTH / 3 + 1) + 1> base64;
  const int size = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(size)};
}

}  // namespace

// ---- the request ----------------------------------------------------------------------------------------------------

void H2ClientExchange::send_headers(const http::RequestHead& head, End end) {
  if (head.is_upgrade && !connection_.session().has_settings()) return hold(head, end);
  submit(head, end);
}

void H2ClientExchange::hold(const http::RequestHead& head, End end) {
  held_ = std::make_unique<Held>();
  held_->method = head.method;
  held_->scheme = head.scheme;
  held_->authority = head.authority;
  held_->path = head.path;
  http::RequestHead& copy = held_->head;
  copy.method = held_->method;
  copy.scheme = held_->scheme;
  copy.authority = held_->authority;
  copy.path = held_->path;
  copy.headers = head.headers.copy();
  copy.is_upgrade = head.is_upgrade;
  held_->end = end;
}

void H2ClientExchange::on_settings() {
  if (held_ == nullptr) return;
  const std::unique_ptr<Held> held = std::move(held_);
  submit(held->head, held->end);
}

void H2ClientExchange::submit(const http::RequestHead& head, End end) {
  LATEEN_CHECK(!submitted_);
  const http::OutgoingFraming framing = http::frame_request(head, end == End::kNo);
  body_ = framing.body;
  length_left_ = framing.length;
  std::string accept = head.is_upgrade ? websocket_accept(head.headers) : std::string();
  if (!connection_.session().submit(call_, head, end == End::kYes, std::move(accept))) return connection_.fail_soon(number_);
  submitted_ = true;
  if (end == End::kYes) request_ended_ = true;
  // What was sent while the head was held.
  if (!pending_.empty() || (request_ended_ && end == End::kNo)) {
    connection_.session().offer(call_, pending_.size(), request_ended_);
  }
  connection_.flush_soon();
}

void H2ClientExchange::send_data(Buffer data, End end) {
  if (closed_ || request_ended_) return;
  const std::size_t size = data.size();
  if (body_ == http::BodyKind::kLength) {
    if (size > length_left_ || (end == End::kYes && size < length_left_)) {
      return finish(ResetReason::kLocal, "request body does not have its announced length");
    }
    length_left_ -= size;
  }
  pending_.append(std::move(data));
  request_ended_ = end == End::kYes;
  if (!submitted_) return;
  connection_.session().offer(call_, size, request_ended_);
  connection_.flush_soon();
}

void H2ClientExchange::send_trailers(const http::HeaderMap& trailers) {
  if (closed_ || request_ended_ || !submitted_) return;
  if (body_ == http::BodyKind::kLength && length_left_ > 0) {
    return finish(ResetReason::kLocal, "request body does not have its announced length");
  }
  request_ended_ = true;
  connection_.session().offer_trailers(call_, trailers);
  connection_.flush_soon();
}

void H2ClientExchange::write_body(std::size_t bytes) {
  Buffer part;
  pending_.move_prefix(bytes, part);
  connection_.put_body(number_, std::move(part));
}

void H2ClientExchange::on_sent(std::size_t bytes) {
  if (stream_ != nullptr) stream_->handler().on_sent(bytes);
}

// ---- the answer -----------------------------------------------------------------------------------------------------

void H2ClientExchange::on_informational(http::ResponseHead head) {
  if (stream_ != nullptr) stream_->handler().on_informational(std::move(head));
}

void H2ClientExchange::on_head(http::ResponseHead head, bool end) {
  if (stream_ != nullptr) stream_->handler().on_headers(std::move(head), end ? End::kYes : End::kNo);
}

void H2ClientExchange::on_data(std::string_view bytes) {
  if (stream_ == nullptr) return connection_.session().consume(call_.id, bytes.size());
  unconsumed_ += bytes.size();
  stream_->handler().on_data(connection_.received(bytes), End::kNo);
}

void H2ClientExchange::on_end() {
  if (stream_ != nullptr) stream_->handler().on_data({}, End::kYes);
}

void H2ClientExchange::on_trailers(http::HeaderMap trailers) {
  if (stream_ != nullptr) stream_->handler().on_trailers(std::move(trailers));
}

void H2ClientExchange::consumed(std::size_t bytes) {
  if (closed_) return;
  LATEEN_CHECK(bytes <= unconsumed_);
  unconsumed_ -= bytes;
  if (bytes == 0) return;
  connection_.session().consume(call_.id, bytes);
  connection_.flush_soon();
}

// ---- the end --------------------------------------------------------------------------------------------------------

void H2ClientExchange::on_closed(http::H2ClientClose why, std::string_view detail) {
  closed_ = true;
  // What the handler still holds is no longer the stream's: the connection's window has it back.
  if (unconsumed_ > 0) connection_.session().consume_closed(std::exchange(unconsumed_, 0));
  connection_.flush_soon();
  connection_.retire(number_);
  H2ClientStream* stream = std::exchange(stream_, nullptr);
  if (stream == nullptr) return;
  stream->detach();
  ResetReason reason = ResetReason::kConnectionTermination;
  switch (why) {
    case http::H2ClientClose::kComplete: return;   // the handler knows
    case http::H2ClientClose::kRefused: reason = ResetReason::kRefused; break;
    case http::H2ClientClose::kPeerReset: reason = ResetReason::kRemoteReset; break;
    case http::H2ClientClose::kProtocolError: reason = ResetReason::kProtocolError; break;
    case http::H2ClientClose::kLocalReset: reason = ResetReason::kLocal; break;
  }
  stream->handler().on_reset(reason, bytes_sent_, detail);
}

void H2ClientExchange::fail_unsent() {
  if (closed_) return;
  closed_ = true;
  connection_.retire(number_);
  H2ClientStream* stream = std::exchange(stream_, nullptr);
  if (stream == nullptr) return;
  stream->detach();
  const bool refused = connection_.session().closing();
  stream->handler().on_reset(refused ? ResetReason::kRefused : ResetReason::kProtocolError, false,
                             refused ? "" : "the peer does not take upgrades");
}

void H2ClientExchange::on_connection_end(ResetReason reason, std::string_view detail) {
  closed_ = true;
  connection_.retire(number_);
  H2ClientStream* stream = std::exchange(stream_, nullptr);
  if (stream == nullptr) return;
  stream->detach();
  if (!call_.answer_ended) stream->handler().on_reset(reason, bytes_sent_, detail);
}

// We give the exchange up; the handler is told.
void H2ClientExchange::finish(ResetReason reason, std::string_view detail) {
  H2ClientStream* stream = std::exchange(stream_, nullptr);
  const bool bytes_sent = bytes_sent_;
  if (stream != nullptr) stream->detach();
  release();
  if (stream != nullptr) stream->handler().on_reset(reason, bytes_sent, detail);
}

void H2ClientExchange::release() {
  stream_ = nullptr;
  if (closed_) return;
  pending_.clear();
  if (!submitted_) {
    closed_ = true;
    return connection_.retire(number_);
  }
  if (unconsumed_ > 0) connection_.session().consume(call_.id, std::exchange(unconsumed_, 0));
  // Both sides have said all: the protocol's stream closes by itself.
  if (!(call_.answer_ended && call_.end_sent)) connection_.session().reset(call_, http::H2Error::kCancel);
  connection_.flush_soon();
}

H2ClientStream::~H2ClientStream() {
  if (exchange_ != nullptr) exchange_->release();
  if (connection_ != nullptr) connection_->on_stream_released(*this);
}

void H2ClientStream::send_headers(const http::RequestHead& head, End end) {
  if (exchange_ != nullptr) exchange_->send_headers(head, end);
}

void H2ClientStream::send_data(Buffer data, End end) {
  if (exchange_ != nullptr) exchange_->send_data(std::move(data), end);
}

void H2ClientStream::send_trailers(const http::HeaderMap& trailers) {
  if (exchange_ != nullptr) exchange_->send_trailers(trailers);
}

void H2ClientStream::consumed(std::size_t bytes) {
  if (exchange_ != nullptr) exchange_->consumed(bytes);
}

const net::Address& H2ClientStream::remote_address() const {
  return connection_ != nullptr ? connection_->remote_address() : kNoAddress;
}

const net::Address& H2ClientStream::local_address() const {
  return connection_ != nullptr ? connection_->local_address() : kNoAddress;
}

}  // namespace lateen::stream
