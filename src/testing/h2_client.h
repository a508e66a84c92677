// H2Client: the scripted client end of an HTTP/2 connection, for tests over any Loop. Frames and header compression are
// nghttp2's; nothing that is sent is checked, so that tests can send what is not legal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/peer.h"

struct nghttp2_session;

namespace lateen::testing {

class H2Client {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Answer {
    std::vector<int> informational;
    int status = 0;
    std::string fields;      // "name=value;" without :status
    std::string body;
    std::string trailers;    // as fields
    bool ended = false;      // END_STREAM has come
    int reset = -1;          // the error code of RST_STREAM; -1: none
    bool closed = false;
  };
  struct Options {
    bool returns_window = true;               // at once, as bytes come
    std::uint32_t stream_window = 64 * 1024;
  };

  H2Client(net::Loop& loop, const net::Address& to) : H2Client(loop, to, Options{}) {}
  H2Client(net::Loop& loop, const net::Address& to, const Options& options);
  ~H2Client();

  // The request's four pseudo-fields, for `extra` to follow.
  static Fields fields(std::string_view method, std::string_view path, const Fields& extra = {});
  // Sends a head; its stream's number. `ends`: without a body, else send_body() follows.
  std::int32_t start(const Fields& fields, bool ends);
  std::int32_t get(std::string_view path, const Fields& extra = {}) { return start(fields("GET", path, extra), true); }
  void send_body(std::int32_t id, std::string_view bytes, bool ends, const Fields& trailers = {});
  void reset(std::int32_t id);
  void ping();
  void consume(std::int32_t id, std::size_t bytes);
  void go_away();

  Answer& answer(std::int32_t id) { return answers_[id]; }
  std::size_t unsent(std::int32_t id) const;   // of the body, not yet framed
  int go_away_error() const { return go_away_error_; }           // of the last GOAWAY; -1: none
  std::int32_t go_away_stream() const { return go_away_stream_; }
  std::size_t pings_answered() const { return pings_answered_; }
  Peer& peer() { return peer_; }

 private:
  struct Body {
    std::string bytes;
    bool ends = false, deferred = false;
    Fields trailers;
  };
  struct Callbacks;
  void pump();

  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Answer> answers_;
  std::map<std::int32_t, Body> bodies_;
  int go_away_error_ = -1;
  std::int32_t go_away_stream_ = 0;
  std::size_t pings_answered_ = 0;
  Peer peer_;
};

}  // namespace lateen::testing
