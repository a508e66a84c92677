// Reading VirtualService: the field tables and what istiod's validation says about them.
#include "model/virtual_service.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"

namespace lateen::model {

namespace {

constexpr std::size_t kMaxDirectResponseBytes = std::size_t{1} << 20;
constexpr std::int64_t kMaxWeightSum = std::numeric_limits<std::uint32_t>::max();  // Envoy's limit on a route's total

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
           return lower(x) == lower(y);
         });
}
bool is_authority(std::string_view name) { return equals_ignoring_case(name, ":authority") || equals_ignoring_case(name, "host"); }
bool is_internal(std::string_view name) { return name.starts_with(':') || equals_ignoring_case(name, "host"); }

// Names in header operations: Envoy's own headers cannot be changed, only a request's authority can be set.
void check_operations(Reader& reader, const HeaderOperations& operations, std::string_view side, bool authority_allowed) {
  const auto check_name = [&](const std::string& name, const std::string& field, bool authority) {
    if (name.empty()) reader.error_below(field, kBadValue, "a header name must not be empty");
    else if (is_internal(name) && !(authority && is_authority(name)))
      reader.error_below(field, kBadValue, "the header \"" + name + "\" cannot be changed here",
                         authority_allowed ? "only :authority and Host can be set or added" : "");
  };
  const std::string prefix = std::string(side) + ".";
  for (const auto& [name, value] : operations.set) check_name(name, prefix + "set." + name, authority_allowed);
  for (const auto& [name, value] : operations.add) check_name(name, prefix + "add." + name, authority_allowed);
  for (std::size_t i = 0; i < operations.remove.size(); ++i)
    check_name(operations.remove[i], prefix + "remove[" + std::to_string(i) + "]", false);
}

void header_values(Reader& reader, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) header_value(reader, value);
}

void match_header_names(Reader& reader, const std::map<std::string, StringMatch>& headers) {
  constexpr std::string_view kPseudo[] = {":method", ":scheme", ":authority", ":path", ":status"};
  for (const auto& [name, match] : headers)
    if (!claims_in(name) && std::find(std::begin(kPseudo), std::end(kPseudo), name) == std::end(kPseudo) && !is_header_name(name))
      reader.error_below(name, kBadValue, "\"" + name + "\" is not a header name", "use letters, digits, '-' and '_'");
}

void match_source_namespace(Reader& reader, const std::string& value) {
  if (!value.empty()) namespace_name(reader, value);
}

void optional_port(Reader& reader, const std::uint32_t& value) {
  if (value != 0) port_number(reader, value);
}

void optional_subset(Reader& reader, const std::string& value) {
  if (!value.empty()) subset_name(reader, value);
}

void redirect_code(Reader& reader, const std::uint32_t& value) {
  if (value != 0 && (value < 300 || value > 399)) reader.error(kBadValue, std::to_string(value) + " is not a redirect: the code must be 3xx", "write 301, 302, 303, 307 or 308");
}

void redirect_scheme(Reader& reader, const std::string& value) {
  if (!value.empty() && value != "http" && value != "https") reader.error(kBadValue, "\"" + value + "\" is neither http nor https");
}

void redirect_derive_port(Reader& reader, const std::string& value) {
  if (value != "FROM_PROTOCOL_DEFAULT" && value != "FROM_REQUEST_PORT") reader.error(kBadValue, "\"" + value + "\" is not one of FROM_PROTOCOL_DEFAULT, FROM_REQUEST_PORT");
}

void unmatched_preflights(Reader& reader, const std::string& value) {
  if (value != "UNSPECIFIED" && value != "FORWARD" && value != "IGNORE") reader.error(kBadValue, "\"" + value + "\" is not one of UNSPECIFIED, FORWARD, IGNORE");
}

void whole_seconds(Reader& reader, const Duration& value) {
  at_least_1ms(reader, value);
  if (value % std::chrono::seconds(1) != Duration::zero()) reader.error(kBadValue, "must be whole seconds");
}

