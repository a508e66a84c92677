#include "testing/h2_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nghttp2/nghttp2.h>

#include "base/result.h"

namespace lateen::testing {

namespace {

std::vector<nghttp2_nv> to_nv(const H2Client::Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const auto& [name, value] : fields) {
    const auto bytes = [](const std::string& text) {
      return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
    };
    out.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return out;
}

}  // namespace

struct H2Client::Callbacks {
  static H2Client& self(void* user) { return *static_cast<H2Client*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    Answer& answer = self(user).answers_[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") {
      const int status = std::stoi(text);
      if (status < 200) {
        answer.informational.push_back(status);
      } else {
        answer.status = status;
      }
    } else {
      const bool is_trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS && answer.status != 0 && !answer.fields.empty();
      (is_trailer ? answer.trailers : answer.fields) += key + "=" + text + ";";
    }
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size, void* user) {
    self(user).answers_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Client& client = self(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.go_away_error_ = static_cast<int>(frame->goaway.error_code);
      client.go_away_stream_ = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++client.pings_answered_;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      client.answers_[frame->hd.stream_id].reset = static_cast<int>(frame->rst_stream.error_code);
    }
    const bool carries = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) client.answers_[frame->hd.stream_id].ended = true;
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    self(user).answers_[id].closed = true;
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    Body& body = self(user).bodies_[id];
    const std::size_t bytes = std::min(size, body.bytes.size());
    if (bytes == 0 && !body.ends) {
      body.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    std::memcpy(into, body.bytes.data(), bytes);
    body.bytes.erase(0, bytes);
    if (body.bytes.empty() && body.ends) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!body.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto fields = to_nv(body.trailers);
        nghttp2_submit_trailer(session, id, fields.data(), fields.size());
      }
    }
    return static_cast<ssize_t>(bytes);
  }
};

H2Client::H2Client(net::Loop& loop, const net::Address& to, const Options& options) : peer_(loop, to) {
  nghttp2_session_callbacks* callbacks = nullptr;
  LATEEN_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_option* option = nullptr;
  LATEEN_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, options.returns_window ? 0 : 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, 1'000'000);
  LATEEN_CHECK(nghttp2_session_client_new2(&session_, callbacks, this, option) == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, 1);
  peer_.on_change = [this](Peer& peer) {
    const std::string bytes = peer.take();
    nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    pump();
  };
  pump();
}

H2Client::~H2Client() { nghttp2_session_del(session_); }

void H2Client::pump() {
  const std::uint8_t* bytes = nullptr;
  for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;) {
    peer_.write({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  }
}

H2Client::Fields H2Client::fields(std::string_view method, std::string_view path, const Fields& extra) {
  Fields out = {{":method", std::string(method)}, {":scheme", "http"}, {":authority", "h"}, {":path", std::string(path)}};
  out.insert(out.end(), extra.begin(), extra.end());
  return out;
}

std::int32_t H2Client::start(const Fields& fields, bool ends) {
  const auto nv = to_nv(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::read_body;
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, nv.data(), nv.size(), ends ? nullptr : &provider, nullptr);
  LATEEN_CHECK(id > 0);
  pump();
  return id;
}

void H2Client::send_body(std::int32_t id, std::string_view bytes, bool ends, const Fields& trailers) {
  Body& body = bodies_[id];
  body.bytes += bytes;
  body.ends = ends;
  body.trailers = trailers;
  if (std::exchange(body.deferred, false)) nghttp2_session_resume_data(session_, id);
  pump();
}

std::size_t H2Client::unsent(std::int32_t id) const {
  const auto found = bodies_.find(id);
  return found == bodies_.end() ? 0 : found->second.bytes.size();
}

void H2Client::reset(std::int32_t id) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  pump();
}

void H2Client::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  pump();
}

void H2Client::consume(std::int32_t id, std::size_t bytes) {
  nghttp2_session_consume(session_, id, bytes);
  pump();
}

void H2Client::go_away() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  pump();
}

}  // namespace lateen::testing
