#include "proxy/cors.h"

#include <algorithm>

namespace lateen::proxy {
namespace {

constexpr std::string_view kOrigin = "origin";
constexpr std::string_view kRequestMethod = "access-control-request-method";
constexpr std::string_view kRequestPrivateNetwork = "access-control-request-private-network";
constexpr std::string_view kAllowOrigin = "access-control-allow-origin";
constexpr std::string_view kAllowCredentials = "access-control-allow-credentials";
constexpr std::string_view kAllowMethods = "access-control-allow-methods";
constexpr std::string_view kAllowHeaders = "access-control-allow-headers";
constexpr std::string_view kAllowPrivateNetwork = "access-control-allow-private-network";
constexpr std::string_view kExposeHeaders = "access-control-expose-headers";
constexpr std::string_view kMaxAge = "access-control-max-age";

void replace(http::HeaderMap& headers, std::string_view name, std::string_view value) {
  headers.remove(name);
  headers.add_reference(name, value);
}

bool is_preflight(const http::RequestHead& head) {
  return head.method == "OPTIONS" && !head.headers.get(kRequestMethod).value_or("").empty();
}

// An exact "*" stands for every origin, as in Envoy.
bool allows(const runtime::Cors& policy, std::string_view origin) {
  return std::ranges::any_of(policy.allow_origins, [origin](const runtime::StringMatcher& matcher) {
    const bool any = matcher.kind == runtime::StringMatcher::Kind::kExact && matcher.text == "*";
    return any || matcher.matches(origin);
  });
}

}  // namespace

std::string_view origin_of(const http::RequestHead& head) { return head.headers.get(kOrigin).value_or(""); }

CorsVerdict judge_cors(const runtime::Cors& policy, const http::RequestHead& head, Random& random) {
  const std::string_view origin = origin_of(head);
  if (origin.empty()) return CorsVerdict::kNone;
  const bool always = policy.enabled.per_million >= runtime::Fraction::kMillion;
  if (!always && !policy.enabled.contains(random.next())) return CorsVerdict::kNone;
  const bool preflight = is_preflight(head);
  if (allows(policy, origin)) return preflight ? CorsVerdict::kPreflight : CorsVerdict::kAllowed;
  return preflight && !policy.forward_not_matching_preflights ? CorsVerdict::kPreflightRefused : CorsVerdict::kNotAllowed;
}

void allow_origin(const runtime::Cors& policy, std::string_view origin, http::HeaderMap& headers) {
  replace(headers, kAllowOrigin, origin);
  if (policy.allow_credentials.value_or(false)) replace(headers, kAllowCredentials, "true");
  if (!policy.expose_headers.empty()) replace(headers, kExposeHeaders, policy.expose_headers);
}

void write_preflight(const runtime::Cors& policy, const http::RequestHead& request, http::HeaderMap& headers) {
  if (!policy.allow_methods.empty()) replace(headers, kAllowMethods, policy.allow_methods);
  if (!policy.allow_headers.empty()) replace(headers, kAllowHeaders, policy.allow_headers);
  if (!policy.max_age.empty()) replace(headers, kMaxAge, policy.max_age);
  if (policy.allow_private_network.value_or(false) && request.headers.get(kRequestPrivateNetwork) == "true") {
    replace(headers, kAllowPrivateNetwork, "true");
  }
}

}  // namespace lateen::proxy