template <class Destinations>
void check_weights(Reader& reader, const Destinations& destinations) {
  std::int64_t sum = 0;
  bool negative = false;
  for (const auto& destination : destinations) {
    negative = negative || destination.weight < 0;
    sum += destination.weight;
  }
  if (negative) return;  // said at the weight itself
  if (destinations.size() > 1 && sum == 0)
    reader.error(kBadValue, "every weight is 0 or missing: the sum of the weights must be more than 0", "give each destination its share: weight: 90, weight: 10");
  if (sum > kMaxWeightSum) reader.error(kBadValue, "the sum of the weights is more than 4294967295");
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (char c : text) {
    const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    const int value = upper ? c - 'A' : lower ? c - 'a' + 26 : digit ? c - '0' + 52 : c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++count == 4) {
      out += {static_cast<char>(bits >> 16 & 255), static_cast<char>(bits >> 8 & 255), static_cast<char>(bits & 255)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 1) return std::nullopt;
  if (count >= 2) out += static_cast<char>(bits >> (count * 6 - 8) & 255);
  if (count == 3) out += static_cast<char>(bits >> 2 & 255);
  return out;
}

struct Body {
  std::optional<std::string> string, bytes;
};

}  // namespace

template <>
struct Shape<StringMatch> : Table<StringMatch> {
  template <StringMatch::Kind K, auto... Checks>
  static void kind(Reader& reader, const text::Node& node, StringMatch& out) {
    if (!read_value(reader, node, out.value)) return;
    (Checks(reader, out.value), ...);
    out.kind = K;
  }
  static constexpr Field<StringMatch> kFields[] = {{"exact", kind<StringMatch::Kind::kExact>},
                                                   {"prefix", kind<StringMatch::Kind::kPrefix>},
                                                   {"regex", kind<StringMatch::Kind::kRegex, regex>}};
  static void check(Reader& reader, const StringMatch&, const text::Node& node) {
    if (has(node, "exact") + has(node, "prefix") + has(node, "regex") > 1)
      reader.error(kConflictingFields, "takes one of exact, prefix and regex, not several");
  }
};

// An empty matcher means "is present": StringMatch starts as kPresent when it is read.
bool read_value(Reader& reader, const text::Node& node, StringMatch& out) {
  out.kind = StringMatch::Kind::kPresent;
  return read_value<StringMatch>(reader, node, out);
}

template <>
struct Shape<Destination> : Table<Destination> {
  static constexpr Field<Destination> kFields[] = {{"host", at<&Destination::host, destination_host>},
                                                   {"subset", at<&Destination::subset, optional_subset>},
                                                   {"port", port_selector<Destination, &Destination::port>}};
  static void check(Reader& reader, const Destination&, const text::Node& node) {
    if (!has(node, "host")) reader.error(kMissingField, "the destination has no host", "write host: NAME");
  }
};

template <>
struct Shape<HeaderOperations> : Table<HeaderOperations> {
  static constexpr Field<HeaderOperations> kFields[] = {{"set", at<&HeaderOperations::set, header_values>},
                                                        {"add", at<&HeaderOperations::add, header_values>},
                                                        {"remove", at<&HeaderOperations::remove>}};
};

template <>
struct Shape<Headers> : Table<Headers> {
  static constexpr Field<Headers> kFields[] = {{"request", at<&Headers::request>}, {"response", at<&Headers::response>}};
  static void check(Reader& reader, const Headers& headers, const text::Node&) {
    check_operations(reader, headers.request, "request", true);
    check_operations(reader, headers.response, "response", false);
  }
};

