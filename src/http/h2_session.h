// H2ServerSession: one HTTP/2 connection (RFC 9113) as a server sees it, without a socket: bytes in, events out, bytes out.
// What a request must satisfy beyond the library's own checks is decided here.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/h2_framing.h"
#include "http/message.h"

namespace lateen::http {

// Why a stream has ended.
enum class H2Close : std::uint8_t {
  kComplete,        // both sides have ended
  kPeerReset,
  kProtocolError,   // the peer broke the protocol; it has been told
  kLocalReset,
};

class H2StreamEvents;

struct H2ServerOptions {
  HeadLimits limits = {};
  std::string_view server_name;    // of answers of the session's own; static text, may be empty
  std::string_view scheme;         // of CONNECT; static text
  // Zero: the values of h2_framing.h; others are taken within the bounds there.
  std::uint32_t streams_max = 0, stream_window_bytes = 0, connection_window_bytes = 0;
  bool extended_connect = false;   // WebSocket and the like over a stream (RFC 8441)
};

// One request: made by the session, then its owner's until H2StreamEvents::on_closed has been called or the session is
// gone. The fields behind `head` are the session's.
struct H2Exchange : H2Outgoing {
  RequestHead head;            // points into the texts below and into its own map
  bool has_body = false;
  // An extended CONNECT (RFC 8441): `head` is the HTTP/1.1 upgrade that says the same, a 101 answers it.
  bool is_extended_connect = false;

  std::string method, authority, path, host, protocol;
  bool has_host = false;
  std::size_t head_bytes = 0;
  Refusal refusal;             // status 0: none
  H2StreamEvents* owner = nullptr;
};

// What happens on one stream. No method may call receive(), produce() or destroy the session.
class H2StreamEvents : public H2BodySource {
 public:
  virtual void on_data(std::string_view bytes) = 0;     // a part of what receive() was given
  virtual void on_end() = 0;                            // the request is complete
  virtual void on_trailers(HeaderMap trailers) = 0;     // the same, with trailers
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

class H2ServerSession final : public H2Framing {
 public:
  // Requests are refused as RequestParser refuses them: 400 for authorities, targets and lengths that are not legal, or a
  // Host that is not the authority; 417 for unknown expectations; 431 above the limits.
  H2ServerSession(H2SessionEvents& events, const H2ServerOptions& options);

  // Whether the client's preface with its first SETTINGS has come.
  bool started() const { return started_; }
  // Whether a head or trailers have begun and not ended.
  bool in_head() const { return heading_ != 0; }

  void submit_informational(H2Exchange& exchange, const ResponseHead& head);
  // Connection-specific fields are left out, and a Content-Length that `framing` (of frame_response) does not keep. `end`:
  // nothing follows; otherwise the body is what offer() says.
  void submit_response(H2Exchange& exchange, const ResponseHead& head, const OutgoingFraming& framing, bool end);

  // Says that no new streams are wanted; those that are on their way are taken.
  void announce_drain();
  // Takes no new stream from now on.
  void stop_accepting();

 private:
  struct Callbacks;

  void write(std::string_view bytes) override { events_.write(bytes); }
  void on_end_frame_sent(H2StreamId id) override;
  void on_closed_frame(std::uint8_t type, H2StreamId id) override;
  H2Exchange* exchange_of(H2StreamId id) const { return static_cast<H2Exchange*>(outgoing(id)); }
  void begin_head(H2StreamId id);
  void stop_heading(H2StreamId id);
  void add_field(std::string_view name, std::string_view value);
  void end_head(bool end_of_stream);
  bool check_head(H2Exchange& exchange);
  void answer_refused(const H2Exchange& exchange);
  void end_trailers(H2Exchange& exchange);
  void drop_incoming(H2StreamId id);

  // The last few of a kind.
  class Recent {
   public:
    void add(H2StreamId id) { ids_[next_++ % ids_.size()] = id; }
    bool has(H2StreamId id) const { return std::find(ids_.begin(), ids_.end(), id) != ids_.end(); }
    // Whether all of the kind from `id` on are known.
    bool reaches(H2StreamId id) const { return next_ <= ids_.size() || ids_[next_ % ids_.size()] < id; }

   private:
    std::array<H2StreamId, 64> ids_{};
    std::size_t next_ = 0;
  };

  H2SessionEvents& events_;
  const H2ServerOptions options_;
  Recent opened_, ended_by_peer_;          // streams; the second: closed, after the client had said all or had reset it
  std::unique_ptr<H2Exchange> incoming_;   // whose head is being read
  H2StreamId heading_ = 0;                 // whose head or trailers are; 0: none
  bool started_ = false;
};

}  // namespace lateen::http
