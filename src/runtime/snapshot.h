// What the data plane runs on: Envoy's xDS, compiled. Immutable, shared by every worker, one for each view.
//
// Parts are shared by pointer with the snapshot before wherever the resource did not change. A request pins its virtual
// host and its cluster's policy, never the snapshot. Strings here are Envoy's names; nothing of protobuf is visible, so
// that proxy/ does not see xds/.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/match.h"

namespace lateen::runtime {

// A small number for a cluster name, stable for the life of a view: workers keep their cluster state in a vector.
using ClusterId = std::uint32_t;
inline constexpr ClusterId kNoCluster = ~ClusterId{0};

// Gives out ids. Belongs to whoever compiles (one thread); a name keeps its id for ever.
class ClusterNames {
 public:
  ClusterId id(std::string_view name);                 // makes one if needed
  std::optional<ClusterId> find(std::string_view name) const;
  const std::string& name(ClusterId id) const;
  std::size_t size() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, ClusterId, Hash, std::equal_to<>> ids_;
  std::vector<const std::string*> names_;
};

// ---- routes ---------------------------------------------------------------------------------------------------------

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
  std::uint32_t retries_max = 1;
  std::vector<std::uint16_t> retriable_status_codes;
  std::optional<Duration> per_try_timeout;
  Duration backoff_base = std::chrono::milliseconds(25);
  Duration backoff_max = std::chrono::milliseconds(250);
  bool avoid_previous_hosts = false;
  std::uint32_t host_selection_attempts_max = 1;
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
  std::string prefix;                          // replaces the matched prefix (or the matched path); empty: no change
  std::shared_ptr<const Regex> regex;          // substitution on the path without the query; null: none
  std::string regex_substitution;
  std::string host;                            // replaces the authority; empty: no change
};

struct WeightedCluster {
  std::string name;
  ClusterId id = kNoCluster;
  std::uint32_t weight = 0;
  std::vector<HeaderOperation> request_headers;
  std::vector<HeaderOperation> response_headers;
  std::string host_rewrite;
};

struct Forward {
  std::vector<WeightedCluster> clusters;       // one entry: all traffic, whatever its weight
  std::uint64_t weight_total = 0;              // > 0
  Duration timeout{};                          // zero: none. Runs from the end of the request, as in Envoy
  std::optional<Duration> idle_timeout;        // overrides the connection manager's stream idle timeout
  std::optional<RetryPolicy> retry;            // the route's own, or else its virtual host's
  Rewrite rewrite;
  bool upgrades_allowed = true;
  std::uint16_t cluster_not_found_status = 503;
  // The longest timeout that a gRPC request may ask for with grpc-timeout; zero: any. Absent: the header is ignored.
  std::optional<Duration> grpc_timeout_max;
};
struct DirectResponse {
  std::uint16_t status = 0;
  std::string body;
};
struct Redirect {
  std::uint16_t status = 301;
  std::string scheme, host, path, prefix_rewrite;  // empty: keep
  std::optional<std::uint16_t> port;
  bool https_redirect = false;
  bool strip_query = false;
};
// A route whose action this data plane does not carry out; answered 500 with the reason in the log. Never silent.
struct Unsupported {
  std::string what;
};
using RouteAction = std::variant<Forward, DirectResponse, Redirect, Unsupported>;

struct Route {
  std::string name;                            // Envoy's route name; "default" for istiod's default route
  RouteMatch match;
  RouteAction action;
  std::vector<HeaderOperation> request_headers;
  std::vector<HeaderOperation> response_headers;
  std::optional<Fault> fault;                  // typed_per_filter_config envoy.filters.http.fault
  // Lateen's default, route metadata filter_metadata.lateen.delay_counts: the route's timeout runs from the request,
  // the injected delay included. Absent (any foreign control plane): as in Envoy.
  bool delay_counts_against_timeout = false;
  std::string operation;                       // decorator.operation
  std::string config;                          // metadata.filter_metadata.istio.config, "" if none
  std::string stat_prefix;
  std::uint32_t index = 0;                     // position in its virtual host
};

// Compiled path lookup; see runtime/path_index.h. Keeps first-match order.
class PathIndex;

struct VirtualHost {
  std::string name;
  std::vector<std::string> domains;
  std::vector<Route> routes;
  std::vector<HeaderOperation> request_headers;
  std::vector<HeaderOperation> response_headers;
  std::optional<RetryPolicy> retry;            // for routes without their own; already in these
  bool include_attempt_count_in_request = false;
  bool include_attempt_count_in_response = false;
  bool require_tls = false;                    // plain HTTP is redirected with 301
  std::shared_ptr<const PathIndex> index;
  std::uint64_t content_hash = 0;
};