template <>
struct Shape<HttpMatchRequest> : Table<HttpMatchRequest> {
  // Of headers that must not be there Istio takes the regex `*`, which is none, for "is present".
  static void without_headers(Reader& reader, const text::Node& node, HttpMatchRequest& out) {
    text::Node rest = node;
    std::erase_if(rest.members, [&](const text::Member& member) {
      const text::Node* regex = member.value.members.size() == 1 ? member.value.find("regex") : nullptr;
      if (regex == nullptr || !regex->is_string() || regex->scalar != "*") return false;
      out.without_headers[member.key] = {StringMatch::Kind::kPresent, ""};
      return true;
    });
    std::map<std::string, StringMatch> read;
    read_value(reader, rest, read);
    out.without_headers.merge(read);
    match_header_names(reader, out.without_headers);
  }
  static constexpr Field<HttpMatchRequest> kFields[] = {
      {"name", at<&HttpMatchRequest::name>},
      {"uri", at<&HttpMatchRequest::uri>},
      {"scheme", at<&HttpMatchRequest::scheme>},
      {"method", at<&HttpMatchRequest::method>},
      {"authority", at<&HttpMatchRequest::authority>},
      {"headers", at<&HttpMatchRequest::headers, match_header_names>},
      {"withoutHeaders", without_headers},
      {"queryParams", at<&HttpMatchRequest::query_params>},
      {"ignoreUriCase", at<&HttpMatchRequest::ignore_uri_case>},
      {"port", at<&HttpMatchRequest::port, optional_port>},
      {"sourceLabels", at<&HttpMatchRequest::source_labels, selector_labels>},
      {"sourceNamespace", at<&HttpMatchRequest::source_namespace, match_source_namespace>},
      {"gateways", each<&HttpMatchRequest::gateways, gateway_name>},
      {"statPrefix", at<&HttpMatchRequest::stat_prefix>}};
};

template <>
struct Shape<HttpRouteDestination> : Table<HttpRouteDestination> {
  static void weight(Reader& reader, const text::Node& node, HttpRouteDestination& out) {
    std::int32_t value = 0;
    if (!read_value(reader, node, value)) return;
    not_negative(reader, value);
    out.weight = value;
    out.weight_given = true;
  }
  static constexpr Field<HttpRouteDestination> kFields[] = {{"destination", at<&HttpRouteDestination::destination>},
                                                            {"weight", weight},
                                                            {"headers", at<&HttpRouteDestination::headers>}};
  static void check(Reader& reader, const HttpRouteDestination&, const text::Node& node) {
    if (!has(node, "destination")) reader.error(kMissingField, "the route has no destination", "write destination: {host: NAME}");
  }
};

template <>
struct Shape<HttpRedirect> : Table<HttpRedirect> {
  static constexpr Field<HttpRedirect> kFields[] = {{"uri", at<&HttpRedirect::uri>},
                                                    {"prefixRewrite", at<&HttpRedirect::prefix_rewrite>},
                                                    {"authority", at<&HttpRedirect::authority>},
                                                    {"port", at<&HttpRedirect::port, port_number>},
                                                    {"derivePort", at<&HttpRedirect::derive_port, redirect_derive_port>},
                                                    {"scheme", at<&HttpRedirect::scheme, redirect_scheme>},
                                                    {"redirectCode", at<&HttpRedirect::redirect_code, redirect_code>}};
  static void check(Reader& reader, const HttpRedirect& redirect, const text::Node& node) {
    if (redirect.uri.empty() && redirect.authority.empty() && redirect.scheme.empty() && redirect.prefix_rewrite.empty() && !redirect.port && redirect.derive_port.empty())
      reader.error(kMissingField, "the redirect changes nothing", "give it a uri, authority, scheme or port");
    if (has(node, "port") && has(node, "derivePort")) reader.error(kConflictingFields, "takes port or derivePort, not both");
    if (!redirect.uri.empty() && !redirect.prefix_rewrite.empty()) reader.error(kConflictingFields, "takes uri or prefixRewrite, not both");
  }
};

template <>
struct Shape<Body> : Table<Body> {
  static constexpr Field<Body> kFields[] = {{"string", at<&Body::string>}, {"bytes", at<&Body::bytes>}};
  static void check(Reader& reader, const Body& body, const text::Node&) {
    if (body.string && body.bytes) reader.error(kConflictingFields, "takes string or bytes, not both");
  }
};

