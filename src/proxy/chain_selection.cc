#include "proxy/chain_selection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>

#include "http/h1_fields.h"

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

int prefix_score(const std::vector<std::string>& prefixes, const net::Address& address) {
  if (prefixes.empty()) return 0;
  int best = -1;
  for (const std::string& prefix : prefixes) {
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

bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// The first protocol that any chain names decides, in the client's order.
void keep_application(Chains& chains, const ConnectionTraits& traits) {
  const auto keep = [&](std::string_view protocol) {
    const bool wanted = std::any_of(chains.begin(), chains.end(), [&](const auto* chain) { return has(chain->application_protocols, protocol); });
    if (wanted) std::erase_if(chains, [&](const auto* chain) { return !has(chain->application_protocols, protocol); });
    return wanted;
  };
  if (!traits.application_protocol.empty() && keep(traits.application_protocol)) return;
  for (const std::string& protocol : traits.alpn) {
    if (keep(protocol)) return;
  }
  std::erase_if(chains, [](const auto* chain) { return !chain->application_protocols.empty(); });
}

bool is_loopback(const net::Address& address) { return address.host.starts_with("127.") || address.host == "::1"; }

int source_type_score(const runtime::FilterChain& chain, bool is_local) {
  switch (chain.source_type) {
    case runtime::FilterChain::SourceType::kAny: return 0;
    case runtime::FilterChain::SourceType::kSameIpOrLoopback: return is_local ? 1 : -1;
    case runtime::FilterChain::SourceType::kExternal: return is_local ? -1 : 1;
  }
  return 0;
}

int source_port_score(const runtime::FilterChain& chain, std::uint16_t port) {
  if (chain.source_ports.empty()) return 0;
  return std::find(chain.source_ports.begin(), chain.source_ports.end(), port) != chain.source_ports.end() ? 1 : -1;
}

bool takes_anything(const runtime::FilterChain& chain) {
  return !chain.destination_port && chain.destination_prefixes.empty() && chain.server_names.empty() &&
         chain.transport_protocol.empty() && chain.application_protocols.empty() && chain.source_prefixes.empty() &&
         chain.direct_source_prefixes.empty() && chain.source_ports.empty() &&
         chain.source_type == runtime::FilterChain::SourceType::kAny;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Takes the next word, and the blanks before it, off the line.
std::string_view take_word(std::string_view& line) {
  const auto begin = std::find_if_not(line.begin(), line.end(), is_blank);
  const auto end = std::find_if(begin, line.end(), is_blank);
  const std::string_view word(begin, end);
  line.remove_prefix(static_cast<std::size_t>(end - line.begin()));
  return word;
}

bool is_graphic(char c) { return c >= '!' && c <= '~'; }
bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_host_byte(char c) { return is_letter_or_digit(c) || std::string_view("!$%&'()*+,-.:;=@[]_~").find(c) != std::string_view::npos; }

// What http_inspector takes for a request's target: "/...", "*...", "scheme://host...", or with CONNECT "host...".
bool is_target(std::string_view target, bool connect) {
  if (target.empty() || !std::all_of(target.begin(), target.end(), is_graphic)) return false;
  if (target.front() == '/' || target.front() == '*') return true;
  if (!connect) {
    const std::size_t colon = target.find(':');
    if (colon == std::string_view::npos || colon == 0 || !target.substr(colon).starts_with("://")) return false;
    const std::string_view scheme = target.substr(0, colon);
    const auto in_scheme = [](char c) { return is_letter_or_digit(c) || c == '+' || c == '-' || c == '.'; };
    if (!std::all_of(scheme.begin(), scheme.end(), in_scheme) || (scheme.front() >= '0' && scheme.front() <= '9')) return false;
    target.remove_prefix(colon + 3);
  }
  const std::string_view host = target.substr(0, target.find_first_of("/?"));
  return std::all_of(host.begin(), host.end(), is_host_byte) && host.find("@@") == std::string_view::npos;
}

// Of a whole line. Blanks more than needed make it none: what it is worth is the codec's to say.
Sniffed sniff_line(std::string_view line) {
  const std::string_view method = take_word(line), target = take_word(line);
  if (!http::is_token(method) || !is_target(target, method == "CONNECT")) return Sniffed::kOther;
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  if (line.ends_with(" HTTP/1.1") || line.ends_with("\tHTTP/1.1")) return Sniffed::kHttp11;
  if (line.ends_with(" HTTP/1.0") || line.ends_with("\tHTTP/1.0")) return Sniffed::kHttp10;
  return Sniffed::kOther;
}

}  // namespace

// The order is that of envoy.config.listener.v3.FilterChainMatch; what one step has chosen, a later one does not undo.
const runtime::FilterChain* choose_chain(const runtime::Listener& listener, const ConnectionTraits& traits) {
  if (listener.filter_chains.size() == 1 && takes_anything(listener.filter_chains.front())) return &listener.filter_chains.front();
  Chains chains;
  for (const runtime::FilterChain& chain : listener.filter_chains) chains.push_back(&chain);
  keep_best(chains, [&](const auto& chain) { return port_score(chain, traits.destination.port); });
  keep_best(chains, [&](const auto& chain) { return prefix_score(chain.destination_prefixes, traits.destination); });
  keep_best(chains, [&](const auto& chain) { return server_name_score(chain, traits.server_name); });
  keep_best(chains, [&](const auto& chain) { return transport_score(chain, traits.transport); });
  keep_application(chains, traits);
  keep_best(chains, [&](const auto& chain) { return prefix_score(chain.direct_source_prefixes, traits.direct_source); });
  const bool is_local = is_loopback(traits.source) || traits.source.host == traits.destination.host;
  keep_best(chains, [&](const auto& chain) { return source_type_score(chain, is_local); });
  keep_best(chains, [&](const auto& chain) { return prefix_score(chain.source_prefixes, traits.source); });
  keep_best(chains, [&](const auto& chain) { return source_port_score(chain, traits.source.port); });
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

bool sniffs_http(const runtime::Listener& listener, std::uint16_t port) {
  if (!listener.sniffs_http) return false;
  return std::none_of(listener.sniffing_off_ports.begin(), listener.sniffing_off_ports.end(),
                      [&](const auto& range) { return port >= range.first && port < range.second; });
}

Sniffed sniff(std::string_view first_bytes) {
  if (first_bytes.empty()) return Sniffed::kMore;
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (first_bytes.starts_with(kPreface)) return Sniffed::kHttp2;
  if (kPreface.starts_with(first_bytes)) return Sniffed::kMore;

  while (first_bytes.starts_with("\r\n")) first_bytes.remove_prefix(2);   // empty lines before a request (RFC 9112, 2.2)
  const std::size_t line_end = first_bytes.find('\n');
  if (line_end == std::string_view::npos) {
    std::string_view line = first_bytes;
    const std::string_view method = take_word(line);
    if (!method.empty() && !http::is_token(method)) return Sniffed::kOther;
    if (first_bytes.size() < kSniffBytesMax) return Sniffed::kMore;
    return line.empty() ? Sniffed::kOther : Sniffed::kHttp11;
  }
  std::string_view line = first_bytes.substr(0, line_end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return sniff_line(line);
}

}  // namespace lateen::proxy
