#include "http/h2_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nghttp2/nghttp2.h>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/chunked.h"
#include "http/path.h"

namespace lateen::http {

namespace {

constexpr std::size_t kFieldOverheadBytes = 32;          // of SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113, section 6.5.2)
constexpr std::size_t kHeaderBlockBytesMax = 256 * 1024; // of a response
constexpr std::size_t kStatusDigits = 3;

std::string_view text_of(nghttp2_rcbuf* buffer) {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

// nghttp2 takes mutable pointers and copies.
nghttp2_nv field_of(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

H2Exchange* exchange_of(nghttp2_session* session, H2StreamId id) {
  return static_cast<H2Exchange*>(nghttp2_session_get_stream_user_data(session, id));
}

// A response's fields, ready for nghttp2.
class Fields {
 public:
  explicit Fields(const ResponseHead& head) {
    const auto end = std::to_chars(status_.data(), status_.data() + status_.size(), head.status).ptr;
    fields_.push_back(field_of(":status", {status_.data(), static_cast<std::size_t>(end - status_.data())}));
    add(head.headers);
  }
  void add(const HeaderMap& headers) {
    std::vector<Header> kept;
    end_to_end_fields(headers, kept);
    for (const Header& header : kept) add(header.name, header.value);
  }
  void add(std::string_view name, std::string_view value) { fields_.push_back(field_of(name, value)); }
  void add_length(std::uint64_t length) {
    const auto end = std::to_chars(length_.data(), length_.data() + length_.size(), length).ptr;
    add("content-length", {length_.data(), static_cast<std::size_t>(end - length_.data())});
  }
  const nghttp2_nv* data() const { return fields_.data(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::array<char, kStatusDigits + 2> status_{};
  std::array<char, 20> length_{};
  std::vector<nghttp2_nv> fields_;
};

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

}  // namespace

// What nghttp2 calls.
struct H2ServerSession::Callbacks {
  static H2ServerSession& self(void* user) { return *static_cast<H2ServerSession*>(user); }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    switch (head->type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_CONTINUATION:
        return 0;
      case NGHTTP2_DATA:
        if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0) self(user).pay_control(1);
        return 0;
      case NGHTTP2_RST_STREAM:
        self(user).pay_reset();
        return 0;
      default:
        self(user).pay_control(1);
        return 0;
    }
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2ServerSession& session = self(user);
    session.heading_ = frame->hd.stream_id;
    session.events_.on_head_started();
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      session.begin_head(frame->hd.stream_id);
    } else {
      session.trailers_.clear();
      session.trailer_bytes_ = 0;
      session.trailers_refused_ = false;
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

  // Fields that the library would only leave out make the request malformed.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    H2Exchange* exchange = exchange_of(session, frame->hd.stream_id);
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
                     void*) {
    H2Exchange* exchange = exchange_of(session, id);
    if (exchange != nullptr) {
      exchange->owner->on_data({reinterpret_cast<const char*>(data), size});
    } else {
      nghttp2_session_consume_connection(session, size);
    }
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, H2StreamId id, std::uint32_t error, void* user) {
    H2Exchange* exchange = exchange_of(session, id);
    self(user).stop_heading(id);
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

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_DATA) self(user).control_.add(kH2ControlFramesPerDataSent);
    if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    H2Exchange* exchange = exchange_of(session, frame->hd.stream_id);
    if (exchange != nullptr) {
      exchange->end_sent = true;
      exchange->owner->on_end_sent();
    }
    // The rest of the request is not wanted (RFC 9113, section 8.1).
    if (nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  // A head that cannot be sent, because it is too large.
  static int on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int, void*) {
    if (frame->hd.type == NGHTTP2_HEADERS) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, H2StreamId id, std::uint8_t*, std::size_t size, std::uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    if (self(user).send_left_ == 0) return NGHTTP2_ERR_PAUSE;
    H2Exchange& exchange = *static_cast<H2Exchange*>(source->ptr);
    const std::size_t bytes = std::min(size, exchange.offered);
    exchange.offered -= bytes;
    const bool ends = exchange.offered == 0 && exchange.offers_end;
    if (bytes == 0 && !ends) {
      exchange.waits_for_offer = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!ends) return static_cast<ssize_t>(bytes);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (exchange.trailers == nullptr || exchange.trailers->empty()) return static_cast<ssize_t>(bytes);
    std::vector<nghttp2_nv> fields;
    for (const Header& header : exchange.trailers->fields()) {
      if (allowed_in_trailers(header.id)) fields.push_back(field_of(header.name, header.value));
    }
    if (!fields.empty() && nghttp2_submit_trailer(session, id, fields.data(), fields.size()) == 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(bytes);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) {
    constexpr std::size_t kFrameHeadBytes = 9;
    self(user).write({reinterpret_cast<const char*>(head), kFrameHeadBytes});
    if (size > 0) static_cast<H2Exchange*>(source->ptr)->owner->write_body(size);
    self(user).wrote(size);
    return 0;
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    LATEEN_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
  }
};

H2ServerSession::H2ServerSession(H2SessionEvents& events, const HeadLimits& limits, std::string_view server_name,
                                 std::string_view scheme)
    : events_(events), limits_(limits), server_name_(server_name), scheme_(scheme) {
  nghttp2_option* option = nullptr;
  LATEEN_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kH2FramesQueuedMax);
  nghttp2_option_set_max_send_header_block_length(option, kHeaderBlockBytesMax);
  nghttp2_session_callbacks* callbacks = Callbacks::make();
  LATEEN_CHECK(nghttp2_session_server_new2(&session_, callbacks, this, option) == 0);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  const std::array<nghttp2_settings_entry, 3> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kH2StreamsMax},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kH2StreamWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits_.bytes_max)},
  }};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kH2ConnectionWindowBytes);
}

