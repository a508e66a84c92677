#include "net/address.h"

#include <arpa/inet.h>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <sys/un.h>

namespace lateen::net {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return port;
}

// The canonical text of an IP address, or nothing.
std::optional<Address> parse_ip(const std::string& text) {
  char canonical[INET6_ADDRSTRLEN];
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    ::inet_ntop(AF_INET, &v4, canonical, sizeof canonical);
    return Address{Address::Family::kIpv4, canonical, 0};
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    ::inet_ntop(AF_INET6, &v6, canonical, sizeof canonical);
    return Address{Address::Family::kIpv6, canonical, 0};
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(const Address& address) {
  switch (address.family) {
    case Address::Family::kNone: return "";
    case Address::Family::kIpv4: return address.host + ":" + std::to_string(address.port);
    case Address::Family::kIpv6: return "[" + address.host + "]:" + std::to_string(address.port);
    case Address::Family::kUnix: return std::string(kUnixPrefix) + address.host;
  }
  return "";
}

Result<Address> parse_address(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidConfig, "\"" + std::string(text) + "\" " + std::string(why));
  };
  if (text.starts_with(kUnixPrefix)) {
    const std::string_view path = text.substr(kUnixPrefix.size());
    if (path.empty()) return refuse("names no path: write unix:/path");
    return Address{Address::Family::kUnix, std::string(path), 0};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("has no port: write IP:port");
  const std::optional<std::uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return refuse("has no port from 0 to 65535 after its last colon");
  std::string_view host = text.substr(0, colon);
  if (host.empty()) return Address{Address::Family::kIpv4, "0.0.0.0", *port};
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  std::optional<Address> address = parse_ip(std::string(host));
  if (!address) return refuse("is not an address: write an IP address, not a name, before the port");
  if (in_brackets != (address->family == Address::Family::kIpv6)) return refuse("is not an address: write [IPv6]:port or IPv4:port");
  address->port = *port;
  return *std::move(address);
}

Result<SockAddr> to_sockaddr(const Address& address) {
  SockAddr out;
  switch (address.family) {
    case Address::Family::kNone: return fail(ErrorCode::kInvalidConfig, "no address");
    case Address::Family::kIpv4: {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(address.port);
      if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) != 1) break;
      out.size = sizeof(sockaddr_in);
      return out;
    }
    case Address::Family::kIpv6: {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(address.port);
      if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) != 1) break;
      out.size = sizeof(sockaddr_in6);
      return out;
    }
    case Address::Family::kUnix: {
      auto* un = reinterpret_cast<sockaddr_un*>(&out.storage);
      un->sun_family = AF_UNIX;
      if (address.host.size() >= sizeof un->sun_path) {
        return fail(ErrorCode::kInvalidConfig, "the path " + address.host + " is too long for a unix socket");
      }
      std::memcpy(un->sun_path, address.host.data(), address.host.size());
      out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.host.size() + 1);
      return out;
    }
  }
  return fail(ErrorCode::kInvalidConfig, "\"" + address.host + "\" is not an IP address");
}

Address from_sockaddr(const SockAddr& from) {
  char text[INET6_ADDRSTRLEN];
  if (from.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&from.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return {Address::Family::kIpv4, text, ntohs(v4->sin_port)};
  }
  if (from.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&from.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return {Address::Family::kIpv6, text, ntohs(v6->sin6_port)};
  }
  if (from.storage.ss_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&from.storage);
    const bool named = from.size > offsetof(sockaddr_un, sun_path) && un->sun_path[0] != '\0';
    return {Address::Family::kUnix, named ? std::string(un->sun_path) : std::string(), 0};
  }
  return {};
}

}  // namespace lateen::net
