// Clusters and endpoints of a Snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/boxed.h"
#include "base/shared_text.h"
#include "base/time.h"
#include "runtime/text_map.h"
#include "runtime/tls.h"

namespace lateen::runtime {

// A small number for a cluster name, stable for the life of a view: workers keep their cluster state in a vector.
using ClusterId = std::uint32_t;
inline constexpr ClusterId kNoCluster = ~ClusterId{0};

// Gives out ids. Belongs to whoever compiles (one thread); a name keeps its id for ever.
class ClusterNames {
 public:
  ClusterId id(std::string_view name);                 // makes one if needed
  std::optional<ClusterId> find(std::string_view name) const;
  const SharedText& name(ClusterId id) const;
  std::size_t size() const;

 private:
  TextMap ids_;
  std::vector<SharedText> names_;
};

struct Endpoint {
  std::string host;                            // IP; or a name for DNS clusters; or "unix:/path"
  SharedText region, zone, sub_zone;
  SharedText hostname;                         // of the endpoint; for auto_host_rewrite and hashing; may be empty
  SharedText workload;                         // "name;namespace;service;version;cluster" of istio metadata
  std::uint32_t weight = 1;
  std::uint32_t priority = 0;
  std::uint32_t transport_metadata = 0;        // index into EndpointSet::transport_metadata
  std::uint32_t locality = 0;                  // index into EndpointSet::localities
  std::uint16_t port = 0;
  enum class Health : std::uint8_t { kUnknown, kHealthy, kUnhealthy, kDraining, kDegraded } health = Health::kUnknown;

  bool operator==(const Endpoint&) const = default;
};
// envoy.config.endpoint.v3.LocalityLbEndpoints: one group of endpoints.
struct Locality {
  SharedText region, zone, sub_zone;
  std::uint32_t priority = 0;
  std::optional<std::uint32_t> weight;         // counts only for clusters with `locality_weighted`