template <>
struct Shape<HttpDirectResponse> : Table<HttpDirectResponse> {
  static void body(Reader& reader, const text::Node& node, HttpDirectResponse& out) {
    Body read;
    if (!read_value(reader, node, read)) return;
    out.body = read.string;
    if (read.bytes) {
      out.body_is_bytes = true;
      out.body = decode_base64(*read.bytes);
      if (!out.body) reader.error_below("bytes", kBadValue, "is not base64");
    }
    if (out.body && out.body->size() > kMaxDirectResponseBytes) reader.error(kBadValue, "the body is larger than 1 MB");
  }
  static constexpr Field<HttpDirectResponse> kFields[] = {{"status", at<&HttpDirectResponse::status, http_status>}, {"body", body}};
  static void check(Reader& reader, const HttpDirectResponse&, const text::Node& node) {
    if (!has(node, "status")) reader.error(kMissingField, "the response has no status", "write status: 503");
  }
};

template <>
struct Shape<RegexRewrite> : Table<RegexRewrite> {
  static constexpr Field<RegexRewrite> kFields[] = {{"match", at<&RegexRewrite::match, regex>}, {"rewrite", at<&RegexRewrite::rewrite>}};
  static void check(Reader& reader, const RegexRewrite& rewrite, const text::Node&) {
    if (rewrite.match.empty() || rewrite.rewrite.empty()) reader.error(kMissingField, "needs both match and rewrite");
  }
};

template <>
struct Shape<HttpRewrite> : Table<HttpRewrite> {
  static constexpr Field<HttpRewrite> kFields[] = {{"uri", at<&HttpRewrite::uri>},
                                                   {"authority", at<&HttpRewrite::authority>},
                                                   {"uriRegexRewrite", at<&HttpRewrite::uri_regex_rewrite>}};
  static void check(Reader& reader, const HttpRewrite& rewrite, const text::Node& node) {
    if (!rewrite.uri.empty() && has(node, "uriRegexRewrite")) reader.error(kConflictingFields, "takes uri or uriRegexRewrite, not both");
    if (rewrite.uri.empty() && rewrite.authority.empty() && !has(node, "uriRegexRewrite"))
      reader.error(kMissingField, "the rewrite changes nothing", "give it a uri, uriRegexRewrite or authority");
  }
};

template <>
struct Shape<HttpRetry> : Table<HttpRetry> {
  static constexpr Field<HttpRetry> kFields[] = {{"attempts", at<&HttpRetry::attempts, not_negative<std::int32_t>>},
                                                 {"perTryTimeout", at<&HttpRetry::per_try_timeout, timeout_at_least_1ms>},
                                                 {"retryOn", at<&HttpRetry::retry_on, retry_on>},
                                                 {"retryRemoteLocalities", at<&HttpRetry::retry_remote_localities>},
                                                 {"retryIgnorePreviousHosts", at<&HttpRetry::retry_ignore_previous_hosts>},
                                                 {"backoff", at<&HttpRetry::backoff, at_least_1ms>}};
};

template <>
struct Shape<FaultDelay> : Table<FaultDelay> {
  static constexpr Field<FaultDelay> kFields[] = {{"fixedDelay", at<&FaultDelay::fixed_delay, at_least_1ms>},
                                                  {"exponentialDelay", unsupported},
                                                  {"percentage", percent_value<FaultDelay, &FaultDelay::percentage, percentage>},
                                                  {"percent", at<&FaultDelay::percent, percent_0_100>}};
};

template <>
struct Shape<FaultAbort> : Table<FaultAbort> {
  static constexpr Field<FaultAbort> kFields[] = {{"httpStatus", at<&FaultAbort::http_status, http_status>},
                                                  {"grpcStatus", at<&FaultAbort::grpc_status, grpc_status>},
                                                  {"http2Error", unsupported},
                                                  {"percentage", percent_value<FaultAbort, &FaultAbort::percentage, percentage>}};
  static void check(Reader& reader, const FaultAbort&, const text::Node& node) {
    if (has(node, "httpStatus") && has(node, "grpcStatus")) reader.error(kConflictingFields, "takes httpStatus or grpcStatus, not both");
    if (!has(node, "httpStatus") && !has(node, "grpcStatus") && !has(node, "http2Error"))
      reader.warn(kNoEffect, "the abort says no status and so never happens", "write httpStatus: 503");
  }
};

