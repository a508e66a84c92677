#include "proxy/chain_selection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>

namespace lateen::proxy {
namespace {

using Chains = std::vector<const runtime::FilterChain*>;

// A CIDR prefix holds an address: how many bits it fixes, or nothing.
std::optional<unsigned> prefix_bits(std::string_view prefix, const net::Address& address) {
  const std::size_t slash = prefix.find('/');
  const std::string network(prefix.substr(0, slash));
  const int family = network.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const unsigned bits_max = family == AF_INET ? 32 : 128;
  unsigned bits = bits_max;
  if (slash != std::string_view::npos) std::from_chars(prefix.data() + slash + 1, prefix.data() + prefix.size(), bits);
  std::array<unsigned char, 16> a{}, b{};
  if (inet_pton(family, network.c_str(), a.data()) != 1 || inet_pton(family, address.host.c_str(), b.data()) != 1) {
    return std::nullopt;
  }
  bits = std::min(bits, bits_max);
  for (unsigned bit = 0; bit < bits; ++bit) {
    const unsigned char mask = static_cast<unsigned char>(0x80U >> (bit % 8));
    if (((a[bit / 8] ^ b[bit / 8]) & mask) != 0) return std::nullopt;
  }
  return bits;
}

// Keeps the chains with the best score; chains without a score go. Nothing is left where all had none.
template <class Score>
void keep_best(Chains& chains, Score score) {
  int best = -1;
  for (const runtime::FilterChain* chain : chains) best = std::max(best, score(*chain));
  std::erase_if(chains, [&](const runtime::FilterChain* chain) { return best < 0 || score(*chain) != best; });
}

int port_score(const runtime::FilterChain& chain, std::uint16_t port) {
  if (!chain.destination_port) return 0;
  return *chain.destination_port == port ? 1 : -1;
}

int destination_score(const runtime::FilterChain& chain, const net::Address& address) {
  if (chain.destination_prefixes.empty()) return 0;
  int best = -1;
  for (const std::string& prefix : chain.destination_prefixes) {
    if (const std::optional<unsigned> bits = prefix_bits(prefix, address)) best = std::max(best, static_cast<int>(*bits) + 1);
  }
  return best;
}

int server_name_score(const runtime::FilterChain& chain, std::string_view name) {
  if (chain.server_names.empty()) return 0;
  int best = -1;
  for (const std::string& pattern : chain.server_names) {
    if (pattern == name) return 1 << 16;
    const bool wildcard = pattern.starts_with("*.") && name.size() > pattern.size() - 1 &&
                          name.ends_with(std::string_view(pattern).substr(1));
    if (wildcard) best = std::max(best, static_cast<int>(pattern.size()));
  }
  return best;
}

int transport_score(const runtime::FilterChain& chain, std::string_view transport) {
  if (chain.transport_protocol.empty()) return 0;
  return chain.transport_protocol == transport ? 1 : -1;
}

int application_score(const runtime::FilterChain& chain, std::string_view protocol) {
  if (chain.application_protocols.empty()) return 0;
  const auto& protocols = chain.application_protocols;
  return std::find(protocols.begin(), protocols.end(), protocol) != protocols.end() ? 1 : -1;
}

bool is_method_byte(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; }

}  // namespace

const runtime::FilterChain* choose_chain(const runtime::Listener& listener, const ConnectionTraits& traits) {
  if (listener.filter_chains.size() == 1) {
    const runtime::FilterChain& only = listener.filter_chains.front();
    const bool anything = !only.destination_port && only.destination_prefixes.empty() && only.server_names.empty() &&
                          only.transport_protocol.empty() && only.application_protocols.empty();
    if (anything) return &only;
  }
  Chains chains;
  for (const runtime::FilterChain& chain : listener.filter_chains) chains.push_back(&chain);
  keep_best(chains, [&](const auto& chain) { return port_score(chain, traits.destination.port); });
  keep_best(chains, [&](const auto& chain) { return destination_score(chain, traits.destination); });
  keep_best(chains, [&](const auto& chain) { return server_name_score(chain, traits.server_name); });
  keep_best(chains, [&](const auto& chain) { return transport_score(chain, traits.transport); });
  keep_best(chains, [&](const auto& chain) { return application_score(chain, traits.application_protocol); });
  if (!chains.empty()) return chains.front();
  return listener.default_chain ? &*listener.default_chain : nullptr;
}

std::shared_ptr<const runtime::Listener> port_listener(const runtime::Snapshot& snapshot, std::uint16_t port) {
  for (const char* any : {"0.0.0.0_", "[::]_", "::_"}) {
    const auto found = snapshot.listeners.find(any + std::to_string(port));
    if (found != snapshot.listeners.end()) return found->second;
  }
  const auto found = snapshot.listeners.find("virtualOutbound");
  return found == snapshot.listeners.end() ? nullptr : found->second;
}

std::shared_ptr<const runtime::Listener> capture_listener(const runtime::Snapshot& snapshot,
                                                          const net::Address& destination) {
  const auto found = snapshot.listeners.find(destination.host + "_" + std::to_string(destination.port));
  return found != snapshot.listeners.end() ? found->second : port_listener(snapshot, destination.port);
}

bool must_sniff(const runtime::Listener& listener, std::uint16_t port) {
  if (listener.sniffs_tls) return true;
  if (!listener.sniffs_http) return false;
  return std::none_of(listener.sniffing_off_ports.begin(), listener.sniffing_off_ports.end(),
                      [&](const auto& range) { return port >= range.first && port < range.second; });
}

Sniffed sniff(std::string_view first_bytes) {
  if (first_bytes.empty()) return Sniffed::kMore;
  constexpr char kTlsHandshake = 0x16;
  if (first_bytes.front() == kTlsHandshake) return Sniffed::kTls;
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (first_bytes.starts_with(kPreface)) return Sniffed::kHttp2;
  if (kPreface.starts_with(first_bytes)) return Sniffed::kMore;

  while (first_bytes.starts_with("\r\n")) first_bytes.remove_prefix(2);   // empty lines before a request (RFC 9112, 2.2)
  const std::size_t line_end = first_bytes.find('\n');
  std::string_view line = first_bytes.substr(0, line_end);
  const std::size_t space = line.find(' ');
  const std::string_view method = line.substr(0, space);
  constexpr std::size_t kMethodBytesMax = 32;
  if (method.size() > kMethodBytesMax || !std::all_of(method.begin(), method.end(), is_method_byte)) return Sniffed::kOther;
  if (line_end == std::string_view::npos) {
    if (first_bytes.size() < kSniffBytesMax) return Sniffed::kMore;
    return space == std::string_view::npos ? Sniffed::kOther : Sniffed::kHttp11;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.ends_with(" HTTP/1.1")) return Sniffed::kHttp11;
  if (line.ends_with(" HTTP/1.0")) return Sniffed::kHttp10;
  return Sniffed::kOther;
}

}  // namespace lateen::proxy
