#include "translate/traffic_policy.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>

#include "translate/shapes.h"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();

void set_unlimited(cluster_v3::CircuitBreakers::Thresholds& out) {
  out.mutable_max_connections()->set_value(kUnlimited);
  out.mutable_max_pending_requests()->set_value(kUnlimited);
  out.mutable_max_requests()->set_value(kUnlimited);
  out.mutable_max_retries()->set_value(kUnlimited);
}

std::uint32_t positive(std::int32_t value) { return value > 0 ? static_cast<std::uint32_t>(value) : 0; }

// In proto3 a limit of 0 cannot be told from one that is not given.
void set_limits(cluster_v3::CircuitBreakers::Thresholds& out, const model::ConnectionPool& pool) {
  if (pool.tcp && pool.tcp->max_connections > 0)
    out.mutable_max_connections()->set_value(positive(pool.tcp->max_connections));
  if (!pool.http) return;
  if (pool.http->http1_max_pending_requests > 0)
    out.mutable_max_pending_requests()->set_value(positive(pool.http->http1_max_pending_requests));
  if (pool.http->http2_max_requests > 0)
    out.mutable_max_requests()->set_value(positive(pool.http->http2_max_requests));
  if (pool.http->max_retries > 0) out.mutable_max_retries()->set_value(positive(pool.http->max_retries));
}

void set_retry_budget(cluster_v3::CircuitBreakers::Thresholds& out, const model::RetryBudget& budget) {
  constexpr double kPercent = 20;
  constexpr std::uint32_t kConcurrency = 3;
  out.mutable_retry_budget()->mutable_budget_percent()->set_value(budget.percent.value_or(kPercent));
  out.mutable_retry_budget()->mutable_min_retry_concurrency()->set_value(
      budget.min_retry_concurrency > 0 ? budget.min_retry_concurrency : kConcurrency);
  if (!budget.budget_interval) return;
  // A field that is younger than the messages which are compiled in.
  constexpr int kBudgetInterval = 3;
  google::protobuf::Duration interval;
  set_duration(interval, *budget.budget_interval);
  auto& message = *out.mutable_retry_budget();
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(kBudgetInterval, interval.SerializeAsString());
}

void set_keepalive(cluster_v3::Cluster& out, const model::TcpKeepaliveSettings& keepalive) {
  const auto seconds = [](Duration value) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(value).count());
  };
  auto& to = *out.mutable_upstream_connection_options()->mutable_tcp_keepalive();
  if (keepalive.probes && *keepalive.probes > 0) to.mutable_keepalive_probes()->set_value(*keepalive.probes);
  if (keepalive.time) to.mutable_keepalive_time()->set_value(seconds(*keepalive.time));
  if (keepalive.interval) to.mutable_keepalive_interval()->set_value(seconds(*keepalive.interval));
}

void set_connection_options(HttpOptions& out, const model::ConnectionPool& pool) {
  std::optional<Duration> idle = pool.http ? pool.http->idle_timeout : std::nullopt;
  if (!idle && pool.tcp) idle = pool.tcp->idle_timeout;
  const std::optional<Duration> longest = pool.tcp ? pool.tcp->max_connection_duration : std::nullopt;
  const std::uint32_t requests = pool.http ? positive(pool.http->max_requests_per_connection) : 0;
  const std::uint32_t streams = pool.http ? positive(pool.http->max_concurrent_streams) : 0;
  const bool keepalive = pool.http && pool.http->http2_keepalive;
  if (!idle && !longest && requests == 0 && streams == 0 && !keepalive) return;
  auto& common = *out.mutable_common_http_protocol_options();
  if (idle) set_duration(*common.mutable_idle_timeout(), *idle);
  if (requests > 0) common.mutable_max_requests_per_connection()->set_value(requests);
  if (longest) set_duration(*common.mutable_max_connection_duration(), *longest);
  if (!out.explicit_http_config().has_http2_protocol_options()) return;
  auto& http2 = *out.mutable_explicit_http_config()->mutable_http2_protocol_options();
  if (streams > 0) http2.mutable_max_concurrent_streams()->set_value(streams);
  if (!keepalive) return;
  const auto& wanted = *pool.http->http2_keepalive;
  if (wanted.interval) set_duration(*http2.mutable_connection_keepalive()->mutable_interval(), *wanted.interval);
  if (wanted.timeout) set_duration(*http2.mutable_connection_keepalive()->mutable_timeout(), *wanted.timeout);
}

void use_downstream_protocol(HttpOptions& out) {
  out.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
  out.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
}

