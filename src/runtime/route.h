// Virtual hosts and routes of a Snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/boxed.h"
#include "base/compact_list.h"
#include "base/inline_list.h"
#include "base/shared_text.h"
#include "base/time.h"
#include "runtime/cluster.h"
#include "runtime/match.h"
#include "runtime/text_map.h"

namespace lateen::runtime {

struct HeaderOperation {
  enum class Kind : std::uint8_t { kAppend, kAddIfAbsent, kOverwriteIfExists, kOverwrite, kRemove };
  Kind kind = Kind::kAppend;
  std::string name;   // lower case
  HeaderValue value;  // literal, or with Envoy's %COMMAND% operators compiled (runtime/match.h)
  bool keep_empty = false;  // false: nothing is added when the value evaluates to nothing
};

// envoy.config.route.v3.RetryPolicy. Bits of retry_on.
enum RetryOn : std::uint32_t {
  kRetry5xx = 1u << 0, kRetryGatewayError = 1u << 1, kRetryReset = 1u << 2, kRetryConnectFailure = 1u << 3,
  kRetryEnvoyRatelimited = 1u << 4, kRetryRetriable4xx = 1u << 5, kRetryRefusedStream = 1u << 6,
  kRetryRetriableStatusCodes = 1u << 7, kRetryRetriableHeaders = 1u << 8, kRetryResetBeforeRequest = 1u << 9,
  kRetryHttp3PostConnectFailure = 1u << 10, kRetryGrpcCancelled = 1u << 11, kRetryGrpcDeadlineExceeded = 1u << 12,
  kRetryGrpcInternal = 1u << 13, kRetryGrpcResourceExhausted = 1u << 14, kRetryGrpcUnavailable = 1u << 15,
};
struct RetryPolicy {
  std::uint32_t retry_on = 0;
  CompactList<HeaderMatcher> retriable_headers;          // of the response, for kRetryRetriableHeaders
  CompactList<HeaderMatcher> retriable_request_headers;  // not empty: only requests that one of these matches are tried again
  std::uint32_t retries_max = 1;
  std::vector<std::uint16_t> retriable_status_codes;
  std::optional<Duration> per_try_timeout;
  Duration backoff_base = std::chrono::milliseconds(25);
  Duration backoff_max = std::chrono::milliseconds(250);
  bool avoid_previous_hosts = false;
  std::uint32_t host_selection_attempts_max = 1;
  // retry_priority previous_priorities: after so many tries, priorities that were tried are left out. 0: off.
  std::uint32_t previous_priorities_update = 0;
};

// envoy.config.route.v3.HedgePolicy.
struct Hedge {
  bool on_per_try_timeout = false;             // a try that is late goes on beside its successor; the first answer wins
  bool operator==(const Hedge&) const = default;
};

// envoy.config.route.v3.RouteAction.HashPolicy. They are combined in order; a terminal one that gives a hash ends it.
struct HashPolicy {
  enum class Kind : std::uint8_t { kHeader, kCookie, kSourceAddress, kQueryParameter } kind = Kind::kHeader;
  std::string name;                            // header (lower case), cookie, parameter
  std::shared_ptr<const Regex> regex;          // kHeader: substitution before hashing; null: none
  std::string regex_substitution;
  std::optional<Duration> cookie_ttl;          // absent: never made; zero: a session cookie
  std::string cookie_path;
  std::vector<std::pair<std::string, std::string>> cookie_attributes;
  bool terminal = false;
};

// envoy.config.route.v3.RouteAction.RequestMirrorPolicy. A shadow is sent and its answer dropped.
struct Mirror {
  std::string cluster;
  ClusterId id = kNoCluster;
  std::uint32_t per_million = 1'000'000;
  bool append_shadow_suffix = true;            // host-shadow
  CompactList<HeaderOperation> request_headers;
  std::string host_rewrite;                    // replaces the authority; empty: none
};

// envoy.extensions.filters.http.cors.v3.CorsPolicy.
struct Cors {
  std::vector<StringMatcher> allow_origins;
  std::string allow_methods, allow_headers, expose_headers, max_age;   // as they are sent; empty: not sent
  std::optional<bool> allow_credentials;
  std::optional<bool> allow_private_network;
  bool forward_not_matching_preflights = true;
  Fraction enabled;
};

// envoy.extensions.filters.http.fault.v3.HTTPFault. Delay and abort are drawn independently, delay first.
struct Fault {
  std::optional<Duration> delay;
  std::uint32_t delay_per_million = 0;
  std::optional<std::uint16_t> abort_status;
  std::optional<std::uint32_t> abort_grpc_status;
  std::uint32_t abort_per_million = 0;
};

struct Rewrite {
  SharedText prefix;                           // replaces the matched prefix (or the matched path); empty: no change
  std::shared_ptr<const Regex> regex;          // substitution on the path without the query; null: none
  SharedText regex_substitution;
  SharedText host;                             // replaces the authority; empty: no change
  SharedText host_from_header;                 // lower case; its value replaces the authority; empty: none
  std::shared_ptr<const Regex> host_from_path; // substitution on the path gives the authority; null: none
  SharedText host_from_path_substitution;
  bool host_from_endpoint = false;             // auto_host_rewrite: the endpoint's host name
  bool append_x_forwarded_host = false;
};

struct WeightedCluster {
  SharedText name;
  ClusterId id = kNoCluster;
  std::uint32_t weight = 0;
  CompactList<HeaderOperation> request_headers;
  CompactList<HeaderOperation> response_headers;
  SharedText host_rewrite;
};

// How requests are forwarded, whichever cluster takes them.
struct ForwardPolicy {
  Duration timeout{};                          // zero: none. Runs from the end of the request, as in Envoy
  OptionalDuration idle_timeout;               // overrides the connection manager's stream idle timeout
  Boxed<RetryPolicy> retry;                    // the route's own, or else its virtual host's
  Boxed<Rewrite> rewrite;
  // Not empty: this request header (lower case) names the cluster; `clusters` is one without a name. See Decision.
  SharedText cluster_header;
  CompactList<HashPolicy> hash;
  CompactList<Mirror> mirrors;
  OptionalDuration stream_duration_max;        // max_stream_duration; zero: none
  std::optional<Hedge> hedge;
  bool upgrades_allowed = true;
  bool connect_allowed = false;                // upgrade_configs CONNECT
  // connect_config: the tunnel ends here, its bytes go to the endpoint as plain TCP; so do those of a POST (allow_post).
  bool ends_connect = false, ends_post = false;
  std::uint16_t cluster_not_found_status = 503;
  // The longest timeout that a gRPC request may ask for with grpc-timeout; zero: any. Absent: the header is ignored.
  OptionalDuration grpc_timeout_max;
  // The same for a stream's duration (max_stream_duration.grpc_timeout_header_max): where the request has grpc-timeout,
  // that takes the place of stream_duration_max.
  OptionalDuration grpc_stream_duration_max;
};

// Routes are many and mostly alike: what few of them have is boxed, and what many have alike is one object.
struct Forward {
  InlineList<WeightedCluster> clusters;        // one entry: all traffic, whatever its weight
  std::uint64_t weight_total = 0;              // > 0
  Boxed<ForwardPolicy> policy = ForwardPolicy{};
};
struct DirectResponse {
  std::uint16_t status = 0;
  SharedText body;
};
struct Redirect {
  std::uint16_t status = 301;
  std::optional<std::uint16_t> port;
  bool https_redirect = false;
  bool strip_query = false;
  SharedText scheme, host, path, prefix_rewrite;  // empty: keep
  std::shared_ptr<const Regex> path_regex;     // regex_rewrite on the path; null: none
  SharedText path_regex_substitution;
};
// A route whose action this data plane does not carry out; answered 500 with the reason in the log. Never silent.
struct Unsupported {
  SharedText what;
};
using RouteAction = std::variant<Forward, DirectResponse, Redirect, Unsupported>;

// Ten thousand of them are asked for at random, so they are as small as can be: each line of a route that a request looks
// at is a cache miss. What only logs and explanations look at stands last. Those of one host are aligned to lines.
struct Route {
  RouteAction action;
  CompactList<HeaderOperation> request_headers;
  CompactList<HeaderOperation> response_headers;
  Boxed<Fault> fault;                          // typed_per_filter_config envoy.filters.http.fault
  Boxed<Cors> cors;                            // typed_per_filter_config envoy.filters.http.cors, or the virtual host's
  SharedText operation;                        // decorator.operation
  RouteMatch match;
  // Lateen's default, route metadata filter_metadata.lateen.delay_counts: the route's timeout runs from the request,
  // the injected delay included. Absent (any foreign control plane): as in Envoy.
  bool delay_counts_against_timeout = false;
  std::uint32_t index = 0;                     // position in its virtual host
  SharedText name;                             // Envoy's route name; "default" for istiod's default route
  SharedText config;                           // metadata.filter_metadata.istio.config, "" if none
  SharedText stat_prefix;
};

static_assert(sizeof(Route) == 3 * 64, "what few routes have is boxed, what many have alike is shared");

// Compiled path lookup; see runtime/path_index.h. Keeps first-match order.
class PathIndex;

// What a request looks at comes first, in the cache lines that are fetched together: most virtual hosts have one route, which
// lies among them.
struct alignas(64) VirtualHost : std::enable_shared_from_this<VirtualHost> {
  bool include_attempt_count_in_request = false;
  bool include_attempt_count_in_response = false;
  bool require_tls = false;                    // plain HTTP is redirected with 301
  std::shared_ptr<const PathIndex> index;      // null: the routes are so few that they are looked at one by one
  CompactList<HeaderOperation> request_headers;
  CompactList<HeaderOperation> response_headers;
  InlineList<Route, 64> routes;
  SharedText name;
  std::vector<SharedText> domains;
  std::uint64_t content_hash = 0;
};

// Domains with a "*" at one end, by the length of the rest, longest first: one hash look-up for each length in use.
using WildcardDomains = std::map<std::size_t, TextMap, std::greater<>>;
// Lower-case domain (or its part without "*") -> position in RouteTable::virtual_hosts.
struct DomainIndex {
  TextMap exact;
  WildcardDomains suffixes, prefixes;
};

// envoy.config.route.v3.RouteConfiguration: exact domains by hash, then "*.suffix" longest first, then "prefix.*",
// then "*". The port of the Host header is ignored where ignore_port_in_host_matching is set.
struct RouteTable {
  std::string name;
  std::vector<std::shared_ptr<const VirtualHost>> virtual_hosts;
  // Of each place of domains->exact its virtual host, so that a request can ask for both at once. May be empty.
  std::vector<const VirtualHost*> hosts_by_place;
  std::shared_ptr<const DomainIndex> domains;    // null: none but `any`. Shared while no domain changes
  std::optional<std::uint32_t> any;              // "*"
  bool ignore_port = false;
  std::uint64_t content_hash = 0;                // of the shell and of all virtual hosts; 0: something was refused
  CompactList<HeaderOperation> request_headers;
  CompactList<HeaderOperation> response_headers;
};

}  // namespace lateen::runtime