// Lower-case domain (or its part without "*") -> position in RouteTable::virtual_hosts. Found without making a string.
struct DomainHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using DomainMap = std::unordered_map<std::string, std::uint32_t, DomainHash, std::equal_to<>>;
// Domains with a "*" at one end, by the length of the rest, longest first: one hash look-up for each length in use.
using WildcardDomains = std::map<std::size_t, DomainMap, std::greater<>>;
struct DomainIndex {
  DomainMap exact;
  WildcardDomains suffixes, prefixes;
};

// envoy.config.route.v3.RouteConfiguration: exact domains by hash, then "*.suffix" longest first, then "prefix.*",
// then "*". The port of the Host header is ignored where ignore_port_in_host_matching is set.
struct RouteTable {
  std::string name;
  std::vector<std::shared_ptr<const VirtualHost>> virtual_hosts;
  std::shared_ptr<const DomainIndex> domains;    // null: none but `any`. Shared while no domain changes
  std::optional<std::uint32_t> any;              // "*"
  bool ignore_port = false;
  std::uint64_t content_hash = 0;                // of the shell and of all virtual hosts; 0: something was refused
  std::vector<HeaderOperation> request_headers;
  std::vector<HeaderOperation> response_headers;
};

// ---- clusters and endpoints ------------------------------------------------------------------------------------------

struct Endpoint {
  std::string host;                            // IP; or a name for DNS clusters; or "unix:/path"
  std::uint16_t port = 0;
  std::uint32_t weight = 1;
  std::uint32_t priority = 0;
  std::string region, zone, sub_zone;
  enum class Health : std::uint8_t { kUnknown, kHealthy, kUnhealthy, kDraining, kDegraded } health = Health::kUnknown;
  std::string workload;                        // "name;namespace;service;version;cluster" of istio metadata

  bool operator==(const Endpoint&) const = default;
};
struct EndpointSet {
  std::vector<Endpoint> endpoints;
  // The different filter_metadata envoy.transport_socket_match of the endpoints, each once; usually one, and empty.
  // compile() holds them against the cluster's transport_socket_matches.
  std::vector<std::map<std::string, std::string>> transport_metadata;
  std::uint64_t content_hash = 0;
};

// envoy.config.cluster.v3.CircuitBreakers, default priority. Absent: not limited (2^32 - 1 in the resource); where the
// resource says nothing, Envoy's defaults are filled in (1024 each, 3 retries).
struct CircuitBreakers {
  std::optional<std::uint32_t> connections_max, pending_requests_max, requests_max, retries_max;
};

// envoy.config.cluster.v3.OutlierDetection, with Envoy's defaults filled in.
struct OutlierDetection {
  std::uint32_t consecutive_5xx = 5;
  std::uint32_t enforcing_consecutive_5xx = 100;      // percent
  std::uint32_t consecutive_gateway_failure = 5;
  std::uint32_t enforcing_consecutive_gateway_failure = 0;
  std::uint32_t consecutive_local_origin_failure = 5;
  std::uint32_t enforcing_consecutive_local_origin_failure = 100;
  bool split_external_local_origin_errors = false;
  Duration interval = std::chrono::seconds(10);
  Duration base_ejection_time = std::chrono::seconds(30);
  Duration max_ejection_time = std::chrono::seconds(300);
  std::uint32_t max_ejection_percent = 10;
  bool always_eject_one_host = false;
  // Which statuses count as errors; empty: 500..599 (Istio outlierDetectionHttpErrorCodes).
  std::vector<std::uint16_t> error_codes;
};

struct Cluster {
  std::string name;
  ClusterId id = kNoCluster;
  enum class Discovery : std::uint8_t { kEds, kStatic, kStrictDns, kLogicalDns, kOriginalDestination } discovery = Discovery::kEds;
  enum class Balancer : std::uint8_t { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev, kClusterProvided } balancer = Balancer::kLeastRequest;
  std::uint32_t least_request_choices = 2;
  Duration connect_timeout = std::chrono::seconds(10);
  CircuitBreakers limits;
  std::optional<OutlierDetection> outlier;
  std::uint32_t panic_threshold_percent = 50;   // Envoy's default; istiod sends 0
  std::uint32_t requests_per_connection_max = 0;  // 0: unlimited
  std::optional<Duration> idle_timeout;         // of pooled connections; Envoy's default 1 h; zero: off
  std::optional<Duration> connection_duration_max;
  struct TcpKeepalive { Duration idle, interval; std::uint32_t probes; };
  std::optional<TcpKeepalive> keepalive;
  bool http2 = false;
  bool same_protocol_as_downstream = false;     // use_downstream_protocol_config: HTTP/2 upstream only for HTTP/2 requests
  std::uint32_t http2_streams_max = 0;          // max_concurrent_streams; 0: as the peer allows
  // For clusters that resolve names.
  struct Dns {
    enum class Family : std::uint8_t { kAuto, kV4Only, kV6Only, kV4Preferred, kAll } family = Family::kAuto;
    Duration refresh = std::chrono::seconds(5);
    bool respect_ttl = false;
    Duration jitter{};
  };
  Dns dns;
  std::string endpoints_name;                   // of the ClusterLoadAssignment, for kEds
  // transport_socket_matches: the first whose criteria an endpoint's metadata has decides. Not plain: TLS.
  struct TransportMatch { std::map<std::string, std::string> criteria; bool plain = false; };
  std::vector<TransportMatch> transport_matches;
  // "Unsupported" parts of the resource (TLS until it exists ...): requests to it are answered 503 with this reason.
  std::string unsupported;
  bool endpoints_want_tls = false;              // `unsupported` is about the endpoints and not about the resource
  // For metrics: filter_metadata.istio of the cluster: host, name, namespace of the service.
  std::string service_host, service_name, service_namespace;
  std::string subset;                           // "" for the whole service
  std::string config;                           // the DestinationRule, "" if none
  std::uint64_t content_hash = 0;
};

