#include "stream/h1_client_stream.h"

#include "base/result.h"

namespace lateen::stream {

namespace {
const net::Address kNoAddress{};
}

void H1ClientStream::send_headers(const http::RequestHead& head, End end) {
  LATEEN_CHECK(!head_sent_);
  head_sent_ = true;
  if (connection_ == nullptr || connection_->closed()) return;
  const bool is_connect = head.method == "CONNECT";
  awaits_tunnel_ = is_connect || head.is_upgrade;
  const http::OutgoingFraming framing = http::frame_request(head, end == End::kNo && !awaits_tunnel_);
  connection_->outbox_.put_head(head, framing);
  connection_->begin_response(is_connect ? "CONNECT" : head.method == "HEAD" ? "HEAD" : "GET");
  writer_.begin(framing);
  if (end == End::kYes && !awaits_tunnel_) send_data({}, End::kYes);
  if (end == End::kYes) held_end_ = true;
  connection_->flush_soon();
}

void H1ClientStream::send_data(Buffer data, End end) {
  if (connection_ == nullptr || connection_->closed()) return;
  LATEEN_CHECK(head_sent_);
  if (awaits_tunnel_) {
    held_.append(std::move(data));
    held_end_ = held_end_ || end == End::kYes;
    return;
  }
  if (!writer_.data(connection_->outbox_, std::move(data), end)) {
    return connection_->fail(ResetReason::kLocal, "request body does not have its announced length");
  }
  connection_->flush_soon();
}

void H1ClientStream::send_trailers(const http::HeaderMap& trailers) {
  if (connection_ == nullptr || connection_->closed()) return;
  LATEEN_CHECK(head_sent_ && !awaits_tunnel_);
  if (!writer_.trailers(connection_->outbox_, trailers)) {
    return connection_->fail(ResetReason::kLocal, "request body does not have its announced length");
  }
  connection_->flush_soon();
}

void H1ClientStream::on_tunnel(bool granted) {
  awaits_tunnel_ = false;
  is_tunnel_ = granted;
  if (!granted) {
    // There is nothing to send: an upgrade's request has no body, and a CONNECT's would be the tunnel.
    held_.clear();
    LATEEN_CHECK(writer_.ended() || writer_.data(connection_->outbox_, {}, End::kYes));
    return;
  }
  writer_.begin_raw();
  if (!held_.empty() || held_end_) send_data(std::move(held_), held_end_ ? End::kYes : End::kNo);
}

void H1ClientStream::consumed(std::size_t bytes) {
  LATEEN_CHECK(bytes <= unconsumed_);
  const bool was_full = credit() == 0;
  unconsumed_ -= bytes;
  if (was_full && credit() > 0 && connection_ != nullptr) connection_->read_soon();
}

const net::Address& H1ClientStream::remote_address() const {
  return connection_ != nullptr ? connection_->remote_address() : kNoAddress;
}

const net::Address& H1ClientStream::local_address() const {
  return connection_ != nullptr ? connection_->local_address() : kNoAddress;
}

}  // namespace lateen::stream
