// What Envoy's connection manager does to a request before it is routed: internal headers of strangers go, x-forwarded-*
// and x-request-id come, the path is normalised. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"
#include "proxy/random.h"
#include "proxy/tls_facts.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

struct ConnectionFacts {
  std::string_view remote_ip;   // without a port
  bool remote_is_loopback = false;
  bool tls = false;
  const ClientTls* client_tls = nullptr;   // set exactly where `tls`
};

enum class Preparation : std::uint8_t {
  kReady,
  kBadPath,    // 400
  kBadName,    // 400: an underscore in a field name
  kBadScheme,  // 403: "https://..." over a connection without TLS, at the edge
  kRedirect,   // the client is to ask for `storage` (307)
};

// Changes `head` in place; `path_storage` holds the path where it changed and must live as long as the head.
Preparation prepare_request(http::RequestHead& head, const runtime::HttpConnectionSettings& settings,
                            const ConnectionFacts& connection, Random& random, std::string& path_storage);

// The IP of the client as hash policies want it: of x-forwarded-for where that is trusted (settings.use_remote_address and
// trusted_hops; a sidecar believes its last entry), else of the connection. For a prepared request.
std::string client_address(const http::RequestHead& head, const runtime::HttpConnectionSettings& settings,
                           const ConnectionFacts& connection);

// A random UUID of version 4, 36 characters.
void write_uuid(char* out, Random& random);
inline constexpr std::size_t kUuidBytes = 36;

}  // namespace lateen::proxy
