#include "proxy/request_hash.h"

#include <algorithm>
#include <chrono>

#include "base/hash.h"
#include "http/path.h"

namespace lateen::proxy {
namespace {

using runtime::HashPolicy;

std::optional<std::string_view> pseudo_header(const http::RequestHead& head, std::string_view name) {
  if (name == ":authority" || name == "host") return head.authority;
  if (name == ":path") return head.path;
  if (name == ":method") return head.method;
  if (name == ":scheme") return head.scheme;
  return std::nullopt;
}

// All values of the header, sorted, as one text: the order in which they came does not matter (Envoy).
std::optional<std::uint64_t> hash_header(const HashPolicy& policy, const http::RequestHead& head) {
  std::vector<std::string_view> values;
  if (const auto pseudo = pseudo_header(head, policy.name)) {
    values.push_back(*pseudo);
  } else {
    for (const http::Header& field : head.headers.fields()) {
      if (field.name == policy.name) values.push_back(field.value);
    }
  }
  if (values.empty()) return std::nullopt;
  if (values.size() == 1 && policy.regex == nullptr) return xxhash64(values.front());
  std::sort(values.begin(), values.end());
  std::string joined;
  for (const std::string_view value : values) {
    if (policy.regex == nullptr) joined += value;
    else policy.regex->substitute(value, policy.regex_substitution, joined);
  }
  return xxhash64(joined);
}

// The same for all requests of a connection that race each other, and another one for each connection.
std::string new_cookie_value(const HashSource& source) {
  constexpr char kHex[] = "0123456789abcdef";
  const std::uint64_t hash = xxhash64(std::string(source.downstream_address) + std::string(source.local_address));
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kHex[hash >> shift & 0xfU];
  return out;
}

std::string set_cookie_field(const HashPolicy& policy, std::string_view value) {
  std::string out = policy.name + "=\"" + std::string(value) + '"';
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*policy.cookie_ttl).count();
  if (seconds != 0) out += "; Max-Age=" + std::to_string(seconds);
  if (!policy.cookie_path.empty()) out += "; Path=" + policy.cookie_path;
  for (const auto& [name, text] : policy.cookie_attributes) {
    out += "; " + name;
    if (!text.empty()) out += '=' + text;
  }
  return out + "; HttpOnly";
}

std::optional<std::uint64_t> hash_cookie(const HashPolicy& policy, const http::RequestHead& head, const HashSource& source,
                                         std::vector<std::string>& set_cookies) {
  const std::string_view sent = cookie_value(head.headers, policy.name);
  if (!sent.empty()) return xxhash64(sent);
  if (!policy.cookie_ttl) return std::nullopt;
  const std::string made = new_cookie_value(source);
  set_cookies.push_back(set_cookie_field(policy, made));
  return xxhash64(made);
}

std::optional<std::uint64_t> hash_one(const HashPolicy& policy, const http::RequestHead& head, const HashSource& source,
                                      std::vector<std::string>& set_cookies) {
  switch (policy.kind) {
    case HashPolicy::Kind::kHeader:
      return hash_header(policy, head);
    case HashPolicy::Kind::kCookie:
      return hash_cookie(policy, head, source, set_cookies);
    case HashPolicy::Kind::kSourceAddress:
      if (source.client_ip.empty()) return std::nullopt;
      return xxhash64(source.client_ip);
    case HashPolicy::Kind::kQueryParameter: {
      const std::optional<std::string_view> value = http::query_parameter(http::split_query(head.path).query, policy.name);
      if (!value) return std::nullopt;
      return xxhash64(*value);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view cookie_value(const http::HeaderMap& headers, std::string_view name) {
  for (const http::Header& field : headers.fields()) {
    if (field.id != http::HeaderId::kCookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const std::size_t end = rest.find(';');
      std::string_view pair = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      const std::size_t begin = pair.find_first_not_of(' ');
      if (begin == std::string_view::npos) continue;
      pair.remove_prefix(begin);
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
      std::string_view value = pair.substr(equals + 1);
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
      return value;
    }
  }
  return {};
}

std::optional<std::uint64_t> hash_request(const CompactList<HashPolicy>& policies, const http::RequestHead& head,
                                          const HashSource& source, std::vector<std::string>& set_cookies) {
  std::optional<std::uint64_t> hash;
  for (const HashPolicy& policy : policies) {
    if (const std::optional<std::uint64_t> one = hash_one(policy, head, source, set_cookies)) {
      const std::uint64_t before = hash.value_or(0);
      hash = (before << 1 | before >> 63) ^ *one;
    }
    if (policy.terminal && hash) break;
  }
  return hash;
}

}  // namespace lateen::proxy
