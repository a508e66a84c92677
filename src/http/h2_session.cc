#include "http/h2_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/h2_nghttp2.h"
#include "http/path.h"

namespace lateen::http {

namespace {

// A status as text; `digits` keeps it.
std::string_view status_text(std::uint16_t status, std::array<char, 5>& digits) {
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), status).ptr;
  return {digits.data(), static_cast<std::size_t>(end - digits.data())};
}

// Graphic ASCII without "#", as in HTTP/1.
bool is_target(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

bool equal_hosts(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// The crumbs of a cookie become one field again (RFC 9113, section 8.2.3).
void join_cookies(HeaderMap& headers) {
  if (headers.count("cookie") < 2) return;
  std::string whole;
  for (const Header& header : headers.fields()) {
    if (header.id != HeaderId::kCookie) continue;
    if (!whole.empty()) whole += "; ";
    whole += header.value;
  }
  headers.set(HeaderId::kCookie, whole);
}

// That it is a CONNECT with a path has been seen by the library.
void become_upgrade(H2Exchange& exchange) {
  exchange.is_extended_connect = exchange.head.is_upgrade = true;
  exchange.head.method = "GET";
  exchange.head.headers.add_reference(HeaderId::kConnection, "upgrade");
  exchange.head.headers.add_reference(HeaderId::kUpgrade, exchange.protocol);
}

}  // namespace

// What nghttp2 calls.
struct H2ServerSession::Callbacks {
  static H2ServerSession& self(void* user) { return static_cast<H2ServerSession&>(*static_cast<H2Framing*>(user)); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2ServerSession& session = self(user);
    session.heading_ = frame->hd.stream_id;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) session.opened_.add(frame->hd.stream_id);
    session.events_.on_head_started();
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      session.begin_head(frame->hd.stream_id);
    } else {
      session.begin_trailers();
    }
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t, void* user) {
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      self(user).add_field(text_of(name), text_of(value));
    } else {
      self(user).add_trailer(text_of(name), text_of(value));
    }
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    H2Exchange* exchange = self(user).exchange_of(frame->hd.stream_id);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        self(user).stop_heading(frame->hd.stream_id);
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
          self(user).end_head(ends);
        } else if (exchange != nullptr) {
          self(user).end_trailers(*exchange);
        }
        return 0;
      case NGHTTP2_DATA:
        if (exchange != nullptr && ends) exchange->owner->on_end();
        return 0;
      case NGHTTP2_RST_STREAM:
        if (exchange != nullptr) exchange->peer_reset = true;
        return 0;
      case NGHTTP2_SETTINGS:
        self(user).started_ = true;
        return 0;
      default:
        return 0;
    }
  }

  static int on_data(nghttp2_session* session, std::uint8_t, H2StreamId id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    H2Exchange* exchange = self(user).exchange_of(id);
    if (exchange != nullptr) {
      exchange->owner->on_data({reinterpret_cast<const char*>(data), size});
    } else {
      nghttp2_session_consume_connection(session, size);
    }
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, H2StreamId id, std::uint32_t error, void* user) {
    H2Exchange* exchange = self(user).exchange_of(id);
    self(user).stop_heading(id);
    if (self(user).peer_has_ended(id) || (exchange != nullptr && exchange->peer_reset)) self(user).ended_by_peer_.add(id);
    if (exchange == nullptr) {
      self(user).drop_incoming(id);
      return 0;
    }
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    H2Close why = H2Close::kComplete;
    if (exchange->local_reset) {
      why = H2Close::kLocalReset;
    } else if (exchange->peer_reset) {
      why = H2Close::kPeerReset;
    } else if (error != NGHTTP2_NO_ERROR) {
      why = H2Close::kProtocolError;
      self(user).pay_reset();
    }
    exchange->owner->on_closed(why);
    return 0;
  }

  // A head that cannot be sent, because it is too large.
  static int on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int, void*) {
    if (frame->hd.type == NGHTTP2_HEADERS) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    }
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
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    return callbacks;
  }
};

