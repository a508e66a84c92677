// H2ClientSession: one HTTP/2 connection (RFC 9113) as a client sees it, without a socket: bytes in, events out, bytes out.
// What an answer must satisfy beyond the library's own checks, and what a server may cost, is decided here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/h2_framing.h"
#include "http/message.h"

namespace lateen::http {

// Of 1xx heads before one answer; more is an attack or a bug.
inline constexpr std::uint32_t kH2InformationalMax = 64;
// Until the peer's SETTINGS have come; the protocol sets no limit, and recommends none below this (section 6.5.2).
inline constexpr std::uint32_t kH2PeerStreamsAssumed = 100;

struct H2ClientOptions {
  HeadLimits limits = {};
  // Zero: the values of h2_framing.h.
  std::uint32_t stream_window_bytes = 0, connection_window_bytes = 0;
};

// Why a stream has ended.
enum class H2ClientClose : std::uint8_t {
  kComplete,        // both sides have ended, or the peer did not want the rest of the request
  kRefused,         // not processed: REFUSED_STREAM, above the last stream of a GOAWAY, or never sent
  kPeerReset,
  kProtocolError,   // the peer broke the protocol; it has been told
  kLocalReset,
};

// What happens to one request. No method may call receive(), produce() or destroy the session.
class H2AnswerEvents : public H2BodySource {
 public:
  virtual void on_head_sent() = 0;                       // the first frame of the request comes next
  virtual void on_informational(ResponseHead head) = 0;
  virtual void on_head(ResponseHead head, bool end) = 0;
  virtual void on_data(std::string_view bytes) = 0;      // a part of what receive() was given
  virtual void on_end() = 0;                             // the answer is complete
  virtual void on_trailers(HeaderMap trailers) = 0;      // the same, with trailers
  // Last call. `error`: the code that the peer has sent, where it has.
  virtual void on_closed(H2ClientClose why, std::string_view detail) = 0;
};

// One request: its owner's, who keeps it until on_closed has been called or the session is gone. The fields behind
// `events` are the session's.
struct H2Call : H2Outgoing {
  H2AnswerEvents* events = nullptr;

  bool is_extended_connect = false;   // an upgrade was sent as one: its 200 is shown as the 101 that says the same
  bool head_sent = false;
  bool has_final_head = false;
  bool answer_ended = false;
  std::uint32_t informational = 0;
  std::string protocol, accept;       // of an extended CONNECT: the Upgrade field, and Sec-WebSocket-Accept
  std::string_view broken;            // static text: what was wrong with the answer
};

class H2ClientSessionEvents {
 public:
  virtual ~H2ClientSessionEvents() = default;
  // The peer's SETTINGS have come, or GOAWAY: streams_max() may have changed.
  virtual void on_room_changed() = 0;
  virtual void on_ping_answered() = 0;
  // From produce(): the next bytes for the peer; valid during the call.
  virtual void write(std::string_view bytes) = 0;
};

class H2ClientSession final : public H2Framing {
 public:
  H2ClientSession(H2ClientSessionEvents& events, const H2ClientOptions& options);

  // How many requests at once the peer takes; 0 for ever after a GOAWAY, or when the stream numbers are used up.
  std::size_t streams_max() const;
  // Whether no request will ever be taken again.
  bool closing() const;
  // Whether the peer's SETTINGS have come: before it an upgrade can not be submitted.
  bool has_settings() const { return has_settings_; }

  // Sends a head; connection-specific fields are left out. An upgrade becomes an extended CONNECT (RFC 8441, section 4), for
  // which `accept` is the Sec-WebSocket-Accept that its 101 is to have, if any. `end`: nothing follows; otherwise the body
  // is what offer() says. False: the peer takes none, or no extended CONNECT, and nothing was sent.
  bool submit(H2Call& call, const RequestHead& head, bool end, std::string accept);
  void ping();

 private:
  struct Callbacks;

  void write(std::string_view bytes) override { events_.write(bytes); }
  void on_end_frame_sent(H2StreamId) override {}
  H2Call* call_of(H2StreamId id) const { return static_cast<H2Call*>(outgoing(id)); }
  void begin_head(H2StreamId id, bool trailers);
  void add_field(H2StreamId id, std::string_view name, std::string_view value);
  void end_head(H2StreamId id, bool end);
  void fail(H2Call& call, std::string_view detail);
  void close(H2StreamId id, std::uint32_t error);

  H2ClientSessionEvents& events_;
  const H2ClientOptions options_;
  bool has_settings_ = false;
  bool in_trailers_ = false;
  std::uint32_t status_ = 0;           // of the head that is being read
  HeaderMap fields_;
  std::size_t head_bytes_ = 0;
};

}  // namespace lateen::http
