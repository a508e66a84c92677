// Authorities and URLs (RFC 3986, section 3.2).
#include <algorithm>
#include <cctype>

#include "http/h1_fields.h"
#include "http/path.h"

namespace lateen::http {

namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f'); }

// unreserved and sub-delims without the comma: a list is no host.
bool in_name(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("_~!$&'()*+;=").find(c) != std::string_view::npos;
}

bool is_name(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (in_name(text[at])) continue;
    if (text[at] != '%' || at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2])) return false;
    at += 2;
  }
  return !text.empty();
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    std::size_t digits = 0;
    unsigned value = 0;
    while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
    }
    if (digits == 0 || value > 255) return false;
    text.remove_prefix(digits);
    if (part == 3) return text.empty();
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return false;
}

// Eight groups, or fewer with one "::"; the last two may be an IPv4 address. No zone.
bool is_ipv6(std::string_view text) {
  constexpr int kGroups = 8;
  int groups = 0;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (text.find('.') != std::string_view::npos && text.find(':') == std::string_view::npos) {
      if (!is_ipv4(text)) return false;
      groups += 2;
      break;
    }
    std::size_t digits = 0;
    while (digits < text.size() && is_hex(text[digits])) ++digits;
    if (digits == 0 || digits > 4) return false;
    ++groups;
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text.front() != ':' || text.size() == 1) return false;
    text.remove_prefix(1);
    if (text.front() == ':') {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
    }
  }
  return gap ? groups < kGroups : groups == kGroups;
}

// Empty: no port, which is legal behind a colon.
bool parse_port(std::string_view text, std::optional<std::uint16_t>& port) {
  constexpr std::size_t kDigitsMax = 5;
  constexpr unsigned kPortMax = 65535;
  if (text.empty()) return true;
  if (text.size() > kDigitsMax) return false;
  unsigned value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > kPortMax) return false;
  port = static_cast<std::uint16_t>(value);
  return true;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::size_t end = 0;
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) return std::nullopt;
    ++end;
  } else {
    end = std::min(text.find(':'), text.size());
    if (!is_name(text.substr(0, end))) return std::nullopt;
  }
  authority.host = text.substr(0, end);
  if (end == text.size()) return authority;
  if (text[end] != ':' || !parse_port(text.substr(end + 1), authority.port)) return std::nullopt;
  return authority;
}

Result<Url> parse_url(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return fail(ErrorCode::kInvalidConfig, "URL \"" + std::string(text) + "\": " + std::string(why));
  };
  Url url;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad("must begin with http:// or https://");
  for (char c : text.substr(0, colon)) url.scheme += lower(c);
  if (url.scheme != "http" && url.scheme != "https") return bad("the scheme must be http or https");
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view written = rest.substr(0, end);
  if (written.find('@') != std::string_view::npos) return bad("must not carry a user name or password");
  const std::optional<Authority> authority = parse_authority(written);
  if (!authority) return bad("\"" + std::string(written) + "\" is no host[:port]");
  if (written.ends_with(':')) written.remove_suffix(1);
  url.authority = written;
  url.host = authority->host;
  if (url.host.starts_with('[')) url.host = url.host.substr(1, url.host.size() - 2);
  url.port = authority->port.value_or(url.scheme == "https" ? 443 : 80);
  const std::string_view target = rest.substr(end);
  if (std::any_of(target.begin(), target.end(), [](char c) { return c <= 0x20 || c >= 0x7f; })) {
    return bad("white space, control and 8-bit bytes must be written as %XX");
  }
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

}  // namespace lateen::http
