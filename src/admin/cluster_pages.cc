#include <limits>

#include "admin/envoy_dump.h"
#include "envoy/admin/v3/clusters.pb.h"
#include "net/loop.h"
#include "xds/messages.h"

namespace lateen::admin {

namespace {

// Envoy's names, in Envoy's order: counters, then gauges.
std::vector<std::pair<std::string_view, std::uint64_t>> counters_of(const proxy::EndpointStatus& endpoint) {
  return {{"cx_connect_fail", endpoint.connect_failures}, {"cx_total", endpoint.connections_total},
          {"rq_error", endpoint.requests_error},          {"rq_success", endpoint.requests_success},
          {"rq_timeout", endpoint.requests_timeout},      {"rq_total", endpoint.requests_total}};
}
std::vector<std::pair<std::string_view, std::uint64_t>> gauges_of(const proxy::EndpointStatus& endpoint) {
  return {{"cx_active", endpoint.connections_active}, {"rq_active", endpoint.requests_active}};
}

// What a cluster without limits has in Envoy under istiod: the largest number there is.
constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();

void fill_limits(const runtime::CircuitBreakers& limits, envoy::config::cluster::v3::CircuitBreakers& out) {
  auto& threshold = *out.add_thresholds();
  threshold.mutable_max_connections()->set_value(limits.connections_max.value_or(kUnlimited));
  threshold.mutable_max_pending_requests()->set_value(limits.pending_requests_max.value_or(kUnlimited));
  threshold.mutable_max_requests()->set_value(limits.requests_max.value_or(kUnlimited));
  threshold.mutable_max_retries()->set_value(limits.retries_max.value_or(kUnlimited));
}

envoy::config::core::v3::HealthStatus eds_health(runtime::Endpoint::Health health) {
  using Health = runtime::Endpoint::Health;
  switch (health) {
    case Health::kUnknown:
    case Health::kHealthy: return envoy::config::core::v3::HEALTHY;
    case Health::kUnhealthy: return envoy::config::core::v3::UNHEALTHY;
    case Health::kDraining: return envoy::config::core::v3::DRAINING;
    case Health::kDegraded: return envoy::config::core::v3::DEGRADED;
  }
  return envoy::config::core::v3::UNKNOWN;
}

void fill_host(const proxy::EndpointStatus& endpoint, envoy::admin::v3::HostStatus& out) {
  auto& address = *out.mutable_address();
  if (endpoint.endpoint.host.starts_with("unix:")) {
    address.mutable_pipe()->set_path(endpoint.endpoint.host.substr(5));
  } else {
    // A resolved name has its IP in the address text; the endpoint keeps the name.
    const auto parsed = net::parse_address(endpoint.address);
    address.mutable_socket_address()->set_address(parsed ? parsed->host : endpoint.endpoint.host);
    address.mutable_socket_address()->set_port_value(parsed ? parsed->port : endpoint.endpoint.port);
    if (parsed && parsed->host != endpoint.endpoint.host) out.set_hostname(endpoint.endpoint.host);
  }
  for (const auto& [name, value] : counters_of(endpoint)) {
    auto& stat = *out.add_stats();
    stat.set_name(std::string(name));
    stat.set_value(value);
  }
  for (const auto& [name, value] : gauges_of(endpoint)) {
    auto& stat = *out.add_stats();
    stat.set_type(envoy::admin::v3::SimpleMetric::GAUGE);
    stat.set_name(std::string(name));
    stat.set_value(value);
  }
  out.mutable_health_status()->set_eds_health_status(eds_health(endpoint.endpoint.health));
  out.mutable_health_status()->set_failed_outlier_check(endpoint.ejected);
  out.set_weight(endpoint.endpoint.weight);
  out.set_priority(endpoint.endpoint.priority);
  auto& locality = *out.mutable_locality();
  locality.set_region(endpoint.endpoint.region.str());
  locality.set_zone(endpoint.endpoint.zone.str());
  locality.set_sub_zone(endpoint.endpoint.sub_zone.str());
}

}  // namespace

Result<std::string> clusters_json(const ViewPage&, const std::vector<proxy::ClusterStatus>& clusters) {
  envoy::admin::v3::Clusters page;
  for (const proxy::ClusterStatus& cluster : clusters) {
    auto& status = *page.add_cluster_statuses();
    status.set_name(cluster.name);
    status.set_added_via_api(true);
    status.set_observability_name(cluster.name + ";");
    if (cluster.policy != nullptr) {
      if (cluster.policy->discovery == runtime::Cluster::Discovery::kEds) status.set_eds_service_name(cluster.name);
      fill_limits(cluster.policy->limits, *status.mutable_circuit_breakers());
    }
    for (const proxy::EndpointStatus& endpoint : cluster.endpoints) fill_host(endpoint, *status.add_host_statuses());
  }
  return xds::to_json(page, xds::JsonStyle::kIndented);
}

std::string clusters_text(const std::vector<proxy::ClusterStatus>& clusters) {
  std::string text;
  const auto line = [&](const std::string& cluster, std::string_view name, std::string_view value) {
    text.append(cluster).append("::").append(name).append("::").append(value).append("\n");
  };
  for (const proxy::ClusterStatus& cluster : clusters) {
    line(cluster.name, "observability_name", cluster.name);
    if (cluster.policy != nullptr) {
      const runtime::CircuitBreakers& limits = cluster.policy->limits;
      line(cluster.name, "default_priority::max_connections", std::to_string(limits.connections_max.value_or(kUnlimited)));
      line(cluster.name, "default_priority::max_pending_requests",
           std::to_string(limits.pending_requests_max.value_or(kUnlimited)));
      line(cluster.name, "default_priority::max_requests", std::to_string(limits.requests_max.value_or(kUnlimited)));
      line(cluster.name, "default_priority::max_retries", std::to_string(limits.retries_max.value_or(kUnlimited)));
    }
    line(cluster.name, "added_via_api", "true");
    for (const proxy::EndpointStatus& endpoint : cluster.endpoints) {
      const std::string prefix = cluster.name + "::" + endpoint.address;
      for (const auto& [name, value] : counters_of(endpoint)) line(prefix, name, std::to_string(value));
      for (const auto& [name, value] : gauges_of(endpoint)) line(prefix, name, std::to_string(value));
      line(prefix, "hostname", "");
      line(prefix, "health_flags", endpoint.ejected ? "/failed_outlier_check" : (endpoint.healthy ? "healthy" : "/failed_eds_health"));
      line(prefix, "weight", std::to_string(endpoint.endpoint.weight));
      line(prefix, "region", endpoint.endpoint.region);
      line(prefix, "zone", endpoint.endpoint.zone);
      line(prefix, "sub_zone", endpoint.endpoint.sub_zone);
      line(prefix, "priority", std::to_string(endpoint.endpoint.priority));
    }
  }
  return text;
}

}  // namespace lateen::admin
