// The heads of requests and responses, the same for HTTP/1 and HTTP/2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/headers.h"

namespace lateen::http {

enum class Version : std::uint8_t { kHttp10, kHttp11, kHttp2 };

// What `path`, `authority` and the header views point into lives until the message's stream ends: the codec hands over
// the ownership of those bytes together with the head (see stream::StreamBytes).
struct RequestHead {
  std::string_view method;      // as sent: "GET"
  std::string_view scheme;      // "http" or "https"; set by the connection, or by an absolute-form target
  std::string_view authority;   // Host or :authority, with the port if one was sent; never empty for HTTP/1.1
  std::string_view path;        // origin form: path and query; "*" for OPTIONS *; empty for CONNECT
  HeaderMap headers;            // without Host; hop-by-hop fields still there (the codec's writer removes them)
  Version version = Version::kHttp11;
  bool absolute_form = false;   // the target was "http://host/path": a forward proxy request
  bool is_upgrade = false;      // Connection: upgrade with an Upgrade field; after 101 the body is the raw stream
  bool expects_continue = false;
};

struct ResponseHead {
  std::uint16_t status = 0;     // 100..599
  HeaderMap headers;
  Version version = Version::kHttp11;
};

}  // namespace lateen::http
