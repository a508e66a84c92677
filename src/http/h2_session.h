// H2ServerSession: one HTTP/2 connection (RFC 9113) as a server sees it, without a socket: bytes in, events out, bytes out.
// Framing, HPACK and flow control are nghttp2's; what a request must satisfy beyond that, and what a client may cost, is
// decided here.
//
// The window of a stream and of the connection is returned only by consume(): so the bytes that a connection can make us
// keep are bounded by kH2ConnectionWindowBytes, whatever the number of its streams.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/message.h"

struct nghttp2_session;

namespace lateen::http {

inline constexpr std::uint32_t kH2StreamsMax = 100;                        // at once; more are refused (REFUSED_STREAM)
inline constexpr std::uint32_t kH2StreamWindowBytes = 256 * 1024;          // not yet consumed, of one stream
inline constexpr std::uint32_t kH2ConnectionWindowBytes = 1024 * 1024;     // and of all
inline constexpr std::size_t kH2TrailerFieldsMax = 64;
inline constexpr std::size_t kH2TrailerBytesMax = 8 * 1024;
// Frames that cost us and not the client (PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE): so many at once, so many
// a second. A DATA frame that we send pays for some WINDOW_UPDATEs.
inline constexpr double kH2ControlFramesMax = 1000;
inline constexpr double kH2ControlFramesPerSecond = 100;
inline constexpr double kH2ControlFramesPerDataSent = 4;
// Streams that the client cancels, or makes us reset by breaking the protocol.
inline constexpr double kH2ResetsMax = 500;
inline constexpr double kH2ResetsPerSecond = 50;
inline constexpr std::size_t kH2FramesQueuedMax = 2000;                    // answers that the client does not take

using H2StreamId = std::int32_t;

// Error codes of RFC 9113, section 7, that are sent on purpose.
enum class H2Error : std::uint32_t { kNone = 0, kInternal = 2, kRefused = 7, kCancel = 8, kEnhanceYourCalm = 11 };

// Why a stream has ended.
enum class H2Close : std::uint8_t {
  kComplete,        // both sides have ended
  kPeerReset,
  kProtocolError,   // the peer broke the protocol; it has been told
  kLocalReset,
};

class H2StreamEvents;

// One request: made by the session, then its owner's until H2StreamEvents::on_closed has been called or the session is
// gone. The fields behind `head` are the session's.
struct H2Exchange {
  H2StreamId id = 0;
  RequestHead head;            // points into the texts below and into its own map
  bool has_body = false;
  bool peer_reset = false, local_reset = false;

  std::string method, authority, path, host;
  bool has_host = false;
  std::size_t head_bytes = 0;
  Refusal refusal;             // status 0: none
  H2StreamEvents* owner = nullptr;
  // The response's body: what the owner has and the session has not asked for.
  std::size_t offered = 0;
  bool offers_end = false, waits_for_offer = false, end_sent = false;
  std::unique_ptr<HeaderMap> trailers;
};

// What happens on one stream. No method may call receive(), produce() or destroy the session.
class H2StreamEvents {
 public:
  virtual ~H2StreamEvents() = default;
  virtual void on_data(std::string_view bytes) = 0;     // a part of what receive() was given
  virtual void on_end() = 0;                            // the request is complete
  virtual void on_trailers(HeaderMap trailers) = 0;     // the same, with trailers
  // From produce(): `bytes` of what was offered follow what was written so far.
  virtual void write_body(std::size_t bytes) = 0;
  virtual void on_end_sent() = 0;                       // the last frame of the response has been written
  // Last call. Nothing more may be sent.
  virtual void on_closed(H2Close why) = 0;
};

class H2SessionEvents {
 public:
  virtual ~H2SessionEvents() = default;
  // A whole and legal head. Never null; called until on_closed.
  virtual H2StreamEvents* on_request(std::unique_ptr<H2Exchange> exchange) = 0;
  // A request that was answered (or reset: where the frames themselves are wrong) by the session. For the log.
  virtual void on_refused(std::uint16_t status, std::string_view detail) = 0;
  // The first frame of a head has come, and the last one.
  virtual void on_head_started() = 0;
  virtual void on_head_ended() = 0;
  // From produce(): the next bytes for the peer; valid during the call.
  virtual void write(std::string_view bytes) = 0;
};

class H2ServerSession {
 public:
  // Requests are refused as RequestParser refuses them: 400 for authorities, targets and lengths that are not legal, or a
  // Host that is not the authority; 417 for unknown expectations; 431 above `limits`. `server_name`: of such answers;
  // static text, may be empty. `scheme`: of CONNECT; static text.
  H2ServerSession(H2SessionEvents& events, const HeadLimits& limits, std::string_view server_name, std::string_view scheme);
  ~H2ServerSession();
  H2ServerSession(const H2ServerSession&) = delete;
  H2ServerSession& operator=(const H2ServerSession&) = delete;