// The port's protocol, and upgrades to HTTP/2 where it leaves the choice.
void set_upstream_protocol(HttpOptions& out, const PolicyInput& input) {
  using Upgrade = model::ConnectionPoolHttp::H2Upgrade;
  if (is_http2(input.protocol)) {
    out.mutable_explicit_http_config()->mutable_http2_protocol_options();
    return;
  }
  if (input.protocol == Protocol::kUnsupported && input.sidecar) return use_downstream_protocol(out);
  if (!input.outbound) return;
  const auto& pool = input.policy.connection_pool;
  const auto* http = pool && pool->http ? &*pool->http : nullptr;
  if (http != nullptr && http->use_client_protocol) return;
  const Upgrade wanted = http == nullptr ? Upgrade::kDefault : http->h2_upgrade_policy;
  const bool by_mesh = input.config.h2_upgrade && is_http(input.protocol);
  if (wanted == Upgrade::kUpgrade || (wanted == Upgrade::kDefault && by_mesh))
    out.mutable_explicit_http_config()->mutable_http2_protocol_options();
}

void set_consecutive(const std::optional<std::uint32_t>& count, google::protobuf::UInt32Value& threshold,
                     google::protobuf::UInt32Value& enforcing) {
  threshold.set_value(*count);
  enforcing.set_value(*count > 0 ? 100 : 0);  // 0 turns the detection off
}

// Which answers count as errors, where it is not every 5xx.
void set_error_codes(HttpOptions& out, const std::vector<std::uint32_t>& codes) {
  auto& matcher = *out.mutable_outlier_detection()->mutable_error_matcher();
  for (const std::uint32_t code : codes) {
    auto& predicate = codes.size() == 1 ? matcher : *matcher.mutable_or_match()->add_rules();
    auto& header = *predicate.mutable_http_response_headers_match()->add_headers();
    header.set_name(":status");
    header.mutable_string_match()->set_exact(std::to_string(code));
  }
}

void apply_outlier(cluster_v3::Cluster& cluster, const model::OutlierDetection& from, Compat compat) {
  auto& out = *cluster.mutable_outlier_detection();
  out.mutable_enforcing_success_rate()->set_value(0);
  if (from.consecutive_5xx_errors)
    set_consecutive(from.consecutive_5xx_errors, *out.mutable_consecutive_5xx(), *out.mutable_enforcing_consecutive_5xx());
  if (from.consecutive_gateway_errors)
    set_consecutive(from.consecutive_gateway_errors, *out.mutable_consecutive_gateway_failure(),
                    *out.mutable_enforcing_consecutive_gateway_failure());
  if (from.interval) set_duration(*out.mutable_interval(), *from.interval);
  if (from.base_ejection_time) set_duration(*out.mutable_base_ejection_time(), *from.base_ejection_time);
  if (from.max_ejection_percent > 0)
    out.mutable_max_ejection_percent()->set_value(positive(from.max_ejection_percent));
  if (from.split_external_local_origin_errors) {
    out.set_split_external_local_origin_errors(true);
    if (from.consecutive_local_origin_failures.value_or(0) > 0)
      set_consecutive(from.consecutive_local_origin_failures, *out.mutable_consecutive_local_origin_failure(),
                      *out.mutable_enforcing_consecutive_local_origin_failure());
    out.mutable_enforcing_local_origin_success_rate()->set_value(0);
  }
  // One bad host of few would never be ejected otherwise: the limit of maxEjectionPercent is strict.
  if (compat == Compat::kLateen) out.mutable_always_eject_one_host()->set_value(true);
}

template <class Config>
void set_warmup(Config& config, const model::LoadBalancer& from) {
  if (from.warmup) {
    auto& slow = *config.mutable_slow_start_config();
    if (from.warmup->duration) set_duration(*slow.mutable_slow_start_window(), *from.warmup->duration);
    slow.mutable_aggression()->set_default_value(from.warmup->aggression.value_or(1));
    slow.mutable_aggression()->set_runtime_key("(");  // istiod's: no runtime key of anybody
    slow.mutable_min_weight_percent()->set_value(from.warmup->minimum_percent.value_or(10));
  } else if (from.warmup_duration_secs) {
    set_duration(*config.mutable_slow_start_config()->mutable_slow_start_window(), *from.warmup_duration_secs);
  }
}

constexpr std::uint64_t kRingSize = 1024;   // where the rule says none; Envoy's default too

// Lateen's, beyond Istio: a fixed number of points for each host. On a ring of a fixed size up to 2/N of the keys move when
// one of N hosts comes or goes. Half of what the rule asks of the ring, so that two hosts have it together.
void fix_points(cluster_v3::Cluster& out) {
  const std::uint64_t size = out.ring_hash_lb_config().has_minimum_ring_size() ? out.ring_hash_lb_config().minimum_ring_size().value() : kRingSize;
  auto& lateen = (*out.mutable_metadata()->mutable_filter_metadata())["lateen"];
  (*lateen.mutable_fields())["ring_points_per_host"].set_number_value(static_cast<double>((size + 1) / 2));
}

