#include "translate/endpoints.h"

#include <envoy/config/endpoint/v3/endpoint.pb.h>

#include <algorithm>
#include <map>
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

void fill_endpoint(endpoint_v3::LbEndpoint& out, const Endpoint& endpoint, const Options& options) {
  fill_address(*out.mutable_endpoint()->mutable_address(), endpoint);
  out.mutable_load_balancing_weight()->set_value(endpoint.weight);
  if (endpoint.health == Health::kHealthy) out.set_health_status(core_v3::HEALTHY);
  if (endpoint.workload.empty()) return;
  auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["workload"].set_string_value(workload_text(endpoint, options));
  if (!options.auto_mtls || endpoint.tls_mode.empty()) return;
  auto& match = (*out.mutable_metadata()->mutable_filter_metadata())["envoy.transport_socket_match"];
  (*match.mutable_fields())["tlsMode"].set_string_value(endpoint.tls_mode);
}

}  // namespace

void fill_load_assignment(endpoint_v3::ClusterLoadAssignment& out, const std::string& cluster, const Service& service,
                          const Port& port, const Labels* labels, const Options& options) {
  out.set_cluster_name(cluster);
  std::map<std::string, std::vector<const Endpoint*>> by_locality;
  for (const Endpoint& endpoint : service.endpoints[service.port_index(port)])
    if (labels == nullptr || selects(*labels, *endpoint.labels)) by_locality[endpoint.locality].push_back(&endpoint);
  for (const auto& [locality, endpoints] : by_locality) {
    endpoint_v3::LocalityLbEndpoints& group = *out.add_endpoints();
    fill_locality(*group.mutable_locality(), locality);
    std::uint32_t weight = 0;
    for (const Endpoint* endpoint : endpoints) {
      fill_endpoint(*group.add_lb_endpoints(), *endpoint, options);
      weight += endpoint->weight;
    }
    group.mutable_load_balancing_weight()->set_value(weight);
  }
}

}  // namespace lateen::translate