  // Takes what was read. False: the connection is broken beyond a GOAWAY, close it. `now` is for the limits per second.
  bool receive(std::string_view bytes, Time now);
  // Calls write() and write_body() until about `bytes_max` have been written or nothing is left. False as receive().
  bool produce(std::size_t bytes_max);
  // Whether anything may still be received or sent.
  bool finished() const;
  // Whether the client's preface with its first SETTINGS has come.
  bool started() const { return started_; }
  // Whether a head or trailers have begun and not ended.
  bool in_head() const { return heading_ != 0; }
  // Whether GOAWAY with an end at once has been decided.
  bool terminated() const { return terminated_; }

  void submit_informational(H2Exchange& exchange, const ResponseHead& head);
  // Connection-specific fields are left out, and a Content-Length that `framing` (of frame_response) does not keep. `end`:
  // nothing follows; otherwise the body is what offer() says.
  void submit_response(H2Exchange& exchange, const ResponseHead& head, const OutgoingFraming& framing, bool end);
  // `bytes` more of the body are there to be written.
  void offer(H2Exchange& exchange, std::size_t bytes, bool end);
  void offer_trailers(H2Exchange& exchange, const HeaderMap& trailers);
  void reset(H2Exchange& exchange, H2Error error);
  // `bytes` of the request's body have gone on.
  void consume(H2StreamId id, std::size_t bytes);
  // The same for a stream that is closed.
  void consume_closed(std::size_t bytes);

  // Says that no new streams are wanted; those that are on their way are taken.
  void announce_drain();
  // Takes no new stream from now on.
  void stop_accepting();
  // GOAWAY, and nothing after it.
  void terminate(H2Error error);

 private:
  // What may be spent; fills again.
  struct Budget {
    double left, most;
    bool take(double amount) { return (left -= amount) >= 0; }
    void add(double amount) { left = std::min(most, left + amount); }
  };
  struct Callbacks;

  void begin_head(H2StreamId id);
  void stop_heading(H2StreamId id);
  void add_field(std::string_view name, std::string_view value);
  void add_trailer(std::string_view name, std::string_view value);
  void end_head(bool end_of_stream);
  bool check_head(H2Exchange& exchange);
  void answer_refused(const H2Exchange& exchange);
  void end_trailers(H2Exchange& exchange);
  void drop_incoming(H2StreamId id);
  void pay_control(double frames);
  void pay_reset();
  void write(std::string_view bytes);
  void wrote(std::size_t bytes) { send_left_ -= std::min(send_left_, bytes); }

  H2SessionEvents& events_;
  const HeadLimits limits_;
  const std::string_view server_name_, scheme_;
  nghttp2_session* session_ = nullptr;
  std::unique_ptr<H2Exchange> incoming_;   // whose head is being read
  H2StreamId heading_ = 0;                 // whose head or trailers are; 0: none
  HeaderMap trailers_;                     // that are being read
  std::size_t trailer_bytes_ = 0;
  bool trailers_refused_ = false;
  bool started_ = false;
  bool terminated_ = false;
  std::size_t send_left_ = 0;              // of the current produce()
  Time filled_{};                          // when the budgets were
  Budget control_{kH2ControlFramesMax, kH2ControlFramesMax};
  Budget resets_{kH2ResetsMax, kH2ResetsMax};
};

}  // namespace lateen::http
