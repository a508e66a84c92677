#include "model/names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lateen::model {

namespace {

constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 255;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alphanumeric(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }

template <class Inner>
bool is_word(std::string_view text, Inner inner) {
  return !text.empty() && text.size() <= kMaxLabel && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_alphanumeric(c) || inner(c); });
}

bool has_upper(std::string_view text) { return std::any_of(text.begin(), text.end(), is_upper); }

int address_family(std::string_view text) {
  std::array<unsigned char, 16> bytes;
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return 0;
  if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) return AF_INET;
  return inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1 ? AF_INET6 : 0;
}

// Whether the first label is a wildcard's: `*`, `*-x`, `*x`.
bool is_wildcard_label(std::string_view label) {
  if (!label.starts_with('*')) return false;
  label.remove_prefix(1);
  if (label.starts_with('-')) label.remove_prefix(1);
  else if (label.empty()) return true;
  return is_dns_label(label);
}

std::string host_problem(std::string_view host, bool wildcard) {
  if (host.empty()) return "is empty";
  if (host.size() > kMaxName) return "is longer than 255 bytes";
  std::string_view rest = host, label;
  bool first = true;
  while (true) {
    const auto dot = rest.find('.');
    label = rest.substr(0, dot);
    const bool is_last = dot == std::string_view::npos;
    const bool good = is_dns_label(label) || (first && wildcard && is_wildcard_label(label)) || (is_last && label.empty() && !first);
    if (!good) return "has the bad part \"" + std::string(label) + "\": a part is letters, digits and '-', at most 63";
    if (is_last) break;
    rest.remove_prefix(dot + 1);
    first = false;
  }
  if (!label.empty() && std::all_of(label.begin(), label.end(), is_digit)) return "ends in the number " + std::string(label) + ", which no domain does";
  return {};
}

}  // namespace

bool is_dns_label(std::string_view text) {
  return is_word(text, [](char c) { return c == '-'; });
}

bool is_lower_dns_label(std::string_view text) { return is_dns_label(text) && !has_upper(text); }

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253 || has_upper(text)) return false;
  while (true) {
    const auto dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back()) ||
        !std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; }))
      return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_ip_address(std::string_view text) { return address_family(text) != 0; }

bool is_ip_subnet(std::string_view text) {
  const auto slash = text.find('/');
  const int family = address_family(text.substr(0, slash));
  if (family == 0 || slash == std::string_view::npos) return family != 0;
  const std::string_view bits = text.substr(slash + 1);
  int value = -1;
  const auto [stop, error] = std::from_chars(bits.data(), bits.data() + bits.size(), value);
  return error == std::errc() && stop == bits.data() + bits.size() && value >= 0 && value <= (family == AF_INET ? 32 : 128);
}

bool is_header_name(std::string_view text) {
  static constexpr std::string_view kSigns = "!#$%&'*+,-.^_`|~";
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || kSigns.find(c) != std::string_view::npos; });
}

bool is_label_key(std::string_view text) {
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    if (!is_dns_subdomain(text.substr(0, slash))) return false;
    text.remove_prefix(slash + 1);
  }
  return is_word(text, [](char c) { return c == '-' || c == '_' || c == '.'; });
}

bool is_label_value(std::string_view text) {
  return text.empty() || is_word(text, [](char c) { return c == '-' || c == '_' || c == '.'; });
}

bool is_unix_address(std::string_view text) {
  constexpr std::string_view kPrefix = "unix://";
  if (!text.starts_with(kPrefix)) return false;
  text.remove_prefix(kPrefix.size());
  return text.size() > 1 && (text.front() == '@' || (text.front() == '/' && text.back() != '/'));
}

std::string fqdn_problem(std::string_view host) { return host_problem(host, false); }
std::string wildcard_host_problem(std::string_view host) { return host_problem(host, true); }

bool host_covers(std::string_view wide, std::string_view narrow) {
  if (!wide.starts_with('*')) return wide == narrow;
  wide.remove_prefix(1);
  if (narrow.starts_with('*')) narrow.remove_prefix(1);
  return narrow.ends_with(wide);
}

std::optional<std::vector<std::string>> claims_in(std::string_view header) {
  constexpr std::string_view kClaims = "@request.auth.claims";
  const auto same = [](char claim, char c) { return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == claim; };
  if (header.size() < kClaims.size() || !std::equal(kClaims.begin(), kClaims.end(), header.begin(), same)) return std::nullopt;
  std::string_view rest = header.substr(kClaims.size());
  std::string_view separator = ".";
  constexpr std::size_t kBrackets = 2;
  if (rest.starts_with('[') && rest.ends_with(']') && rest.size() > kBrackets) {
    separator = "][";
    rest = rest.substr(1, rest.size() - kBrackets);
  } else if (rest.starts_with('.') && rest.size() > 1) {
    rest.remove_prefix(1);
  } else {
    return std::nullopt;
  }
  std::vector<std::string> claims;
  for (std::size_t end = rest.find(separator); end != std::string_view::npos; end = rest.find(separator)) {
    claims.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + separator.size());
  }
  claims.emplace_back(rest);
  return claims;
}

}  // namespace lateen::model