void apply_hash(cluster_v3::Cluster& out, const model::ConsistentHash& hash) {
  if (hash.maglev) {
    out.set_lb_policy(cluster_v3::Cluster::MAGLEV);
    if (hash.maglev_table_size.value_or(0) != 0)
      out.mutable_maglev_lb_config()->mutable_table_size()->set_value(*hash.maglev_table_size);
    return;
  }
  out.set_lb_policy(cluster_v3::Cluster::RING_HASH);
  if (hash.ring_hash) {
    if (hash.ring_hash_minimum_ring_size.value_or(0) != 0)
      out.mutable_ring_hash_lb_config()->mutable_minimum_ring_size()->set_value(*hash.ring_hash_minimum_ring_size);
    return;
  }
  const std::uint64_t size = hash.minimum_ring_size.value_or(0);
  out.mutable_ring_hash_lb_config()->mutable_minimum_ring_size()->set_value(size == 0 ? kRingSize : size);
}

void apply_load_balancer(cluster_v3::Cluster& out, const model::LoadBalancer& from, Compat compat) {
  using Simple = model::LoadBalancer::Simple;
  switch (from.simple.value_or(Simple::kUnspecified)) {
    case Simple::kUnspecified:
    case Simple::kLeastConn:
    case Simple::kLeastRequest:
      out.set_lb_policy(cluster_v3::Cluster::LEAST_REQUEST);
      if (from.warmup || from.warmup_duration_secs) set_warmup(*out.mutable_least_request_lb_config(), from);
      break;
    case Simple::kRandom:
      out.set_lb_policy(cluster_v3::Cluster::RANDOM);
      break;
    case Simple::kRoundRobin:
      out.set_lb_policy(cluster_v3::Cluster::ROUND_ROBIN);
      if (from.warmup || from.warmup_duration_secs) set_warmup(*out.mutable_round_robin_lb_config(), from);
      break;
    case Simple::kPassthrough:
      out.set_lb_policy(cluster_v3::Cluster::CLUSTER_PROVIDED);
      out.set_type(cluster_v3::Cluster::ORIGINAL_DST);
      out.clear_load_assignment();
      break;
  }
  if (from.consistent_hash) apply_hash(out, *from.consistent_hash);
  if (compat == Compat::kLateen && out.lb_policy() == cluster_v3::Cluster::RING_HASH) fix_points(out);
}

}  // namespace

void apply_limits(cluster_v3::Cluster& out, HttpOptions& http, const model::ConnectionPool* pool, const model::MeshConfig& config) {
  set_duration(*out.mutable_connect_timeout(), config.connect_timeout);
  auto& thresholds = *out.mutable_circuit_breakers()->add_thresholds();
  set_unlimited(thresholds);
  if (config.tcp_keepalive) set_keepalive(out, *config.tcp_keepalive);
  if (pool == nullptr) return;
  set_limits(thresholds, *pool);
  if (pool->tcp && pool->tcp->connect_timeout) set_duration(*out.mutable_connect_timeout(), *pool->tcp->connect_timeout);
  if (pool->tcp && pool->tcp->tcp_keepalive) set_keepalive(out, *pool->tcp->tcp_keepalive);
  set_connection_options(http, *pool);
  if (pool->http && pool->http->use_client_protocol) use_downstream_protocol(http);
}

void apply_connection_policy(cluster_v3::Cluster& out, HttpOptions& http, const PolicyInput& input) {
  const EffectivePolicy& policy = input.policy;
  set_upstream_protocol(http, input);
  apply_limits(out, http, policy.connection_pool ? &*policy.connection_pool : nullptr, input.config);
  if (policy.retry_budget) set_retry_budget(*out.mutable_circuit_breakers()->mutable_thresholds(0), *policy.retry_budget);
}

void apply_policy(cluster_v3::Cluster& out, HttpOptions& http, const PolicyInput& input) {
  const EffectivePolicy& policy = input.policy;
  apply_connection_policy(out, http, input);
  const auto& outliers = policy.outlier_detection;
  // A cluster that brings its own load balancer knows nothing of priorities and panic.
  const bool balances = out.lb_policy() != cluster_v3::Cluster::CLUSTER_PROVIDED;
  if (outliers) {
    apply_outlier(out, *outliers, input.compat);
    // istiod reads the field and sends nothing of it.
    if (!outliers->http_error_codes.empty() && input.compat == Compat::kLateen) set_error_codes(http, outliers->http_error_codes);
    if (balances) out.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(input.tells_unhealthy ? 0 : outliers->min_health_percent);
  }
  if (!balances) return;
  out.mutable_common_lb_config()->mutable_healthy_panic_threshold();
  apply_locality(out, input.locality, outliers.has_value());
  if (out.type() == cluster_v3::Cluster::ORIGINAL_DST) out.set_lb_policy(cluster_v3::Cluster::CLUSTER_PROVIDED);
  else apply_load_balancer(out, policy.load_balancer.value_or(model::LoadBalancer{}), input.compat);
}

}  // namespace lateen::translate
