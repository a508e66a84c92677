// RequestParser, ResponseParser: the head of an HTTP/1 message (RFC 9112), read in one strict pass without copying.
//
// The connection owns the bytes: it keeps one contiguous region that begins with the first byte of the message and
// grows as bytes arrive, and calls parse() with the whole region each time. The parser goes on where it stopped, so no
// byte is looked at twice, and how the bytes were cut never changes the outcome. The region may move between two calls
// (from a slab into a larger block), not its content. Names are lower-cased in place; everything in the head points into
// the region (or to static text), which must live as long as the head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/h1_fields.h"
#include "http/headers.h"
#include "http/message.h"

namespace lateen::http {

struct HeadLimits {
  std::size_t bytes_max = 60 * 1024;  // of the whole head with its empty line; Envoy's default
  std::size_t fields_max = 100;       // Envoy's default
};

// What follows the head on the wire.
enum class BodyKind : std::uint8_t {
  kNone,        // the next message
  kLength,      // `length` bytes
  kChunked,     // see ChunkedDecoder
  kUntilClose,  // responses only: everything until the peer closes
  kTunnel,      // CONNECT, a 2xx answer to it, 101: bytes of another protocol, both ways
};

struct Framing {
  BodyKind body = BodyKind::kNone;
  std::uint64_t length = 0;      // of kLength, > 0
  bool keep_alive = false;       // the peer allows another message after this one
  std::string_view upgrade;      // the Upgrade field, where RequestHead::is_upgrade, or of a 101
};

// Reads request heads. Refused (RFC 9110, 9112 and what intermediaries disagree about): Content-Length with
// Transfer-Encoding, either one twice, a coding other than "chunked", Transfer-Encoding in HTTP/1.0, Host missing in
// HTTP/1.1, empty, twice or not uri-host[:port], folded lines, a bare CR or LF, control bytes, white space in or behind
// names, HTTP/0.9 and other versions, targets that are not in one of the four forms, fragments and 8-bit bytes in
// targets, Expect other than 100-continue.
class RequestParser {
 public:
  explicit RequestParser(HeadLimits limits = {}) : limits_(limits) { reset(); }
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Goes on with the head at region[0, size): at least the bytes of the call before. After kComplete or kRefused the
  // next call must come after reset().
  ParseState parse(char* region, std::size_t size);

  // Whether a byte of a request has been seen; empty lines before it do not count.
  bool started() const { return state_ != State::kBefore && state_ != State::kBeforeLf; }
  // After kComplete: the bytes that belong to the head, empty lines before and the one behind included.
  std::size_t head_bytes() const { return at_; }
  // After kComplete; may be moved from. Host is not among the headers: it is `authority` (or the target's own authority
  // in absolute form, RFC 9112, section 3.2.2). `scheme` is set only by an absolute form.
  RequestHead& head() { return head_; }
  const Framing& framing() const { return framing_; }
  // After kRefused.
  const Refusal& refusal() const { return refusal_; }
  // For the next message; keeps what was allocated.
  void reset();

 private:
  // In the order they occur. kFields is FieldReader's.
  enum class State : std::uint8_t {
    kBefore, kBeforeLf, kMethod, kTarget, kVersion, kLineLf, kFields, kDone, kRefused,
  };

  bool step(std::size_t size);
  bool before();
  bool method(std::size_t size);
  bool target(std::size_t size);
  bool on_target(std::string_view target);
  bool on_absolute_target(std::string_view target);
  bool version(std::size_t size);
  bool on_version();
  bool fields(std::size_t size);
  bool end_head();
  bool frame();
  void move_to(char* region);
  bool refuse(std::uint16_t status, std::string_view detail);

  HeadLimits limits_;
  State state_ = State::kBefore;
  std::uint8_t empty_lines_ = 0;
  bool connect_ = false;
  char* region_ = nullptr;
  std::size_t at_ = 0;        // the next byte to look at
  std::size_t part_at_ = 0;   // where the current part of the first line began
  FieldReader reader_;
  RequestHead head_;
  Framing framing_;
  Refusal refusal_;
};

// Reads response heads. 1xx other than 101 are complete heads with kNone: reset() with the same method and read on.
class ResponseParser {
 public:
  explicit ResponseParser(HeadLimits limits = {}) : limits_(limits) { reset("GET"); }
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  ParseState parse(char* region, std::size_t size);

  bool started() const { return at_ != 0; }
  std::size_t head_bytes() const { return at_; }
  ResponseHead& head() { return head_; }
  const Framing& framing() const { return framing_; }
  const Refusal& refusal() const { return refusal_; }
  // For the answer to the next request; `method` decides whether a body may follow (HEAD, CONNECT).
  void reset(std::string_view method);

 private:
  enum class State : std::uint8_t { kVersion, kStatus, kAfterStatus, kReason, kLineLf, kFields, kDone, kRefused };

  bool step(std::size_t size);
  bool version(std::size_t size);
  bool status(std::size_t size);
  bool reason(std::size_t size);
  bool fields(std::size_t size);
  bool end_head();
  bool frame();
  void move_to(char* region);
  bool refuse(std::string_view detail);

  HeadLimits limits_;
  State state_ = State::kVersion;
  bool to_head_ = false, to_connect_ = false;
  std::uint8_t status_digits_ = 0;
  char* region_ = nullptr;
  std::size_t at_ = 0;
  FieldReader reader_;
  ResponseHead head_;
  Framing framing_;
  Refusal refusal_;
};

}  // namespace lateen::http
