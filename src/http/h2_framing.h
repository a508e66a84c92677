// H2Framing: what both ends of an HTTP/2 connection share (RFC 9113): bytes in, bytes out, bodies that leave without being
// copied, and what a peer may cost. Framing, HPACK and flow control are nghttp2's. No socket, no timer.
//
// The window of a stream and of the connection is returned only by consume(): so the bytes that a connection can make us
// keep are bounded by the connection's window, whatever the number of its streams.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "http/headers.h"

struct nghttp2_option;
struct nghttp2_session;
struct nghttp2_session_callbacks;

namespace lateen::http {

inline constexpr std::uint32_t kH2StreamsMax = 100;                        // at once; more are refused (REFUSED_STREAM)
inline constexpr std::uint32_t kH2StreamWindowBytes = 256 * 1024;          // not yet consumed, of one stream
inline constexpr std::uint32_t kH2ConnectionWindowBytes = 1024 * 1024;     // and of all
// What a configuration may ask for instead.
inline constexpr std::uint32_t kH2StreamsMost = 1024;
inline constexpr std::uint32_t kH2WindowBytesLeast = 64 * 1024 - 1;        // the protocol's own initial window
inline constexpr std::uint32_t kH2WindowBytesMost = 16 * 1024 * 1024;
inline constexpr std::size_t kH2TrailerFieldsMax = 64;
inline constexpr std::size_t kH2TrailerBytesMax = 8 * 1024;
inline constexpr std::size_t kH2FieldOverheadBytes = 32;                   // of a field, in every limit (section 6.5.2)
inline constexpr std::size_t kH2HeaderBlockBytesMax = 256 * 1024;          // of a head that we send
// Frames that cost us and not the peer (PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE): so many at once, so many a
// second. A DATA frame that we send pays for some WINDOW_UPDATEs.
inline constexpr double kH2ControlFramesMax = 1000;
inline constexpr double kH2ControlFramesPerSecond = 100;
inline constexpr double kH2ControlFramesPerDataSent = 4;
// Streams that the peer cancels, or makes us reset by breaking the protocol.
inline constexpr double kH2ResetsMax = 500;
inline constexpr double kH2ResetsPerSecond = 50;
inline constexpr std::size_t kH2FramesQueuedMax = 2000;                    // answers that the peer does not take

using H2StreamId = std::int32_t;

// Error codes of RFC 9113, section 7, that are sent on purpose.
enum class H2Error : std::uint32_t { kNone = 0, kInternal = 2, kRefused = 7, kCancel = 8, kEnhanceYourCalm = 11 };

// Where the body of a stream comes from. No call may end the session.
class H2BodySource {
 public:
  virtual ~H2BodySource() = default;
  // From produce(): `bytes` of what was offered follow what was written so far.
  virtual void write_body(std::size_t bytes) = 0;
  // From produce(): the last frame of our message comes next, or was written.
  virtual void on_end_sent() = 0;
};

// Our half of one stream: what its owner has of the body and the session has not asked for.
struct H2Outgoing {
  H2StreamId id = 0;
  H2BodySource* source = nullptr;
  std::size_t offered = 0;
  bool offers_end = false, waits_for_offer = false, end_sent = false;
  bool peer_reset = false, local_reset = false;
  std::unique_ptr<HeaderMap> trailers;
};

// The fields of a head or of trailers on their way to nghttp2, which copies them. What they point to must live until then.
class H2Fields {
 public:
  void add(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
  // Without what concerns one connection alone, and without Content-Length.
  void add_end_to_end(const HeaderMap& headers);
  void add_trailers(const HeaderMap& trailers);   // those that may be
  bool empty() const { return fields_.empty(); }

 private:
  friend class H2Framing;
  struct Field {
    std::string_view name, value;
  };
  std::vector<Field> fields_;
};

inline constexpr std::size_t kH2FrameHeadBytes = 9;
inline constexpr std::size_t kH2PrefaceBytes = 24;   // that a client begins with

class H2Framing {
 public:
  struct FrameHead {
    std::uint32_t length;
    std::uint8_t type, flags;
    H2StreamId id;
  };
  H2Framing(const H2Framing&) = delete;
  H2Framing& operator=(const H2Framing&) = delete;
  virtual ~H2Framing();

