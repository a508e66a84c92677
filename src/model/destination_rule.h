// networking.istio.io DestinationRule as the user wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/common.h"

namespace lateen::model {

struct TcpKeepaliveSettings {
  std::optional<std::uint32_t> probes;
  std::optional<Duration> time, interval;
  bool operator==(const TcpKeepaliveSettings&) const = default;
};
struct ConnectionPoolTcp {
  std::int32_t max_connections = 0;            // 0: not given, as in proto3
  std::optional<Duration> connect_timeout;
  std::optional<TcpKeepaliveSettings> tcp_keepalive;
  std::optional<Duration> max_connection_duration;
  std::optional<Duration> idle_timeout;
  bool operator==(const ConnectionPoolTcp&) const = default;
};
struct ConnectionPoolHttp {
  std::int32_t http1_max_pending_requests = 0;
  std::int32_t http2_max_requests = 0;
  std::int32_t max_requests_per_connection = 0;
  std::int32_t max_retries = 0;
  std::optional<Duration> idle_timeout;
  enum class H2Upgrade { kDefault, kDoNotUpgrade, kUpgrade } h2_upgrade_policy = H2Upgrade::kDefault;
  bool use_client_protocol = false;
  std::int32_t max_concurrent_streams = 0;
  struct Http2Keepalive {
    std::optional<Duration> interval, timeout;
    bool operator==(const Http2Keepalive&) const = default;
  };
  std::optional<Http2Keepalive> http2_keepalive;
  bool operator==(const ConnectionPoolHttp&) const = default;
};
struct ConnectionPool {
  std::optional<ConnectionPoolTcp> tcp;
  std::optional<ConnectionPoolHttp> http;
  bool operator==(const ConnectionPool&) const = default;
};
struct OutlierDetection {
  std::optional<std::uint32_t> consecutive_5xx_errors, consecutive_gateway_errors, consecutive_local_origin_failures;
  std::int32_t consecutive_errors = 0;         // deprecated
  bool split_external_local_origin_errors = false;
  std::optional<Duration> interval, base_ejection_time;
  std::int32_t max_ejection_percent = 0;
  std::int32_t min_health_percent = 0;
  std::vector<std::uint32_t> http_error_codes;
  bool operator==(const OutlierDetection&) const = default;
};
struct HashCookie {
  std::string name, path;
  std::optional<Duration> ttl;
  std::vector<std::pair<std::string, std::string>> attributes;
  bool operator==(const HashCookie&) const = default;
};
struct ConsistentHash {
  std::string http_header_name;
  std::optional<HashCookie> http_cookie;
  std::optional<bool> use_source_ip;           // given but false is still a hash by it
  std::string http_query_parameter_name;
  std::optional<std::uint64_t> minimum_ring_size;      // the deprecated one
  std::optional<std::uint64_t> ring_hash_minimum_ring_size;
  bool ring_hash = false;
  std::optional<std::uint64_t> maglev_table_size;
  bool maglev = false;
  bool operator==(const ConsistentHash&) const = default;
};
struct LocalityLbSetting {
  struct Distribute { std::string from; std::map<std::string, std::uint32_t> to; bool operator==(const Distribute&) const = default; };
  struct Failover { std::string from, to; bool operator==(const Failover&) const = default; };
  std::vector<Distribute> distribute;
  std::vector<Failover> failover;
  std::vector<std::string> failover_priority;
  std::optional<bool> enabled;
  bool operator==(const LocalityLbSetting&) const = default;
};
// Beside localityLbSetting: zones of the client's own region are balanced by Envoy itself.
struct ZoneAwareLbSetting {
  std::optional<bool> enabled;
  std::vector<LocalityLbSetting::Failover> failover;
  std::vector<std::string> failover_priority;
  std::optional<std::uint32_t> min_cluster_size;
  bool operator==(const ZoneAwareLbSetting&) const = default;
};
struct Warmup {
  std::optional<Duration> duration;
  std::optional<double> minimum_percent, aggression;
  bool operator==(const Warmup&) const = default;
};
struct LoadBalancer {
  enum class Simple { kUnspecified, kLeastConn, kRandom, kPassthrough, kRoundRobin, kLeastRequest };
  std::optional<Simple> simple;
  std::optional<ConsistentHash> consistent_hash;
  std::optional<LocalityLbSetting> locality_lb_setting;
  std::optional<ZoneAwareLbSetting> zone_aware_lb_setting;
  std::optional<Warmup> warmup;
  std::optional<Duration> warmup_duration_secs;
  bool operator==(const LoadBalancer&) const = default;
};
struct ClientTls {
  enum class Mode { kDisable, kSimple, kMutual, kIstioMutual } mode = Mode::kDisable;
  std::string client_certificate, private_key, ca_certificates, ca_crl, credential_name, sni;
  std::vector<std::string> subject_alt_names;
  std::optional<bool> insecure_skip_verify;
  bool operator==(const ClientTls&) const = default;
};
// The blocks that a portLevelSettings entry replaces wholesale.
struct PolicyBlocks {
  std::optional<LoadBalancer> load_balancer;
  std::optional<ConnectionPool> connection_pool;
  std::optional<OutlierDetection> outlier_detection;
  std::optional<ClientTls> tls;
  bool operator==(const PolicyBlocks&) const = default;
};
struct PortTrafficPolicy : PolicyBlocks {
  std::uint32_t port = 0;
  bool operator==(const PortTrafficPolicy&) const = default;
};
struct RetryBudget {
  std::optional<double> percent;
  std::uint32_t min_retry_concurrency = 0;
  std::optional<Duration> budget_interval;
  bool operator==(const RetryBudget&) const = default;
};
struct TunnelSettings {
  std::string protocol;                        // CONNECT, POST; "" means CONNECT
  std::string target_host;
  std::uint32_t target_port = 0;
  bool operator==(const TunnelSettings&) const = default;
};
enum class ProxyProtocolVersion { kV1, kV2 };
struct TrafficPolicy : PolicyBlocks {
  std::vector<PortTrafficPolicy> port_level_settings;
  std::optional<RetryBudget> retry_budget;
  std::optional<TunnelSettings> tunnel;
  std::optional<ProxyProtocolVersion> proxy_protocol;
  bool operator==(const TrafficPolicy&) const = default;
};
struct Subset {
  std::string name;
  std::map<std::string, std::string> labels;
  std::optional<TrafficPolicy> traffic_policy;
  bool operator==(const Subset&) const = default;
};
// Beyond Istio: an annotation of a DestinationRule that names a load balancer which Istio does not have.
inline constexpr std::string_view kLoadBalancerAnnotation = "lateen.dev/load-balancer";
inline constexpr std::string_view kPeakEwma = "PEAK_EWMA";   // the annotation's only value

struct DestinationRule {
  std::string host;
  std::optional<TrafficPolicy> traffic_policy;
  std::vector<Subset> subsets;
  std::vector<std::string> export_to;
  std::map<std::string, std::string> workload_selector;  // matchLabels; only with `has_workload_selector`
  bool has_workload_selector = false;
  bool operator==(const DestinationRule&) const = default;
};

}  // namespace lateen::model
