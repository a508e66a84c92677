// Which listener and which of its filter chains take a connection. Envoy's order of preference; pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// What has been found out about a connection before a byte of it was consumed.
struct ConnectionTraits {
  net::Address destination;                  // the address that was dialled
  std::string_view transport = "raw_buffer"; // or "tls"
  std::string_view application_protocol;     // "http/1.1", "http/1.0", "h2c" as sniffed; "" if nothing was recognised
  std::vector<std::string> alpn;             // what the ClientHello offers, in its order
  std::string server_name;                   // SNI, in lower case
  // Who came, as a PROXY header says it, and who really did.
  net::Address source, direct_source;
};

// Null: no chain matches and there is no default.
const runtime::FilterChain* choose_chain(const runtime::Listener& listener, const ConnectionTraits& traits);

// The listener for a captured connection: "<ip>_<port>", then "0.0.0.0_<port>", then "virtualOutbound". Null: none.
std::shared_ptr<const runtime::Listener> capture_listener(const runtime::Snapshot& snapshot, const net::Address& destination);
// The listener for a request through the HTTP proxy that names `port`, without knowing an address.
std::shared_ptr<const runtime::Listener> port_listener(const runtime::Snapshot& snapshot, std::uint16_t port);

// Whether http_inspector looks at connections to `port`.
bool sniffs_http(const runtime::Listener& listener, std::uint16_t port);

// Looks at the first bytes of a connection, for HTTP.
enum class Sniffed : std::uint8_t { kMore, kHttp11, kHttp10, kHttp2, kOther };
Sniffed sniff(std::string_view first_bytes);
inline constexpr std::size_t kSniffBytesMax = 8 * 1024;   // a longer request line is taken for HTTP/1.1 by its method

}  // namespace lateen::proxy
