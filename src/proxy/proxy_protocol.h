// The PROXY protocol, versions 1 and 2: the header that tells for whom a connection was made. Pure and strict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/loop.h"

namespace lateen::proxy {

// A header of version 1 is a line of at most 107 bytes; one of version 2 says its length, which we bound.
inline constexpr std::size_t kProxyHeaderBytesMax = 4 * 1024;

struct ProxyHeader {
  std::size_t bytes = 0;                     // of the connection that are the header
  unsigned version = 0;
  bool local = false;                        // made for nobody (LOCAL, UNKNOWN): the connection's own addresses stand
  net::Address source, destination;
};

enum class ProxyHeaderResult : std::uint8_t {
  kMore,
  kComplete,
  kAbsent,      // these bytes begin no header
  kInvalid,     // they begin one, and it is none
};

// `bytes`: all that has come so far. `header` is filled in where kComplete is returned.
ProxyHeaderResult read_proxy_header(std::string_view bytes, ProxyHeader& header);

// The header for a connection made on behalf of `source`. Addresses that are not both IPv4 or both IPv6: "UNKNOWN" (1),
// LOCAL (2).
std::string write_proxy_header(unsigned version, const net::Address& source, const net::Address& destination);

}  // namespace lateen::proxy
