// The first bytes of connections: the ClientHello reader and the PROXY header reader. What is complete must stay what it
// is when it arrives in two parts, and a header that we write must be read back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/chain_selection.h"
#include "proxy/proxy_protocol.h"
#include "proxy/tls_client_hello.h"

namespace {

using namespace lateen::proxy;

void require(bool holds) {
  if (!holds) std::abort();
}

void read_hello(std::string_view bytes) {
  ClientHello hello;
  const ClientHelloResult whole = read_client_hello(bytes, hello);
  ClientHello of_part;
  const ClientHelloResult part = read_client_hello(bytes.substr(0, bytes.size() / 2), of_part);
  // A part that was enough stays enough; one that was bad stays bad.
  if (part == ClientHelloResult::kNotTls || part == ClientHelloResult::kComplete) require(whole == part);
  for (const char c : hello.server_name) require(c > ' ' && !(c >= 'A' && c <= 'Z'));
}

void read_header(std::string_view bytes) {
  ProxyHeader header;
  const ProxyHeaderResult whole = read_proxy_header(bytes, header);
  ProxyHeader of_part;
  const ProxyHeaderResult part = read_proxy_header(bytes.substr(0, bytes.size() / 2), of_part);
  if (part != ProxyHeaderResult::kMore) require(whole == part);
  if (whole != ProxyHeaderResult::kComplete) return;
  require(header.bytes > 0 && header.bytes <= bytes.size() && header.bytes <= kProxyHeaderBytesMax);
  if (header.local) return;
  for (const unsigned version : {1U, 2U}) {
    const std::string again = write_proxy_header(version, header.source, header.destination);
    ProxyHeader copy;
    require(read_proxy_header(again, copy) == ProxyHeaderResult::kComplete);
    require(copy.source == header.source && copy.destination == header.destination && copy.bytes == again.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_hello(bytes);
  read_header(bytes);
  sniff(bytes);
  return 0;
}