H2ServerSession::H2ServerSession(H2SessionEvents& events, const H2ServerOptions& options)
    : events_(events), options_(options) {
  expect_preface();
  nghttp2_option* option = nullptr;
  LATEEN_CHECK(nghttp2_option_new(&option) == 0);
  set_common(option);
  nghttp2_session_callbacks* callbacks = Callbacks::make();
  LATEEN_CHECK(nghttp2_session_server_new2(&session_, callbacks, static_cast<H2Framing*>(this), option) == 0);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  const std::uint32_t streams = options.streams_max == 0 ? kH2StreamsMax : std::min(options.streams_max, kH2StreamsMost);
  std::vector<std::pair<std::uint16_t, std::uint32_t>> settings = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2_window_bytes(options.stream_window_bytes, kH2StreamWindowBytes)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(options.limits.bytes_max)}};
  if (options.extended_connect) settings.emplace_back(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  submit_settings(h2_window_bytes(options.connection_window_bytes, kH2ConnectionWindowBytes), settings);
}

// What the library only ignores, because it could cross a reset of ours; but these have not (RFC 9113, sections 5.1, 5.1.1).
void H2ServerSession::on_closed_frame(std::uint8_t type, H2StreamId id) {
  if (ended_by_peer_.has(id)) return terminate_with(NGHTTP2_STREAM_CLOSED);
  if (type == NGHTTP2_HEADERS && opened_.reaches(id) && !opened_.has(id)) terminate_with(NGHTTP2_PROTOCOL_ERROR);
}

// The rest of a request is not wanted once it is answered (RFC 9113, section 8.1).
void H2ServerSession::on_end_frame_sent(H2StreamId id) {
  if (!peer_has_ended(id)) submit_reset(id, NGHTTP2_NO_ERROR);
}

// ---- requests -------------------------------------------------------------------------------------------------------

void H2ServerSession::stop_heading(H2StreamId id) {
  if (heading_ != id) return;
  heading_ = 0;
  events_.on_head_ended();
}

// The frames of the head were wrong, and its stream was reset by the library.
void H2ServerSession::drop_incoming(H2StreamId id) {
  if (incoming_ == nullptr || incoming_->id != id) return;
  incoming_.reset();
  pay_reset();
  events_.on_refused(400, "http2.invalid_request");
}

void H2ServerSession::begin_head(H2StreamId id) {
  if (incoming_ != nullptr) drop_incoming(incoming_->id);
  incoming_ = std::make_unique<H2Exchange>();
  incoming_->id = id;
  incoming_->head.version = Version::kHttp2;
}

void H2ServerSession::add_field(std::string_view name, std::string_view value) {
  if (incoming_ == nullptr || incoming_->refusal.status != 0) return;
  H2Exchange& exchange = *incoming_;
  exchange.head_bytes += name.size() + value.size() + kH2FieldOverheadBytes;
  if (exchange.head_bytes > options_.limits.bytes_max || exchange.head.headers.size() == options_.limits.fields_max) {
    exchange.refusal = {431, "http2.headers_too_large"};
    return;
  }
  if (!std::all_of(value.begin(), value.end(), bytes::in_value)) {
    exchange.refusal = {400, "http2.invalid_header_value"};
    return;
  }
  if (name == ":method") {
    exchange.method = value;
  } else if (name == ":path") {
    exchange.path = value;
  } else if (name == ":authority") {
    exchange.authority = value;
  } else if (name == ":scheme") {
    exchange.head.scheme = equals_ignoring_case(value, "http") ? "http" : equals_ignoring_case(value, "https") ? "https" : "";
  } else if (name == ":protocol") {
    exchange.protocol = value;
  } else if (name == "host") {
    exchange.host = value;
    exchange.has_host = true;
  } else {
    exchange.head.headers.add(name, value);
  }
}

void H2ServerSession::end_head(bool end_of_stream) {
  if (incoming_ == nullptr) return;
  std::unique_ptr<H2Exchange> exchange = std::move(incoming_);
  exchange->has_body = !end_of_stream;
  if (exchange->refusal.status != 0 || !check_head(*exchange)) return answer_refused(*exchange);
  H2Exchange* request = exchange.get();
  nghttp2_session_set_stream_user_data(session_, request->id, static_cast<H2Outgoing*>(request));
  request->owner = events_.on_request(std::move(exchange));
  request->source = request->owner;
}