  bool operator==(const Locality&) const = default;
};
// The filter_metadata envoy.transport_socket_match of an endpoint, as far as it is text.
using TransportMetadata = std::map<std::string, std::string>;

struct EndpointSet {
  std::vector<Endpoint> endpoints;
  std::vector<Locality> localities;
  std::uint32_t overprovisioning_percent = 140;
  bool weighted_priority_health = false;
  std::uint32_t drop_per_million = 0;          // policy.drop_overloads together: such a share is answered 503
  // The different metadata of the endpoints, each once; usually one, and absent, which is the same as empty.
  // compile() holds them against the cluster's transport_socket_matches.
  std::vector<Boxed<TransportMetadata>> transport_metadata;
  const TransportMetadata& metadata_of(std::uint32_t index) const {
    static const TransportMetadata kNone;
    return index < transport_metadata.size() && transport_metadata[index] ? *transport_metadata[index] : kNone;
  }
  std::uint64_t content_hash = 0;
};

// envoy.config.cluster.v3.CircuitBreakers, default priority. Absent: not limited (2^32 - 1 in the resource); where the
// resource says nothing, Envoy's defaults are filled in (1024 each, 3 retries).
struct CircuitBreakers {
  std::optional<std::uint32_t> connections_max, pending_requests_max, requests_max, retries_max;
  // retry_budget: retries may be such a share of the active requests, and at least `retries_min`; retries_max has no
  // effect then.
  struct RetryBudget {
    double percent = 20;
    std::uint32_t retries_min = 3;
    bool operator==(const RetryBudget&) const = default;
  };
  std::optional<RetryBudget> retry_budget;
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

// envoy.config.core.v3.TransportSocket of a cluster: what stands between HTTP or bytes and TCP.
struct Transport {
  std::shared_ptr<const UpstreamTls> tls;       // null: plain text
  std::uint32_t proxy_protocol = 0;             // PROXY protocol header first, in this version (1 or 2); 0: none
};

// Clusters are many and mostly alike: what few of them have is boxed.
struct Cluster {
  SharedText name;
  SharedText endpoints_name;                    // of the ClusterLoadAssignment, for kEds
  ClusterId id = kNoCluster;
  enum class Discovery : std::uint8_t { kEds, kStatic, kStrictDns, kLogicalDns, kOriginalDestination, kDynamicForwardProxy } discovery = Discovery::kEds;
  enum class Balancer : std::uint8_t { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev, kClusterProvided, kPeakEwma } balancer = Balancer::kLeastRequest;
  // ring_hash_lb_config and maglev_lb_config.
  enum class HashFunction : std::uint8_t { kXxHash, kMurmur2 } hash_function = HashFunction::kXxHash;
  bool hashes_hostname = false;                 // use_hostname_for_hashing
  bool locality_weighted = false;               // locality_weighted_lb_config
  bool http2 = false;
  bool alpn_decides = false;                    // auto_config: HTTP/2 where the peer chooses h2, else HTTP/1.1
  bool same_protocol_as_downstream = false;     // use_downstream_protocol_config: HTTP/2 upstream only for HTTP/2 requests
  bool unsupported_by_endpoints = false;        // `unsupported` is about the endpoints and not about the resource
  std::uint32_t least_request_choices = 2;
  std::uint64_t ring_size_min = 1024, ring_size_max = 8 * 1024 * 1024;
  // Lateen's, beyond Envoy: a host of the least weight has so many points on the ring, whatever the number of hosts, so that
  // one more or less moves its own keys only. 0: Envoy's rule, by which the size of the ring stays as it is.
  std::uint64_t ring_points_per_host = 0;
  std::uint64_t maglev_table_size = 65537;
  std::uint32_t hash_balance_percent = 0;       // hash_balance_factor; 0: off
  std::uint32_t panic_threshold_percent = 50;   // Envoy's default; istiod sends 0
  std::uint32_t requests_per_connection_max = 0;  // 0: unlimited
  std::uint32_t http2_streams_max = 0;          // max_concurrent_streams; 0: as the peer allows
  struct ZoneAware {
    double routing_percent = 100;
    std::uint64_t cluster_size_min = 6;
    bool fail_traffic_on_panic = false;
    // Where the client is, and the cluster of the clients like it (Envoy has both in its bootstrap); "": not known.
    std::string region, zone, sub_zone, local_cluster;
  };
  Boxed<ZoneAware> zone_aware;                  // zone_aware_lb_config
  struct SlowStart {
    Duration window{};
    double aggression = 1;
    double weight_percent_min = 10;
  };
  Boxed<SlowStart> slow_start;
  Duration connect_timeout = std::chrono::seconds(10);
  CircuitBreakers limits;
  Boxed<OutlierDetection> outlier;
  std::optional<Duration> idle_timeout;         // of pooled connections; Envoy's default 1 h; zero: off
  std::optional<Duration> connection_duration_max;
  struct TcpKeepalive { Duration idle, interval; std::uint32_t probes; };
  Boxed<TcpKeepalive> keepalive;
  std::optional<Duration> stream_duration_max;          // common_http_protocol_options.max_stream_duration; zero: none
  // http2_protocol_options.connection_keepalive: PING every `interval`; no answer within `timeout` ends the connection.
  struct Http2Keepalive { Duration interval{}, timeout{}; };
  Boxed<Http2Keepalive> http2_keepalive;
  Transport transport;                          // transport_socket
  // For clusters that resolve names.
  struct Dns {
    enum class Family : std::uint8_t { kAuto, kV4Only, kV6Only, kV4Preferred, kAll } family = Family::kAuto;
    bool respect_ttl = false;
    Duration refresh = std::chrono::seconds(5);
    Duration jitter{};
  };
  Dns dns;
  // transport_socket_matches: the first whose criteria an endpoint's metadata has decides; if there is none, `transport`.
  struct TransportMatch {
    std::map<std::string, std::string> criteria;
    bool plain = false;                         // plain text, without a PROXY header
    Transport transport;
    std::string unsupported;                    // why no endpoint may choose it; "": it may
  };
  std::vector<TransportMatch> transport_matches;
  // upstream_bind_config: connections come from this IP; "": as the system chooses.
  SharedText bind_address;
  // "Unsupported" parts of the resource: requests to it are answered 503 with this reason.
  SharedText unsupported;
  // For metrics: filter_metadata.istio of the cluster: host, name, namespace of the service.
  SharedText service_host, service_name, service_namespace;
  SharedText subset;                            // "" for the whole service
  SharedText config;                            // the DestinationRule, "" if none
  std::uint64_t content_hash = 0;
};

}  // namespace lateen::runtime