  // Takes what was read. False: the connection is broken beyond a GOAWAY, close it. `now` is for the limits per second.
  bool receive(std::string_view bytes, Time now);
  // Calls write() and write_body() until about `bytes_max` have been written or nothing is left. False as receive().
  bool produce(std::size_t bytes_max);
  // Whether anything may still be received or sent.
  bool finished() const;
  // Whether GOAWAY with an end at once has been decided.
  bool terminated() const { return terminated_; }

  // `bytes` more of the body are there to be written.
  void offer(H2Outgoing& stream, std::size_t bytes, bool end);
  void offer_trailers(H2Outgoing& stream, const HeaderMap& trailers);
  void reset(H2Outgoing& stream, H2Error error);
  // `bytes` of what was received on a stream have gone on.
  void consume(H2StreamId id, std::size_t bytes);
  // The same for a stream that is closed.
  void consume_closed(std::size_t bytes);
  // GOAWAY, and nothing after it.
  void terminate(H2Error error);

 protected:
  // What may be spent; fills again.
  struct Budget {
    double left, most;
    bool take(double amount) { return (left -= amount) >= 0; }
    void add(double amount) { left = std::min(most, left + amount); }
  };
  // nghttp2's own array of fields, for the time of one call.
  class Raw;

  H2Framing() = default;

  // From produce(): the next bytes for the peer; valid during the call.
  virtual void write(std::string_view bytes) = 0;
  // HEADERS or DATA come for a stream that is not open, though its id is not above all that were; the library, which has
  // got all that is before, only ignores them (they could cross a reset of ours) and does not tell of all of them.
  virtual void on_closed_frame(std::uint8_t, H2StreamId) {}
  // The frame with the end of our message has been sent, after H2BodySource::on_end_sent().
  virtual void on_end_frame_sent(H2StreamId id) = 0;

  // Sets what is the same at both ends.
  static void set_common(nghttp2_session_callbacks* callbacks);
  static void set_common(nghttp2_option* option);
  void expect_preface() { rest_ = kH2PrefaceBytes; }   // before the first frame
  void submit_settings(std::uint32_t connection_window_bytes, const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings);
  void submit_reset(H2StreamId id, std::uint32_t error);
  H2Outgoing* outgoing(H2StreamId id) const;      // as it was set for the stream
  bool peer_has_ended(H2StreamId id) const;
  bool is_open(H2StreamId id) const;
  void terminate_with(std::uint32_t error);       // any code
  void pay_control(double frames);
  void pay_reset();

  // Adds a field of trailers, within the limits; what is wrong is remembered.
  void begin_trailers();
  void add_trailer(std::string_view name, std::string_view value);
  bool trailers_refused() const { return trailers_refused_; }
  HeaderMap take_trailers() { return std::exchange(trailers_, {}); }

  nghttp2_session* session_ = nullptr;   // made by the derived class with `static_cast<H2Framing*>(this)` as its user
  Budget control_{kH2ControlFramesMax, kH2ControlFramesMax};
  Budget resets_{kH2ResetsMax, kH2ResetsMax};
  bool peer_resets_cost_ = true;         // also of streams that are open

 private:
  friend struct H2FramingCallbacks;
  void wrote(std::size_t bytes) { send_left_ -= std::min(send_left_, bytes); }

  bool give(std::string_view bytes);     // to the library; false as receive()
  bool may_be_closed(const FrameHead& head, bool ends);

  // Where receive() stands. The library gets heads of frames whole: its guard against CONTINUATION floods counts the pieces.
  std::size_t rest_ = 0;                 // of the preface or of a payload
  std::array<char, kH2FrameHeadBytes> head_{};
  std::size_t head_size_ = 0;            // of a head that has not come whole
  H2StreamId heads_max_ = 0;             // the highest that HEADERS were for
  HeaderMap trailers_;                   // that are being read
  std::size_t trailer_bytes_ = 0;
  bool trailers_refused_ = false;
  bool terminated_ = false;
  std::size_t send_left_ = 0;            // of the current produce()
  Time filled_{};                        // when the budgets were
};

// A window that a configuration asks for; 0: `usual`.
std::uint32_t h2_window_bytes(std::uint32_t asked, std::uint32_t usual);

}  // namespace lateen::http