template <>
struct Shape<HttpFaultInjection> : Table<HttpFaultInjection> {
  static constexpr Field<HttpFaultInjection> kFields[] = {{"delay", at<&HttpFaultInjection::delay>}, {"abort", at<&HttpFaultInjection::abort>}};
  static void check(Reader& reader, const HttpFaultInjection&, const text::Node& node) {
    if (!has(node, "delay") && !has(node, "abort")) reader.error(kMissingField, "the fault has neither a delay nor an abort");
  }
};

template <>
struct Shape<HttpMirror> : Table<HttpMirror> {
  static constexpr Field<HttpMirror> kFields[] = {{"destination", at<&HttpMirror::destination>},
                                                  {"percentage", percent_value<HttpMirror, &HttpMirror::percentage, percentage_0_100>}};
  static void check(Reader& reader, const HttpMirror&, const text::Node& node) {
    if (!has(node, "destination")) reader.error(kMissingField, "the mirror has no destination");
  }
};

template <>
struct Shape<CorsPolicy> : Table<CorsPolicy> {
  static constexpr Field<CorsPolicy> kFields[] = {{"allowOrigins", at<&CorsPolicy::allow_origins>},
                                                  {"allowOrigin", at<&CorsPolicy::allow_origin>},
                                                  {"allowMethods", each<&CorsPolicy::allow_methods, http_method>},
                                                  {"allowHeaders", each<&CorsPolicy::allow_headers, cors_header_name>},
                                                  {"exposeHeaders", each<&CorsPolicy::expose_headers, cors_header_name>},
                                                  {"maxAge", at<&CorsPolicy::max_age, whole_seconds>},
                                                  {"allowCredentials", at<&CorsPolicy::allow_credentials>},
                                                  {"unmatchedPreflights", at<&CorsPolicy::unmatched_preflights, unmatched_preflights>}};
  static void check(Reader& reader, const CorsPolicy& policy, const text::Node&) {
    for (std::size_t i = 0; i < policy.allow_origins.size(); ++i)
      if (policy.allow_origins[i].value.empty())
        reader.error_below("allowOrigins[" + std::to_string(i) + "]", kMissingField, "an origin to allow must not be empty", "write exact: https://example.com");
  }
};

template <>
struct Shape<Delegate> : Table<Delegate> {
  static constexpr Field<Delegate> kFields[] = {{"name", at<&Delegate::name>}, {"namespace", at<&Delegate::namespace_>}};
};

template <>
struct Shape<HttpRoute> : Table<HttpRoute> {
  static void mirror_percent(Reader& reader, const text::Node& node, HttpRoute& out) {
    std::uint32_t percent = 0;
    if (!read_value(reader, node, percent)) return;
    percentage_0_100(reader, percent);
    reader.warn(kDeprecatedField, "is deprecated", "write mirrorPercentage: {value: " + node.scalar + "}");
    out.mirror_percent = percent;
  }
  static constexpr Field<HttpRoute> kFields[] = {
      {"name", at<&HttpRoute::name>},
      {"match", at<&HttpRoute::match>},
      {"route", at<&HttpRoute::route, check_weights<std::vector<HttpRouteDestination>>>},
      {"redirect", at<&HttpRoute::redirect>},
      {"directResponse", at<&HttpRoute::direct_response>},
      {"delegate", at<&HttpRoute::delegate>},
      {"rewrite", at<&HttpRoute::rewrite>},
      {"timeout", at<&HttpRoute::timeout, timeout_at_least_1ms>},
      {"retries", at<&HttpRoute::retries>},
      {"fault", at<&HttpRoute::fault>},
      {"mirror", at<&HttpRoute::mirror>},
      {"mirrorPercent", mirror_percent},
      {"mirrorPercentage", percent_value<HttpRoute, &HttpRoute::mirror_percentage, percentage_0_100>},
      {"mirrors", at<&HttpRoute::mirrors>},
      {"corsPolicy", at<&HttpRoute::cors_policy>},
      {"headers", at<&HttpRoute::headers>}};

