#include "http/h2_framing.h"

#include <utility>

#include "base/result.h"
#include "http/chunked.h"
#include "http/h1_fields.h"
#include "http/h1_writer.h"
#include "http/h2_nghttp2.h"

namespace lateen::http {

namespace {

// RFC 9113, section 4.1.
H2Framing::FrameHead read_frame_head(const std::array<char, kH2FrameHeadBytes>& bytes) {
  const auto at = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
  return {.length = at(0) << 16U | at(1) << 8U | at(2),
          .type = static_cast<std::uint8_t>(at(3)),
          .flags = static_cast<std::uint8_t>(at(4)),
          .id = static_cast<H2StreamId>((at(5) & 0x7fU) << 24U | at(6) << 16U | at(7) << 8U | at(8))};
}

}  // namespace

// What nghttp2 calls at both ends.
struct H2FramingCallbacks {
  static H2Framing& self(void* user) { return *static_cast<H2Framing*>(user); }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    switch (head->type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_CONTINUATION:
        break;
      case NGHTTP2_DATA:
        if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0) self(user).pay_control(1);
        break;
      case NGHTTP2_RST_STREAM:
        if (self(user).peer_resets_cost_ || self(user).outgoing(head->stream_id) == nullptr) self(user).pay_reset();
        break;
      default:
        self(user).pay_control(1);
        break;
    }
    return 0;
  }

  // Fields that the library would only leave out make the message malformed.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_DATA) self(user).control_.add(kH2ControlFramesPerDataSent);
    if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    auto* stream = static_cast<H2Outgoing*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (stream != nullptr) {
      stream->end_sent = true;
      stream->source->on_end_sent();
    }
    self(user).on_end_frame_sent(frame->hd.stream_id);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, H2StreamId id, std::uint8_t*, std::size_t size, std::uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    if (self(user).send_left_ == 0) return NGHTTP2_ERR_PAUSE;
    H2Outgoing& stream = *static_cast<H2Outgoing*>(source->ptr);
    const std::size_t bytes = std::min(size, stream.offered);
    stream.offered -= bytes;
    const bool ends = stream.offered == 0 && stream.offers_end;
    if (bytes == 0 && !ends) {
      stream.waits_for_offer = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!ends) return static_cast<ssize_t>(bytes);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.trailers == nullptr) return static_cast<ssize_t>(bytes);
    H2Fields fields;
    fields.add_trailers(*stream.trailers);
    const H2Framing::Raw raw(fields);
    if (!fields.empty() && nghttp2_submit_trailer(session, id, raw.data(), raw.size()) == 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(bytes);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) {
    self(user).write({reinterpret_cast<const char*>(head), kH2FrameHeadBytes});
    if (size > 0) static_cast<H2Outgoing*>(source->ptr)->source->write_body(size);
    self(user).wrote(size + kH2FrameHeadBytes);
    return 0;
  }
};

nghttp2_data_provider h2_body_of(H2Outgoing& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = H2FramingCallbacks::read_body;
  return provider;
}

std::uint32_t h2_window_bytes(std::uint32_t asked, std::uint32_t usual) {
  return asked == 0 ? usual : std::clamp(asked, kH2WindowBytesLeast, kH2WindowBytesMost);
}

void H2Fields::add_end_to_end(const HeaderMap& headers) {
  std::vector<Header> kept;
  end_to_end_fields(headers, kept);
  for (const Header& header : kept) add(header.name, header.value);
}

void H2Fields::add_trailers(const HeaderMap& trailers) {
  for (const Header& header : trailers.fields()) {
    if (allowed_in_trailers(header.id)) add(header.name, header.value);
  }
}

// ---- the session ----------------------------------------------------------------------------------------------------

H2Framing::~H2Framing() { nghttp2_session_del(session_); }

void H2Framing::set_common(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, H2FramingCallbacks::on_begin_frame);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, H2FramingCallbacks::on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, H2FramingCallbacks::on_frame_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, H2FramingCallbacks::send_data);
}

void H2Framing::set_common(nghttp2_option* option) {
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kH2FramesQueuedMax);
  nghttp2_option_set_max_send_header_block_length(option, kH2HeaderBlockBytesMax);
}

void H2Framing::submit_settings(std::uint32_t connection_window_bytes,
                                const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings) {
  std::vector<nghttp2_settings_entry> entries;
  for (const auto& [id, value] : settings) entries.push_back({id, value});
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(connection_window_bytes));
}