H2ServerSession::~H2ServerSession() { nghttp2_session_del(session_); }

// ---- bytes ----------------------------------------------------------------------------------------------------------

bool H2ServerSession::receive(std::string_view bytes, Time now) {
  if (terminated_) return true;  // what comes now is not looked at
  if (filled_ != Time{}) {
    const double seconds = std::chrono::duration<double>(now - filled_).count();
    control_.add(seconds * kH2ControlFramesPerSecond);
    resets_.add(seconds * kH2ResetsPerSecond);
  }
  filled_ = now;
  const ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) return false;
  if (nghttp2_session_get_outbound_queue_size(session_) > kH2FramesQueuedMax) terminate(H2Error::kEnhanceYourCalm);
  return true;
}

bool H2ServerSession::produce(std::size_t bytes_max) {
  send_left_ = bytes_max;
  while (send_left_ > 0) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return false;
    if (size == 0) return true;
    write({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  }
  return true;
}

void H2ServerSession::write(std::string_view bytes) {
  events_.write(bytes);
  wrote(bytes.size());
}

bool H2ServerSession::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
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
  exchange.head_bytes += name.size() + value.size() + kFieldOverheadBytes;
  if (exchange.head_bytes > limits_.bytes_max || exchange.head.headers.size() == limits_.fields_max) {
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
  nghttp2_session_set_stream_user_data(session_, request->id, request);
  request->owner = events_.on_request(std::move(exchange));
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
  if (head.method == "CONNECT") {
    if (!authority->port) return refuse(400, "http2.invalid_url");
    if (head.headers.has(HeaderId::kContentLength)) return refuse(400, "http2.body_disallowed");
    head.scheme = scheme_;
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
  if (!server_name_.empty()) head.headers.add_reference("server", server_name_);
  const Fields fields(head);
  nghttp2_submit_response(session_, exchange.id, fields.data(), fields.size(), nullptr);
  events_.on_refused(exchange.refusal.status, exchange.refusal.detail);
}

void H2ServerSession::add_trailer(std::string_view name, std::string_view value) {
  trailer_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  const bool legal = trailer_bytes_ <= kH2TrailerBytesMax && trailers_.size() < kH2TrailerFieldsMax &&
                     allowed_in_trailers(header_id(name)) && std::all_of(value.begin(), value.end(), bytes::in_value);
  if (!legal) trailers_refused_ = true;
  if (!trailers_refused_) trailers_.add(name, value);
}

void H2ServerSession::end_trailers(H2Exchange& exchange) {
  if (trailers_refused_) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, exchange.id, NGHTTP2_PROTOCOL_ERROR);
  } else {
    exchange.owner->on_trailers(std::exchange(trailers_, {}));
  }
}

// ---- responses ------------------------------------------------------------------------------------------------------

void H2ServerSession::submit_informational(H2Exchange& exchange, const ResponseHead& head) {
  const Fields fields(head);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, exchange.id, nullptr, fields.data(), fields.size(), nullptr);
}

void H2ServerSession::submit_response(H2Exchange& exchange, const ResponseHead& head, const OutgoingFraming& framing,
                                      bool end) {
  Fields fields(head);
  if (framing.writes_length && head.headers.has(HeaderId::kContentLength)) fields.add_length(framing.length);
  nghttp2_data_provider provider{};
  provider.source.ptr = &exchange;
  provider.read_callback = Callbacks::read_body;
  nghttp2_submit_response(session_, exchange.id, fields.data(), fields.size(), end ? nullptr : &provider);
}

void H2ServerSession::offer(H2Exchange& exchange, std::size_t bytes, bool end) {
  exchange.offered += bytes;
  exchange.offers_end |= end;
  if ((bytes > 0 || end) && std::exchange(exchange.waits_for_offer, false)) nghttp2_session_resume_data(session_, exchange.id);
}

void H2ServerSession::offer_trailers(H2Exchange& exchange, const HeaderMap& trailers) {
  exchange.trailers = std::make_unique<HeaderMap>(trailers.copy());
  offer(exchange, 0, true);
}

void H2ServerSession::reset(H2Exchange& exchange, H2Error error) {
  exchange.local_reset = true;
  exchange.offered = 0;
  exchange.offers_end = false;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, exchange.id, static_cast<std::uint32_t>(error));
}

void H2ServerSession::consume(H2StreamId id, std::size_t bytes) { nghttp2_session_consume(session_, id, bytes); }

void H2ServerSession::consume_closed(std::size_t bytes) { nghttp2_session_consume_connection(session_, bytes); }

// ---- the end, and what a client may cost ----------------------------------------------------------------------------

void H2ServerSession::announce_drain() { nghttp2_submit_shutdown_notice(session_); }

void H2ServerSession::stop_accepting() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void H2ServerSession::terminate(H2Error error) {
  if (std::exchange(terminated_, true)) return;
  nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(error));
}

void H2ServerSession::pay_control(double frames) {
  if (!control_.take(frames)) terminate(H2Error::kEnhanceYourCalm);
}

void H2ServerSession::pay_reset() {
  if (!resets_.take(1)) terminate(H2Error::kEnhanceYourCalm);
}

}  // namespace lateen::http
