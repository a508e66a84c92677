#include "http/h2_client_session.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "base/result.h"
#include "http/h1_writer.h"
#include "http/h2_nghttp2.h"

namespace lateen::http {

namespace {

constexpr std::uint16_t kStatusSwitching = 101;

bool is_websocket_key(std::string_view name) { return name == "sec-websocket-key"; }

}  // namespace

// What nghttp2 calls.
struct H2ClientSession::Callbacks {
  static H2ClientSession& self(void* user) { return static_cast<H2ClientSession&>(*static_cast<H2Framing*>(user)); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const H2Call* call = self(user).call_of(frame->hd.stream_id);
    self(user).begin_head(frame->hd.stream_id, call != nullptr && call->has_final_head);
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t, void* user) {
    self(user).add_field(frame->hd.stream_id, text_of(name), text_of(value));
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2ClientSession& session = self(user);
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    H2Call* call = session.call_of(frame->hd.stream_id);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        session.end_head(frame->hd.stream_id, ends);
        return 0;
      case NGHTTP2_DATA:
        if (call == nullptr || !ends) return 0;
        call->answer_ended = true;
        call->events->on_end();
        return 0;
      case NGHTTP2_RST_STREAM:
        if (call != nullptr) call->peer_reset = true;
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
        session.has_settings_ = true;
        session.events_.on_room_changed();
        return 0;
      case NGHTTP2_GOAWAY:
        session.events_.on_room_changed();
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) session.events_.on_ping_answered();
        return 0;
      default:
        return 0;
    }
  }

  static int on_data(nghttp2_session* session, std::uint8_t, H2StreamId id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    H2Call* call = self(user).call_of(id);
    if (call != nullptr) {
      call->events->on_data({reinterpret_cast<const char*>(data), size});
    } else {
      nghttp2_session_consume_connection(session, size);
    }
    return 0;
  }

  static int before_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    H2Call* call = self(user).call_of(frame->hd.stream_id);
    if (call != nullptr && !std::exchange(call->head_sent, true)) call->events->on_head_sent();
    return 0;
  }

  // A head that is too large, or that a GOAWAY has come before.
  static int on_frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    H2Call* call = frame->hd.type == NGHTTP2_HEADERS ? self(user).call_of(frame->hd.stream_id) : nullptr;
    if (call != nullptr && call->head_sent) self(user).fail(*call, "trailers too large");
    return 0;
  }

  static int on_stream_close(nghttp2_session*, H2StreamId id, std::uint32_t error, void* user) {
    self(user).close(id, error);
    return 0;
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    LATEEN_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    set_common(callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, before_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return callbacks;
  }
};

H2ClientSession::H2ClientSession(H2ClientSessionEvents& events, const H2ClientOptions& options)
    : events_(events), options_(options) {
  peer_resets_cost_ = false;   // each has cost the peer a request of ours
  nghttp2_option* option = nullptr;
  LATEEN_CHECK(nghttp2_option_new(&option) == 0);
  set_common(option);
  nghttp2_option_set_peer_max_concurrent_streams(option, kH2PeerStreamsAssumed);
  nghttp2_session_callbacks* callbacks = Callbacks::make();
  LATEEN_CHECK(nghttp2_session_client_new2(&session_, callbacks, static_cast<H2Framing*>(this), option) == 0);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  submit_settings(h2_window_bytes(options.connection_window_bytes, kH2ConnectionWindowBytes),
                  {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                   {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2_window_bytes(options.stream_window_bytes, kH2StreamWindowBytes)},
                   {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(options.limits.bytes_max)}});
}

// ---- requests -------------------------------------------------------------------------------------------------------

bool H2ClientSession::closing() const {
  return terminated() || nghttp2_session_check_request_allowed(session_) == 0;
}