  // A mesh-wide policy may say more than that there are none (observed).
  static void check_retries(Reader& reader, const HttpRoute& route, const text::Node& node) {
    if (!route.retries) return;
    const text::Node& retries = *node.find("retries");
    const bool configured = has(retries, "perTryTimeout") || !route.retries->retry_on.empty() || has(retries, "retryRemoteLocalities") || has(retries, "backoff");
    const text::Node* attempts = retries.find("attempts");
    const bool zero = attempts == nullptr || attempts->is_null() || attempts->scalar == "0";
    if (zero && configured)
      reader.error_below("retries", kConflictingFields, "attempts is 0, which means no retries, so nothing else may be set here",
                         "write attempts: 2, or retries: {attempts: 0} alone");
  }
  static void check(Reader& reader, const HttpRoute& route, const text::Node& node) {
    check_retries(reader, route, node);
    const text::Node* list = node.find("route");
    const bool has_route = list != nullptr && (!list->is_sequence() || !list->items.empty()) && !list->is_null();
    if (route.delegate) {
      if (has_route || has(node, "redirect") || has(node, "directResponse"))
        reader.error(kConflictingFields, "a route with a delegate takes no route, redirect or directResponse of its own");
      return;
    }
    const auto exclude = [&](std::string_view field, std::initializer_list<std::string_view> others) {
      if (!has(node, field)) return;
      for (std::string_view other : others)
        if (other == "route" ? has_route : has(node, other))
          reader.error(kConflictingFields, "cannot hold both " + std::string(field) + " and " + std::string(other), "take one of them out");
    };
    exclude("redirect", {"route", "directResponse", "fault", "rewrite"});
    exclude("directResponse", {"route", "fault", "rewrite"});
    exclude("mirror", {"mirrors"});
    if (!has_route && !has(node, "redirect") && !has(node, "directResponse"))
      reader.error(kMissingField, "has no route, redirect or directResponse: one of them is required", "write route: [{destination: {host: NAME}}]");
    check_authority(reader, route);
  }

  // The authority can be written in one place only.
  static void check_authority(Reader& reader, const HttpRoute& route) {
    if (!route.headers) return;
    int writers = route.rewrite && !route.rewrite->authority.empty() ? 1 : 0;
    for (const auto& [name, value] : route.headers->request.set) writers += is_authority(name);
    for (const auto& [name, value] : route.headers->request.add) writers += is_authority(name);
    if (writers > 1) reader.error(kConflictingFields, "sets the authority in several places", "set it once: in rewrite.authority or in headers.request");
  }
};

template <>
struct Shape<RouteDestination> : Table<RouteDestination> {
  static void weight(Reader& reader, const text::Node& node, RouteDestination& out) {
    std::int32_t value = 0;
    if (!read_value(reader, node, value)) return;
    not_negative(reader, value);
    out.weight = value;
  }
  static constexpr Field<RouteDestination> kFields[] = {{"destination", at<&RouteDestination::destination>}, {"weight", weight}};
  static void check(Reader& reader, const RouteDestination&, const text::Node& node) {
    if (!has(node, "destination")) reader.error(kMissingField, "the route has no destination", "write destination: {host: NAME}");
  }
};

namespace {
// The match of a tls and of a tcp route: one struct in the model, two tables.
struct TlsMatch : L4Match {};
struct TlsRoute {
  std::vector<TlsMatch> match;
  std::vector<RouteDestination> route;
};
}  // namespace

template <>
struct Shape<L4Match> : Table<L4Match> {
  static constexpr Field<L4Match> kFields[] = {{"destinationSubnets", each<&L4Match::destination_subnets, ip_subnet>},
                                               {"port", at<&L4Match::port, optional_port>},
                                               {"sourceSubnet", unsupported},
                                               {"sourceLabels", at<&L4Match::source_labels, selector_labels>},
                                               {"gateways", each<&L4Match::gateways, gateway_name>},
                                               {"sourceNamespace", at<&L4Match::source_namespace, match_source_namespace>}};
};