bool H2ServerSession::check_head(H2Exchange& exchange) {
  const auto refuse = [&exchange](std::uint16_t status, std::string_view detail) {
    exchange.refusal = {status, detail};
    return false;
  };
  RequestHead& head = exchange.head;
  if (exchange.authority.empty()) exchange.authority = exchange.host;
  if (exchange.has_host && !equal_hosts(exchange.host, exchange.authority)) return refuse(400, "http2.host_differs");
  const std::optional<Authority> authority = parse_authority(exchange.authority);
  if (!authority) return refuse(400, "http2.invalid_authority");
  if (exchange.authority.ends_with(':')) exchange.authority.pop_back();
  if (!is_token(exchange.method)) return refuse(400, "http2.invalid_method");
  head.method = exchange.method;
  head.authority = exchange.authority;
  head.path = exchange.path;
  if (!exchange.protocol.empty()) become_upgrade(exchange);
  if (head.method == "CONNECT") {
    if (!authority->port) return refuse(400, "http2.invalid_url");
    if (head.headers.has(HeaderId::kContentLength)) return refuse(400, "http2.body_disallowed");
    head.scheme = options_.scheme;
  } else {
    const bool legal = exchange.path.starts_with('/') || (exchange.path == "*" && head.method == "OPTIONS");
    if (!legal || !is_target(exchange.path)) return refuse(400, "http2.invalid_url");
    if (head.scheme.empty()) return refuse(400, "http2.invalid_scheme");
  }
  if (const auto expect = head.headers.get(HeaderId::kExpect)) {
    if (head.headers.count("expect") > 1 || !equals_ignoring_case(*expect, "100-continue")) {
      return refuse(417, "http2.unknown_expectation");
    }
    head.expects_continue = true;
  }
  join_cookies(head.headers);
  return true;
}

// Without a body; the rest of the request is cut off by a reset.
void H2ServerSession::answer_refused(const H2Exchange& exchange) {
  ResponseHead head;
  head.status = exchange.refusal.status;
  if (!options_.server_name.empty()) head.headers.add_reference("server", options_.server_name);
  std::array<char, 5> digits{};
  H2Fields fields;
  fields.add(":status", status_text(head.status, digits));
  fields.add_end_to_end(head.headers);
  const Raw raw(fields);
  nghttp2_submit_response(session_, exchange.id, raw.data(), raw.size(), nullptr);
  events_.on_refused(exchange.refusal.status, exchange.refusal.detail);
}

void H2ServerSession::end_trailers(H2Exchange& exchange) {
  if (trailers_refused()) {
    submit_reset(exchange.id, NGHTTP2_PROTOCOL_ERROR);
  } else {
    exchange.owner->on_trailers(take_trailers());
  }
}

// ---- responses ------------------------------------------------------------------------------------------------------

void H2ServerSession::submit_informational(H2Exchange& exchange, const ResponseHead& head) {
  std::array<char, 5> digits{};
  H2Fields fields;
  fields.add(":status", status_text(head.status, digits));
  fields.add_end_to_end(head.headers);
  const Raw raw(fields);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, exchange.id, nullptr, raw.data(), raw.size(), nullptr);
}

void H2ServerSession::submit_response(H2Exchange& exchange, const ResponseHead& head, const OutgoingFraming& framing,
                                      bool end) {
  std::array<char, 5> digits{};
  const std::string length = std::to_string(framing.length);
  H2Fields fields;
  fields.add(":status", status_text(head.status, digits));
  fields.add_end_to_end(head.headers);
  if (framing.writes_length && head.headers.has(HeaderId::kContentLength)) fields.add("content-length", length);
  const Raw raw(fields);
  const nghttp2_data_provider body = h2_body_of(exchange);
  nghttp2_submit_response(session_, exchange.id, raw.data(), raw.size(), end ? nullptr : &body);
}

// ---- the end --------------------------------------------------------------------------------------------------------

void H2ServerSession::announce_drain() { nghttp2_submit_shutdown_notice(session_); }

void H2ServerSession::stop_accepting() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

}  // namespace lateen::http