std::size_t H2ClientSession::streams_max() const {
  return closing() ? 0 : nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool H2ClientSession::submit(H2Call& call, const RequestHead& head, bool end, std::string accept) {
  if (closing()) return false;
  H2Fields fields;
  HeaderMap kept;
  const HeaderMap* headers = &head.headers;
  if (head.is_upgrade) {
    if (nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1) return false;
    call.is_extended_connect = true;
    call.protocol = head.headers.get(HeaderId::kUpgrade).value_or(std::string_view());
    call.accept = std::move(accept);
    kept = head.headers.copy();
    kept.remove_if([](const Header& field) { return is_websocket_key(field.name); });
    headers = &kept;
  }
  const bool is_connect = head.method == "CONNECT";
  fields.add(":method", call.is_extended_connect ? std::string_view("CONNECT") : head.method);
  if (call.is_extended_connect) fields.add(":protocol", call.protocol);
  if (!is_connect) {
    fields.add(":scheme", head.scheme.empty() ? std::string_view("http") : head.scheme);
    fields.add(":path", head.path);
  }
  fields.add(":authority", head.authority);
  fields.add_end_to_end(*headers);
  if (accepts_trailers(head.headers)) fields.add("te", "trailers");
  const OutgoingFraming framing = frame_request(head, !end);
  const std::string length = std::to_string(framing.length);
  if (framing.writes_length && head.headers.has(HeaderId::kContentLength)) fields.add("content-length", length);
  const Raw raw(fields);
  const nghttp2_data_provider body = h2_body_of(call);
  call.id = nghttp2_submit_request(session_, nullptr, raw.data(), raw.size(), end ? nullptr : &body,
                                   static_cast<H2Outgoing*>(&call));
  if (call.id < 0) return false;
  call.source = call.events;
  return true;
}

void H2ClientSession::ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

// ---- answers --------------------------------------------------------------------------------------------------------

void H2ClientSession::begin_head(H2StreamId, bool trailers) {
  in_trailers_ = trailers;
  if (trailers) return begin_trailers();
  fields_.clear();
  head_bytes_ = 0;
  status_ = 0;
}

void H2ClientSession::add_field(H2StreamId id, std::string_view name, std::string_view value) {
  H2Call* call = call_of(id);
  if (call == nullptr || !call->broken.empty()) return;
  if (in_trailers_) return add_trailer(name, value);
  head_bytes_ += name.size() + value.size() + kH2FieldOverheadBytes;
  if (head_bytes_ > options_.limits.bytes_max || fields_.size() >= options_.limits.fields_max) {
    return fail(*call, "response headers too large");
  }
  if (!std::all_of(value.begin(), value.end(), bytes::in_value)) return fail(*call, "illegal response header");
  if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), status_);
    return;
  }
  fields_.add(name, value);
}

void H2ClientSession::end_head(H2StreamId id, bool end) {
  H2Call* call = call_of(id);
  if (call == nullptr || !call->broken.empty()) return;
  if (in_trailers_) {
    if (trailers_refused()) return fail(*call, "illegal response trailers");
    call->answer_ended = true;
    return call->events->on_trailers(take_trailers());
  }
  if (status_ < 100 || status_ > 599) return fail(*call, "illegal response status");
  ResponseHead head;
  head.version = Version::kHttp2;
  head.status = static_cast<std::uint16_t>(status_);
  head.headers = std::exchange(fields_, {});
  if (status_ < 200) {
    if (++call->informational > kH2InformationalMax) return fail(*call, "too many informational responses");
    return call->events->on_informational(std::move(head));
  }
  call->has_final_head = true;
  call->answer_ended = end;
  if (call->is_extended_connect && status_ < 300) {
    head.status = kStatusSwitching;
    head.headers.add(HeaderId::kConnection, "upgrade");
    head.headers.add(HeaderId::kUpgrade, call->protocol);
    if (!call->accept.empty()) head.headers.add("sec-websocket-accept", call->accept);
  }
  call->events->on_head(std::move(head), end);
}

// The library says no more about a stream that it resets, until it is closed.
void H2ClientSession::fail(H2Call& call, std::string_view detail) {
  call.broken = detail;
  submit_reset(call.id, NGHTTP2_PROTOCOL_ERROR);
}

void H2ClientSession::close(H2StreamId id, std::uint32_t error) {
  H2Call* call = call_of(id);
  if (call == nullptr) return;
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
  if (!call->broken.empty()) return call->events->on_closed(H2ClientClose::kProtocolError, call->broken);
  if (call->local_reset) return call->events->on_closed(H2ClientClose::kLocalReset, "");
  if (!call->head_sent || error == NGHTTP2_REFUSED_STREAM) return call->events->on_closed(H2ClientClose::kRefused, "");
  if (call->answer_ended) return call->events->on_closed(H2ClientClose::kComplete, "");
  if (call->peer_reset) return call->events->on_closed(H2ClientClose::kPeerReset, nghttp2_http2_strerror(error));
  if (error == NGHTTP2_NO_ERROR) return call->events->on_closed(H2ClientClose::kPeerReset, "");
  call->events->on_closed(H2ClientClose::kProtocolError, nghttp2_http2_strerror(error));
}

}  // namespace lateen::http