bool H2Framing::receive(std::string_view bytes, Time now) {
  if (terminated_) return true;  // what comes now is not looked at
  if (filled_ != Time{}) {
    const double seconds = std::chrono::duration<double>(now - filled_).count();
    control_.add(seconds * kH2ControlFramesPerSecond);
    resets_.add(seconds * kH2ResetsPerSecond);
  }
  filled_ = now;
  std::size_t at = 0, given = 0;   // where we stand, and what the library has got
  bool ends = false;               // of what it has not got yet, something ends a stream
  while (at < bytes.size() && !terminated_) {
    if (rest_ > 0) {
      const std::size_t size = std::min(rest_, bytes.size() - at);
      rest_ -= size;
      at += size;
      continue;
    }
    const std::size_t held = head_size_, begin = at, size = std::min(kH2FrameHeadBytes - held, bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, head_.begin() + static_cast<std::ptrdiff_t>(held));
    at += size;
    head_size_ += size;
    if (head_size_ < kH2FrameHeadBytes) return give(bytes.substr(given, begin - given));
    head_size_ = 0;
    const FrameHead head = read_frame_head(head_);
    rest_ = head.length;
    if (may_be_closed(head, ends)) {
      if (!give(bytes.substr(given, begin - given))) return false;
      given = begin;
      ends = false;
      if (!is_open(head.id)) on_closed_frame(head.type, head.id);
      if (terminated_) return true;
    }
    ends = ends || head.type == NGHTTP2_RST_STREAM || (head.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (held == 0) continue;
    if (!give({head_.data(), head_.size()})) return false;
    given = at;
  }
  return give(bytes.substr(given));
}

// Whether the frame may be for a stream that was there and is no longer: then the library must have all that is before it.
bool H2Framing::may_be_closed(const FrameHead& head, bool ends) {
  if (head.type != NGHTTP2_HEADERS && head.type != NGHTTP2_DATA) return false;
  if (head.id > heads_max_) {
    if (head.type == NGHTTP2_HEADERS) heads_max_ = head.id;
    return false;
  }
  return ends || !is_open(head.id);
}

bool H2Framing::give(std::string_view bytes) {
  if (bytes.empty() || terminated_) return true;
  const ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) return false;
  if (nghttp2_session_get_outbound_queue_size(session_) > kH2FramesQueuedMax) terminate(H2Error::kEnhanceYourCalm);
  return true;
}

bool H2Framing::produce(std::size_t bytes_max) {
  send_left_ = bytes_max;
  while (send_left_ > 0) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return false;
    if (size == 0) return true;
    write({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
    wrote(static_cast<std::size_t>(size));
  }
  return true;
}

bool H2Framing::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

H2Outgoing* H2Framing::outgoing(H2StreamId id) const {
  return static_cast<H2Outgoing*>(nghttp2_session_get_stream_user_data(session_, id));
}

bool H2Framing::peer_has_ended(H2StreamId id) const { return nghttp2_session_get_stream_remote_close(session_, id) != 0; }

// ---- bodies ---------------------------------------------------------------------------------------------------------

void H2Framing::offer(H2Outgoing& stream, std::size_t bytes, bool end) {
  stream.offered += bytes;
  stream.offers_end |= end;
  if ((bytes > 0 || end) && std::exchange(stream.waits_for_offer, false)) nghttp2_session_resume_data(session_, stream.id);
}

void H2Framing::offer_trailers(H2Outgoing& stream, const HeaderMap& trailers) {
  stream.trailers = std::make_unique<HeaderMap>(trailers.copy());
  offer(stream, 0, true);
}

void H2Framing::reset(H2Outgoing& stream, H2Error error) {
  stream.local_reset = true;
  stream.offered = 0;
  stream.offers_end = false;
  submit_reset(stream.id, static_cast<std::uint32_t>(error));
}

void H2Framing::submit_reset(H2StreamId id, std::uint32_t error) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error);
}

void H2Framing::consume(H2StreamId id, std::size_t bytes) { nghttp2_session_consume(session_, id, bytes); }

void H2Framing::consume_closed(std::size_t bytes) { nghttp2_session_consume_connection(session_, bytes); }

void H2Framing::begin_trailers() {
  trailers_.clear();
  trailer_bytes_ = 0;
  trailers_refused_ = false;
}

void H2Framing::add_trailer(std::string_view name, std::string_view value) {
  trailer_bytes_ += name.size() + value.size() + kH2FieldOverheadBytes;
  const bool legal = trailer_bytes_ <= kH2TrailerBytesMax && trailers_.size() < kH2TrailerFieldsMax &&
                     allowed_in_trailers(header_id(name)) && std::all_of(value.begin(), value.end(), bytes::in_value);
  if (!legal) trailers_refused_ = true;
  if (!trailers_refused_) trailers_.add(name, value);
}

// ---- the end, and what a peer may cost ------------------------------------------------------------------------------

bool H2Framing::is_open(H2StreamId id) const {
  nghttp2_stream* stream = nghttp2_session_find_stream(session_, id);
  if (stream == nullptr) return false;
  const nghttp2_stream_proto_state state = nghttp2_stream_get_state(stream);
  return state != NGHTTP2_STREAM_STATE_IDLE && state != NGHTTP2_STREAM_STATE_CLOSED;
}

void H2Framing::terminate(H2Error error) { terminate_with(static_cast<std::uint32_t>(error)); }

void H2Framing::terminate_with(std::uint32_t error) {
  if (std::exchange(terminated_, true)) return;
  nghttp2_session_terminate_session(session_, error);
}

void H2Framing::pay_control(double frames) {
  if (!control_.take(frames)) terminate(H2Error::kEnhanceYourCalm);
}

void H2Framing::pay_reset() {
  if (!resets_.take(1)) terminate(H2Error::kEnhanceYourCalm);
}

}  // namespace lateen::http
