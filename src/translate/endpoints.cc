#include "translate/endpoints.h"

#include <envoy/config/endpoint/v3/endpoint.pb.h>

#include <map>
#include <utility>
#include <vector>

#include "translate/names.h"

namespace lateen::translate {
namespace {

namespace endpoint_v3 = envoy::config::endpoint::v3;
namespace core_v3 = envoy::config::core::v3;

std::string label_or(const Labels& labels, std::initializer_list<std::string_view> keys, const std::string& otherwise) {
  for (const std::string_view key : keys)
    if (const auto it = labels.find(std::string(key)); it != labels.end() && !it->second.empty()) return it->second;
  return otherwise;
}

// Istio's name of a workload in metrics: "workload;namespace;service;revision;cluster".
std::string workload_text(const Endpoint& endpoint, const Options& options) {
  const std::string service = label_or(
      *endpoint.labels, {"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"}, endpoint.workload);
  const std::string revision = label_or(
      *endpoint.labels, {"service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"}, "");
  return endpoint.workload + ";" + endpoint.namespace_ + ";" + service + ";" + revision + ";" + options.cluster_id;
}

void fill_locality(core_v3::Locality& out, std::string_view text) {
  if (text.empty()) return;
  const auto parts = split(text, '/');
  out.set_region(std::string(parts[0]));
  if (parts.size() > 1) out.set_zone(std::string(parts[1]));
  if (parts.size() > 2) out.set_sub_zone(std::string(parts[2]));
}

void fill_address(core_v3::Address& out, const Endpoint& endpoint) {
  constexpr std::string_view kSocket = "unix://";
  if (endpoint.address.starts_with(kSocket)) {
    out.mutable_pipe()->set_path(endpoint.address.substr(kSocket.size()));
    return;
  }
  core_v3::SocketAddress& socket = *out.mutable_socket_address();
  socket.set_address(endpoint.address);
  socket.set_port_value(endpoint.port);
}

// The TLS that the client is to use, for transport_socket_matches: what a rule says goes before what the endpoint takes.
std::string tls_mode_of(const Endpoint& endpoint, const EndpointQuery& query) {
  constexpr const char* kDisabled = "disabled";
  const bool on = query.tls != nullptr ? query.tls->mode == model::ClientTls::Mode::kIstioMutual : endpoint.tls_mode == "istio";
  return on && endpoint.tls_mode != kDisabled ? endpoint.tls_mode : std::string();
}

void fill_endpoint(endpoint_v3::LbEndpoint& out, const Endpoint& endpoint, const EndpointQuery& query, const Options& options) {
  fill_address(*out.mutable_endpoint()->mutable_address(), endpoint);
  out.mutable_load_balancing_weight()->set_value(endpoint.weight);
  if (endpoint.health == Health::kHealthy) out.set_health_status(core_v3::HEALTHY);
  if (endpoint.health == Health::kUnhealthy) out.set_health_status(core_v3::UNHEALTHY);
  auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["workload"].set_string_value(workload_text(endpoint, options));
  const std::string tls_mode = tls_mode_of(endpoint, query);
  if (!options.auto_mtls || tls_mode.empty()) return;
  auto& match = (*out.mutable_metadata()->mutable_filter_metadata())["envoy.transport_socket_match"];
  (*match.mutable_fields())["tlsMode"].set_string_value(tls_mode);
}

// Of an EDS answer, only what has an address of its own: names come from ServiceEntries of another resolution.
bool is_wanted(const Endpoint& endpoint, const EndpointQuery& query, const Options& options) {
  const bool by_name = query.service.resolution == Resolution::kDns || query.service.resolution == Resolution::kDnsRoundRobin;
  // One without an address is reached by its network's gateway.
  const bool by_network = endpoint.address.empty() && !endpoint.network.empty() && options.compat == Compat::kIstio;
  if (!by_name && !by_network && endpoint.port != 0 && !is_ip(endpoint.address)) return false;
  if (query.service.node_local && endpoint.node != query.place.node) return false;
  if (query.only_ready && endpoint.health == Health::kUnhealthy) return false;
  return query.labels == nullptr || has_labels(endpoint, *query.labels, options.cluster_id);
}

// A locality without endpoints stays, as in istiod.
void drop_plain_text(std::vector<EndpointGroup>& groups, const EndpointQuery& query) {
  for (EndpointGroup& group : groups) {
    std::erase_if(group.endpoints, [&](const Endpoint* endpoint) { return tls_mode_of(*endpoint, query) != "istio"; });
    group.weight = 0;
    for (const Endpoint* endpoint : group.endpoints) group.weight += endpoint->weight;
  }
}

std::vector<EndpointGroup> by_locality(const EndpointQuery& query, const Options& options) {
  std::map<std::string, EndpointGroup> groups;
  for (const Endpoint& endpoint : query.service.endpoints[query.service.port_index(query.port)]) {
    if (!is_wanted(endpoint, query, options)) continue;
    EndpointGroup& group = groups[endpoint.locality];
    group.locality = endpoint.locality;
    group.weight += endpoint.weight;
    group.endpoints.push_back(&endpoint);
  }
  std::vector<EndpointGroup> out;
  for (auto& [locality, group] : groups) out.push_back(std::move(group));
  if (query.only_mtls) drop_plain_text(out, query);
  return out;
}

}  // namespace

void fill_load_assignment(endpoint_v3::ClusterLoadAssignment& out, const std::string& cluster, const EndpointQuery& query,
                          const Options& options) {
  out.set_cluster_name(cluster);
  std::vector<EndpointGroup> groups = by_locality(query, options);
  apply_locality(groups, query.locality, query.place, query.failover);
  for (const EndpointGroup& group : groups) {
    endpoint_v3::LocalityLbEndpoints& to = *out.add_endpoints();
    fill_locality(*to.mutable_locality(), group.locality);
    for (const Endpoint* endpoint : group.endpoints) fill_endpoint(*to.add_lb_endpoints(), *endpoint, query, options);
    if (group.weight > 0) to.mutable_load_balancing_weight()->set_value(group.weight);
    to.set_priority(group.priority);
  }
}

}  // namespace lateen::translate