// ---- listeners -------------------------------------------------------------------------------------------------------

enum class PathNormalization : std::uint8_t { kNone, kBase, kMergeSlashes, kDecodeAndMergeSlashes };
enum class UnderscoresInNames : std::uint8_t { kAllow, kReject, kDrop };   // of request header fields
enum class EscapedSlashes : std::uint8_t { kKeep, kReject, kUnescapeAndRedirect, kUnescapeAndForward };

struct HttpConnectionSettings {
  std::string stat_prefix;
  std::string route_table;                      // name of a RouteTable of the same snapshot
  std::string server_name = "envoy";            // "istio-envoy" at gateways
  bool use_remote_address = false;
  std::uint32_t trusted_hops = 0;
  bool normalize_path = true;
  bool merge_slashes = false;
  EscapedSlashes escaped_slashes = EscapedSlashes::kKeep;
  UnderscoresInNames underscores = UnderscoresInNames::kAllow;
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool websocket_upgrades = true;
  bool accepts_http_10 = false;
  std::uint32_t request_headers_bytes_max = 60 * 1024;
  std::uint32_t request_headers_count_max = 100;
  Duration stream_idle_timeout = std::chrono::minutes(5);   // zero: none
  Duration request_headers_timeout{};                        // zero: none
  Duration idle_timeout = std::chrono::hours(1);             // connection without a stream
  Duration request_timeout{};                                // whole request received; zero: none
  bool fault_filter = true;                                  // the fault filter is in the chain
  bool proxies_100_continue = false;                         // else the proxy itself answers Expect: 100-continue
  bool accepts_absolute_url = true;
  std::optional<std::string> access_log_format;              // Envoy's format string; absent: no log
  std::string access_log_path;
};
struct TcpProxySettings {
  std::string stat_prefix;
  std::vector<WeightedCluster> clusters;
  std::uint64_t weight_total = 0;
  Duration idle_timeout = std::chrono::hours(1);             // zero: none
  std::uint32_t connect_attempts_max = 1;
  std::optional<std::string> access_log_format;
  std::string access_log_path;
};
struct FilterChain {
  std::string name;
  std::optional<std::uint16_t> destination_port;    // of the original destination; absent: any
  std::vector<std::string> destination_prefixes;    // CIDR text; empty: any
  std::vector<std::string> application_protocols;   // "http/1.1" ... as sniffed; empty: any
  std::string transport_protocol;                   // "raw_buffer", "tls" or ""
  std::vector<std::string> server_names;
  std::variant<HttpConnectionSettings, TcpProxySettings, Unsupported> handler;
};
struct Listener {
  std::string name;
  std::string address;                              // "0.0.0.0" ...
  std::uint16_t port = 0;
  bool bind_to_port = true;                         // false: reached only through a capture
  bool outbound = true;                             // traffic_direction
  bool sniffs_http = false;                         // http_inspector is among the listener filters
  bool sniffs_tls = false;                          // tls_inspector
  // Destination ports for which http_inspector is off: [first, second).
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sniffing_off_ports;
  bool uses_original_destination = false;           // hands connections to the listener of their original destination
  // How long to wait for the bytes that are sniffed; zero: for ever. After that, as if nothing was recognised.
  Duration sniffing_timeout = std::chrono::seconds(15);
  bool goes_on_after_sniffing_timeout = false;
  std::vector<FilterChain> filter_chains;
  std::optional<FilterChain> default_chain;
  std::string config;
  std::uint64_t content_hash = 0;
};

// ---- the whole -------------------------------------------------------------------------------------------------------

struct Snapshot {
  std::uint64_t generation = 0;
  std::map<std::string, std::shared_ptr<const RouteTable>, std::less<>> route_tables;
  std::map<std::string, std::shared_ptr<const Listener>, std::less<>> listeners;
  std::vector<std::shared_ptr<const Cluster>> clusters;         // by ClusterId; null: no such cluster (503 NC)
  std::vector<std::shared_ptr<const EndpointSet>> endpoints;    // by ClusterId; null: none
};

}  // namespace lateen::runtime