template <>
struct Shape<L4Route> : Table<L4Route> {
  static constexpr Field<L4Route> kFields[] = {{"match", at<&L4Route::match>},
                                               {"route", at<&L4Route::route, check_weights<std::vector<RouteDestination>>>}};
  static void check(Reader& reader, const L4Route& route, const text::Node& node) {
    if (route.route.empty() && (!has(node, "route") || node.find("route")->is_sequence()))
      reader.error(kMissingField, "the tcp route has no destination", "write route: [{destination: {host: NAME}}]");
  }
};

template <>
struct Shape<TlsMatch> : Table<TlsMatch> {
  static constexpr Field<TlsMatch> kFields[] = {{"sniHosts", at<&TlsMatch::sni_hosts>},
                                                {"destinationSubnets", each<&TlsMatch::destination_subnets, ip_subnet>},
                                                {"port", at<&TlsMatch::port, optional_port>},
                                                {"sourceLabels", at<&TlsMatch::source_labels, selector_labels>},
                                                {"gateways", each<&TlsMatch::gateways, gateway_name>},
                                                {"sourceNamespace", at<&TlsMatch::source_namespace, match_source_namespace>}};
  static void check(Reader& reader, const TlsMatch& match, const text::Node&) {
    if (match.sni_hosts.empty()) reader.error(kMissingField, "the match names no sniHosts", "write sniHosts: [NAME]");
  }
};

template <>
struct Shape<TlsRoute> : Table<TlsRoute> {
  static constexpr Field<TlsRoute> kFields[] = {{"match", at<&TlsRoute::match>},
                                                {"route", at<&TlsRoute::route, check_weights<std::vector<RouteDestination>>>}};
  static void check(Reader& reader, const TlsRoute& route, const text::Node&) {
    if (route.match.empty()) reader.error(kMissingField, "the tls route has no match", "write match: [{sniHosts: [NAME]}]");
    if (route.route.empty()) reader.error(kMissingField, "the tls route has no destination", "write route: [{destination: {host: NAME}}]");
  }
};

template <>
struct Shape<VirtualService> : Table<VirtualService> {
  static void tls(Reader& reader, const text::Node& node, VirtualService& out) {
    std::vector<TlsRoute> routes;
    read_value(reader, node, routes);
    for (TlsRoute& route : routes) out.tls.push_back({{route.match.begin(), route.match.end()}, std::move(route.route)});
  }
  static constexpr Field<VirtualService> kFields[] = {{"hosts", at<&VirtualService::hosts>},
                                                      {"gateways", each<&VirtualService::gateways, gateway_name>},
                                                      {"http", at<&VirtualService::http>},
                                                      {"tls", tls},
                                                      {"tcp", at<&VirtualService::tcp>},
                                                      {"exportTo", at<&VirtualService::export_to>}};

  static void check(Reader& reader, const VirtualService& service, const text::Node& node) {
    check_export_to(reader, service.export_to, reader.own_namespace(), false);
    const auto is_empty = [&](std::string_view key) { return !has(node, key) || (node.find(key)->is_sequence() && node.find(key)->items.empty()); };
    if (is_empty("http") && is_empty("tls") && is_empty("tcp"))
      reader.error(kMissingField, "the VirtualService has no http, tls or tcp routes", "write http: [{route: [{destination: {host: NAME}}]}]");
    if (is_empty("hosts")) check_delegate(reader, service);
    else check_hosts(reader, service);
    check_sni(reader, service);
  }

