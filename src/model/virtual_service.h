// networking.istio.io VirtualService as the user wrote it, checked for shape only. Names are Istio's, in snake_case.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"

namespace lateen::model {

// StringMatch: exactly one of exact, prefix, regex; kPresent for an empty matcher `{}` (header is present).
struct StringMatch {
  enum class Kind { kExact, kPrefix, kRegex, kPresent };
  Kind kind = Kind::kExact;
  std::string value;
  bool operator==(const StringMatch&) const = default;
};

struct Destination {
  std::string host;
  std::string subset;
  std::uint32_t port = 0;  // 0: not given
  bool operator==(const Destination&) const = default;
};

struct HeaderOperations {
  std::map<std::string, std::string> set;
  std::map<std::string, std::string> add;
  std::vector<std::string> remove;
  bool operator==(const HeaderOperations&) const = default;
};
struct Headers {
  HeaderOperations request, response;
  bool operator==(const Headers&) const = default;
};

struct HttpMatchRequest {
  std::string name;
  std::optional<StringMatch> uri, scheme, method, authority;
  std::map<std::string, StringMatch> headers;
  std::map<std::string, StringMatch> without_headers;
  std::map<std::string, StringMatch> query_params;
  bool ignore_uri_case = false;
  std::uint32_t port = 0;
  std::map<std::string, std::string> source_labels;
  std::string source_namespace;
  std::vector<std::string> gateways;
  std::string stat_prefix;
  bool operator==(const HttpMatchRequest&) const = default;
};

struct HttpRouteDestination {
  Destination destination;
  std::int64_t weight = 0;
  bool weight_given = false;
  std::optional<Headers> headers;
  bool operator==(const HttpRouteDestination&) const = default;
};

struct HttpRedirect {
  std::string uri, prefix_rewrite, authority, scheme;
  std::optional<std::uint32_t> port;
  std::string derive_port;  // "", FROM_PROTOCOL_DEFAULT, FROM_REQUEST_PORT
  std::uint32_t redirect_code = 0;
  bool operator==(const HttpRedirect&) const = default;
};
struct HttpDirectResponse {
  std::uint32_t status = 0;
  std::optional<std::string> body;        // string, or decoded bytes
  bool body_is_bytes = false;
  bool operator==(const HttpDirectResponse&) const = default;
};
struct RegexRewrite {
  std::string match, rewrite;
  bool operator==(const RegexRewrite&) const = default;
};
struct HttpRewrite {
  std::string uri, authority;
  std::optional<RegexRewrite> uri_regex_rewrite;
  bool operator==(const HttpRewrite&) const = default;
};
struct HttpRetry {
  std::int32_t attempts = 0;
  std::optional<Duration> per_try_timeout;
  std::string retry_on;
  std::optional<bool> retry_remote_localities;
  std::optional<bool> retry_ignore_previous_hosts;
  std::optional<Duration> backoff;
  bool operator==(const HttpRetry&) const = default;
};
struct FaultDelay {
  std::optional<Duration> fixed_delay;
  std::optional<double> percentage;       // Percent.value, 0..100
  std::int32_t percent = 0;               // deprecated
  bool operator==(const FaultDelay&) const = default;
};
struct FaultAbort {
  std::optional<std::uint32_t> http_status;
  std::string grpc_status;
  std::optional<double> percentage;
  bool operator==(const FaultAbort&) const = default;
};
struct HttpFaultInjection {
  std::optional<FaultDelay> delay;
  std::optional<FaultAbort> abort;
  bool operator==(const HttpFaultInjection&) const = default;
};
struct HttpMirror {
  Destination destination;
  std::optional<double> percentage;
  bool operator==(const HttpMirror&) const = default;
};
struct CorsPolicy {
  std::vector<StringMatch> allow_origins;
  std::vector<std::string> allow_origin, allow_methods, allow_headers, expose_headers;
  std::optional<Duration> max_age;
  std::optional<bool> allow_credentials;
  std::string unmatched_preflights;
  bool operator==(const CorsPolicy&) const = default;
};
struct Delegate {
  std::string name, namespace_;
  bool operator==(const Delegate&) const = default;
};

struct HttpRoute {
  std::string name;
  std::vector<HttpMatchRequest> match;
  std::vector<HttpRouteDestination> route;
  std::optional<HttpRedirect> redirect;
  std::optional<HttpDirectResponse> direct_response;
  std::optional<Delegate> delegate;
  std::optional<HttpRewrite> rewrite;
  std::optional<Duration> timeout;
  std::optional<HttpRetry> retries;
  std::optional<HttpFaultInjection> fault;
  std::optional<Destination> mirror;
  std::optional<double> mirror_percentage;
  std::optional<std::uint32_t> mirror_percent;   // the older form: mirrorPercentage goes before it
  std::vector<HttpMirror> mirrors;
  std::optional<CorsPolicy> cors_policy;
  std::optional<Headers> headers;
  bool operator==(const HttpRoute&) const = default;
};

struct RouteDestination {
  Destination destination;
  std::int64_t weight = 0;
  bool operator==(const RouteDestination&) const = default;
};
struct L4Match {
  std::vector<std::string> sni_hosts;          // tls only
  std::vector<std::string> destination_subnets;
  std::uint32_t port = 0;
  std::map<std::string, std::string> source_labels;
  std::vector<std::string> gateways;
  std::string source_namespace;
  bool operator==(const L4Match&) const = default;
};
struct L4Route {
  std::vector<L4Match> match;
  std::vector<RouteDestination> route;
  bool operator==(const L4Route&) const = default;
};

struct VirtualService {
  std::vector<std::string> hosts;
  std::vector<std::string> gateways;           // empty means ["mesh"]
  std::vector<HttpRoute> http;
  std::vector<L4Route> tls;
  std::vector<L4Route> tcp;
  std::vector<std::string> export_to;
  bool operator==(const VirtualService&) const = default;
};

}  // namespace lateen::model
