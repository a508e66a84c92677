// The ClientHello of a TLS connection, read without consuming it: what Envoy's tls_inspector finds out. Pure and strict:
// whatever is not exactly a ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2) is not TLS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lateen::proxy {

// A longer ClientHello is refused (Envoy: 64 KiB).
inline constexpr std::size_t kClientHelloBytesMax = 64 * 1024;

struct ClientHello {
  std::string server_name;                          // lower case; "" where there is none
  std::vector<std::string> application_protocols;   // ALPN, in the client's order
  std::uint16_t version_max = 0;                    // the highest that is offered: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3
};

enum class ClientHelloResult : std::uint8_t {
  kMore,        // so far it is one, and more bytes are needed
  kComplete,
  kNotTls,      // the first byte is not of a handshake record
  kInvalid,     // it begins like TLS, and then is none, or is too long
};

// `bytes`: all that the client has sent so far. `hello` is filled in where kComplete is returned. The ClientHello may be
// spread over any number of records.
ClientHelloResult read_client_hello(std::string_view bytes, ClientHello& hello);

}  // namespace lateen::proxy