  // A server name must be one of the hosts, or within one.
  static void check_sni(Reader& reader, const VirtualService& service) {
    for (std::size_t i = 0; i < service.tls.size(); ++i)
      for (std::size_t j = 0; j < service.tls[i].match.size(); ++j)
        for (std::size_t k = 0; k < service.tls[i].match[j].sni_hosts.size(); ++k) {
          const std::string& sni = service.tls[i].match[j].sni_hosts[k];
          const std::string field = "tls[" + std::to_string(i) + "].match[" + std::to_string(j) + "].sniHosts[" + std::to_string(k) + "]";
          if (is_ip_address(sni)) reader.warn(kNoEffect, "clients send no addresses as server names");
          else if (const std::string problem = wildcard_host_problem(sni); !problem.empty() && sni != "*")
            reader.error_below(field, kBadValue, "the host \"" + sni + "\" " + problem);
          else if (std::none_of(service.hosts.begin(), service.hosts.end(), [&](const std::string& host) { return host_covers(host, sni); }))
            reader.error_below(field, kConflictingFields, "\"" + sni + "\" is none of the hosts of the VirtualService", "add it to hosts");
        }
  }

  // Without hosts a VirtualService is a delegate: another one sends part of its traffic here.
  static void check_delegate(Reader& reader, const VirtualService& service) {
    if (!service.gateways.empty() || !service.tls.empty() || !service.tcp.empty())
      reader.error(kMissingField, "the VirtualService names no hosts", "write hosts: [NAME] (without hosts it is a delegate, which takes no gateways, tls or tcp)");
    for (std::size_t i = 0; i < service.http.size(); ++i)
      if (service.http[i].delegate) reader.error_below("http[" + std::to_string(i) + "].delegate", kConflictingFields, "a delegate cannot have a delegate of its own");
  }

  // Tokens are looked into at gateways alone.
  static void check_claims(Reader& reader, const VirtualService& service) {
    for (std::size_t i = 0; i < service.http.size(); ++i)
      for (std::size_t j = 0; j < service.http[i].match.size(); ++j) {
        const HttpMatchRequest& match = service.http[i].match[j];
        const std::string where = "http[" + std::to_string(i) + "].match[" + std::to_string(j) + "].";
        const auto refuse = [&](const std::string& field, const std::map<std::string, StringMatch>& headers) {
          for (const auto& [name, value] : headers)
            if (claims_in(name))
              reader.error_below(where + field + "." + name, kConflictingFields, "claims of tokens are matched at gateways alone",
                                 "bind the VirtualService to a Gateway by gateways: [NAME], without mesh");
        };
        refuse("headers", match.headers);
        refuse("withoutHeaders", match.without_headers);
      }
  }

  static void check_hosts(Reader& reader, const VirtualService& service) {
    bool mesh = service.gateways.empty();
    for (const std::string& gateway : service.gateways) mesh = mesh || gateway == "mesh";
    if (mesh) check_claims(reader, service);
    bool good = true;
    for (std::size_t i = 0; i < service.hosts.size(); ++i) {
      const std::string& host = service.hosts[i];
      const std::string field = "hosts[" + std::to_string(i) + "]";
      const std::string problem = is_ip_address(host) ? "" : wildcard_host_problem(host);
      const std::size_t before = reader.error_count();
      if (!problem.empty()) reader.error_below(field, kBadValue, "the host \"" + host + "\" " + problem, "write a name such as reviews or *.example.com");
      else if (host == "*" && mesh)
        reader.error_below(field, kBadValue, "the host \"*\" is not allowed for traffic inside the mesh", "name the services, or bind the VirtualService to a Gateway by gateways: [NAME]");
      good = good && reader.error_count() == before;
    }
    if (!good) return;
    for (std::size_t i = 0; i < service.hosts.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (host_covers(service.hosts[i], service.hosts[j]) || host_covers(service.hosts[j], service.hosts[i]))
          reader.error_below("hosts[" + std::to_string(i) + "]", kConflictingFields, "\"" + service.hosts[i] + "\" and \"" + service.hosts[j] + "\" are the same host twice", "take one of them out");
  }
};

bool read_retry(Reader& reader, const text::Node& node, HttpRetry& out) { return read_value(reader, node, out); }

VirtualService read_virtual_service(Reader& reader, const text::Node& spec) {
  VirtualService service;
  read_value(reader, spec, service);
  return service;
}

}  // namespace lateen::model
