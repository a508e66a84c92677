// The heads of HTTP/1 messages, written into a buffer of the caller. No allocation.
//
// Hop-by-hop fields are left out here (RFC 9110, section 7.6.1): Connection and what it names, Keep-Alive,
// Proxy-Connection, TE except "trailers", Transfer-Encoding, Upgrade except where the upgrade is carried on. Fields that
// the proxy itself writes (x-forwarded-*, x-envoy-*, x-request-id ...) stay even where the peer's Connection names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "http/message.h"

namespace lateen::http {

// How a message that we send is framed. Made by frame_request or frame_response; `close` may be set afterwards.
struct OutgoingFraming {
  BodyKind body = BodyKind::kNone;
  std::uint64_t length = 0;
  bool writes_length = false;      // "content-length: <length>" is written: kLength, or kNone where one belongs there
  bool close = false;              // "connection: close" is written
  bool writes_keep_alive = false;  // "connection: keep-alive" is written: to HTTP/1.0 clients
};

// The framing of a request to an HTTP/1.1 server. `has_body`: data or trailers will follow. A valid Content-Length of
// the head is kept, otherwise a body goes in chunks. A method for which a body is usual gets "content-length: 0".
OutgoingFraming frame_request(const RequestHead& head, bool has_body);

// What a response answers.
struct Answered {
  std::string_view method;               // of the request
  Version version = Version::kHttp11;    // the client's
  bool keep_alive = true;                // the client's wish: Framing::keep_alive of its request
};
// The framing of a response. No body for HEAD, 1xx, 204 and 304 (there a valid Content-Length is kept for HEAD and 304).
// A body of unknown length goes in chunks, to an HTTP/1.0 client until close. 101 and 2xx to CONNECT: kTunnel.
OutgoingFraming frame_response(const ResponseHead& head, const Answered& answered, bool has_body);

// How many bytes write_head needs at most.
std::size_t head_bytes_max(const RequestHead& head);
std::size_t head_bytes_max(const ResponseHead& head);

// Writes the head with its empty line and returns the end of what was written. `out` has head_bytes_max(head) bytes.
// Target in origin form, authority form for CONNECT; Host comes first. The head is sent as HTTP/1.1.
char* write_head(char* out, const RequestHead& head, const OutgoingFraming& framing);
char* write_head(char* out, const ResponseHead& head, const OutgoingFraming& framing);

// The same behind what `text` holds: for tests and rare paths.
void append_head(std::string& text, const RequestHead& head, const OutgoingFraming& framing);
void append_head(std::string& text, const ResponseHead& head, const OutgoingFraming& framing);

// The fields of `headers` that are not hop-by-hop (see above), Content-Length left out too: for HTTP/2, which frames the
// message itself. They point to where those of `headers` do.
void end_to_end_fields(const HeaderMap& headers, std::vector<Header>& into);

// Whether a TE field asks for trailers (RFC 9110, section 10.1.4).
bool accepts_trailers(const HeaderMap& headers);

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace lateen::http
