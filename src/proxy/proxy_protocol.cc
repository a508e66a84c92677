#include "proxy/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <arpa/inet.h>
#include <charconv>
#include <optional>

namespace lateen::proxy {
namespace {

using Family = net::Address::Family;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kLineBytesMax = 107;       // with its end
constexpr std::size_t kFixedBytes2 = 16;
constexpr unsigned char kLocalCommand = 0x20, kProxyCommand = 0x21;
constexpr unsigned char kTcp4 = 0x11, kTcp6 = 0x21, kUnspecified = 0x00;

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

std::optional<net::Address> address_of(Family family, std::string_view host, std::string_view port) {
  std::array<unsigned char, 16> raw{};
  const std::string text(host);
  if (inet_pton(family == Family::kIpv4 ? AF_INET : AF_INET6, text.c_str(), raw.data()) != 1) return std::nullopt;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535) return std::nullopt;
  if (port.size() > 1 && port.front() == '0') return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  inet_ntop(family == Family::kIpv4 ? AF_INET : AF_INET6, raw.data(), canonical.data(), canonical.size());
  return net::Address{.family = family, .host = canonical.data(), .port = static_cast<std::uint16_t>(number)};
}

// Cuts the next word off; words are separated by one space.
std::string_view next_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return word;
}

ProxyHeaderResult read_version_1(std::string_view bytes, ProxyHeader& header) {
  const std::size_t end = bytes.substr(0, kLineBytesMax).find("\r\n");
  if (end == std::string_view::npos) return bytes.size() < kLineBytesMax ? ProxyHeaderResult::kMore : ProxyHeaderResult::kInvalid;
  std::string_view line = bytes.substr(kSignature1.size(), end - kSignature1.size());
  header = ProxyHeader{.bytes = end + 2, .version = 1, .local = false, .source = {}, .destination = {}};
  const std::string_view protocol = next_word(line);
  if (protocol == "UNKNOWN") {
    header.local = true;   // what follows is to be passed over
    return ProxyHeaderResult::kComplete;
  }
  if (protocol != "TCP4" && protocol != "TCP6") return ProxyHeaderResult::kInvalid;
  const Family family = protocol == "TCP4" ? Family::kIpv4 : Family::kIpv6;
  const std::string_view source = next_word(line), destination = next_word(line), source_port = next_word(line);
  const std::optional<net::Address> from = address_of(family, source, source_port);
  const std::optional<net::Address> to = address_of(family, destination, line);
  if (!from || !to) return ProxyHeaderResult::kInvalid;
  header.source = *from;
  header.destination = *to;
  return ProxyHeaderResult::kComplete;
}

net::Address binary_address(Family family, std::string_view address, std::string_view port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family == Family::kIpv4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return {.family = family, .host = text.data(), .port = static_cast<std::uint16_t>(byte_at(port, 0) << 8 | byte_at(port, 1))};
}

ProxyHeaderResult read_version_2(std::string_view bytes, ProxyHeader& header) {
  if (bytes.size() > 12 && byte_at(bytes, 12) != kLocalCommand && byte_at(bytes, 12) != kProxyCommand) return ProxyHeaderResult::kInvalid;
  if (bytes.size() < kFixedBytes2) return ProxyHeaderResult::kMore;
  const std::size_t length = byte_at(bytes, 14) << 8 | byte_at(bytes, 15);
  if (kFixedBytes2 + length > kProxyHeaderBytesMax) return ProxyHeaderResult::kInvalid;
  const unsigned family = byte_at(bytes, 13);
  header = ProxyHeader{.bytes = kFixedBytes2 + length, .version = 2, .local = byte_at(bytes, 12) == kLocalCommand, .source = {}, .destination = {}};
  const std::size_t wanted = family == kTcp4 ? 12U : family == kTcp6 ? 36U : 0U;
  if (!header.local && family != kTcp4 && family != kTcp6 && family != kUnspecified) return ProxyHeaderResult::kInvalid;
  if (!header.local && length < wanted) return ProxyHeaderResult::kInvalid;
  if (bytes.size() < header.bytes) return ProxyHeaderResult::kMore;
  if (family == kUnspecified) header.local = true;
  if (header.local) return ProxyHeaderResult::kComplete;
  const std::string_view body = bytes.substr(kFixedBytes2, length);
  const std::size_t size = family == kTcp4 ? 4 : 16;
  const Family kind = family == kTcp4 ? Family::kIpv4 : Family::kIpv6;
  header.source = binary_address(kind, body.substr(0, size), body.substr(2 * size, 2));
  header.destination = binary_address(kind, body.substr(size, size), body.substr(2 * size + 2, 2));
  return ProxyHeaderResult::kComplete;
}

bool begins_like(std::string_view bytes, std::string_view signature) {
  const std::size_t size = std::min(bytes.size(), signature.size());
  return bytes.substr(0, size) == signature.substr(0, size);
}

void append_address(std::string& text, const net::Address& address) {
  std::array<char, 16> raw{};
  inet_pton(address.family == Family::kIpv4 ? AF_INET : AF_INET6, address.host.c_str(), raw.data());
  text.append(raw.data(), address.family == Family::kIpv4 ? 4 : 16);
}

void append_port(std::string& text, std::uint16_t port) {
  text += static_cast<char>(port >> 8);
  text += static_cast<char>(port & 0xff);
}

}  // namespace

ProxyHeaderResult read_proxy_header(std::string_view bytes, ProxyHeader& header) {
  for (const std::string_view signature : {kSignature1, kSignature2}) {
    if (!begins_like(bytes, signature)) continue;
    if (bytes.size() < signature.size()) return ProxyHeaderResult::kMore;
    return signature == kSignature1 ? read_version_1(bytes, header) : read_version_2(bytes, header);
  }
  return ProxyHeaderResult::kAbsent;
}

std::string write_proxy_header(unsigned version, const net::Address& source, const net::Address& destination) {
  const bool known = source.family == destination.family && (source.family == Family::kIpv4 || source.family == Family::kIpv6);
  const bool v4 = source.family == Family::kIpv4;
  if (version == 1) {
    if (!known) return "PROXY UNKNOWN\r\n";
    return std::string("PROXY ") + (v4 ? "TCP4 " : "TCP6 ") + source.host + ' ' + destination.host + ' ' +
           std::to_string(source.port) + ' ' + std::to_string(destination.port) + "\r\n";
  }
  std::string header(kSignature2);
  header += static_cast<char>(known ? kProxyCommand : kLocalCommand);
  header += static_cast<char>(!known ? kUnspecified : v4 ? kTcp4 : kTcp6);
  append_port(header, static_cast<std::uint16_t>(!known ? 0 : v4 ? 12 : 36));
  if (!known) return header;
  append_address(header, source);
  append_address(header, destination);
  append_port(header, source.port);
  append_port(header, destination.port);
  return header;
}

}  // namespace lateen::proxy
