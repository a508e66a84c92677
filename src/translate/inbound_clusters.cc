#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "translate/clusters.h"
#include "translate/destination_rules.h"
#include "translate/inbound.h"
#include "translate/proxy_addresses.h"
#include "translate/shapes.h"
#include "translate/sidecar_scope.h"
#include "translate/stat_prefix.h"
#include "translate/traffic_policy.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr const char* kHttpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr std::string_view kSocket = "unix://";

// Where the workload itself listens; an empty address: where the connection was meant to go.
struct Upstream {
  std::string address;
  std::uint32_t port = 0;
};

// One cluster to be made. `services` have it on their own port `number`, the first decides.
struct Wanted {
  std::uint32_t port = 0;         // of the workload
  std::uint32_t number = 0;
  Protocol protocol = Protocol::kUnsupported;
  std::string port_name;
  const Service* service = nullptr;
  std::vector<const Service*> services;
  Upstream upstream;

  std::string name() const { return "inbound|" + std::to_string(port) + "||"; }
};

std::string first_of_family(const View& view, bool v6) {
  for (const std::string& address : view.addresses)
    if ((address.find(':') != std::string::npos) == v6) return address;
  return v6 ? "::1" : "127.0.0.1";
}

// "127.0.0.1:80" means the loopback of the family that the workload has; "0.0.0.0:80" its own address.
std::optional<Upstream> upstream_of(const std::string& endpoint, const View& view) {
  if (endpoint.empty() || endpoint.starts_with(kSocket)) return Upstream{endpoint, 0};
  Upstream out;
  const std::size_t colon = endpoint.rfind(':');
  std::from_chars(endpoint.data() + colon + 1, endpoint.data() + endpoint.size(), out.port);
  const std::string host = endpoint.substr(0, colon);
  const ProxyAddresses addresses = proxy_addresses(view);
  if (host == "0.0.0.0") out.address = first_of_family(view, false);
  else if (host == "[::]") out.address = first_of_family(view, true);
  else if (host == "127.0.0.1") out.address = addresses.has_v4 ? "127.0.0.1" : "::1";
  else if (host == "[::1]") out.address = addresses.has_v6 ? "::1" : "127.0.0.1";
  return out;
}

void fill_upstream(cluster_v3::Cluster& out, const Upstream& upstream) {
  if (upstream.address.empty()) {
    // Never forget an address: its connections may be quiet for long.
    constexpr std::int64_t kSecondsMax = 9'223'372'035;
    out.set_type(cluster_v3::Cluster::ORIGINAL_DST);
    out.mutable_cleanup_interval()->set_seconds(kSecondsMax);
    return;
  }
  out.set_type(cluster_v3::Cluster::STATIC);
  out.mutable_load_assignment()->set_cluster_name(out.name());
  auto& address = *out.mutable_load_assignment()->add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address();
  if (upstream.address.starts_with(kSocket)) {
    address.mutable_pipe()->set_path(upstream.address.substr(kSocket.size()));
    return;
  }
  address.mutable_socket_address()->set_address(upstream.address);
  address.mutable_socket_address()->set_port_value(upstream.port);
}

// The capture rules would send connections to the workload's own address round again, but for this source.
void fill_source(cluster_v3::Cluster& out, const Scope& scope) {
  auto& source = *out.mutable_upstream_bind_config()->mutable_source_address();
  source.set_address(proxy_addresses(scope.view).inbound_source);
  source.set_port_value(0);
}

void fill_services(cluster_v3::Cluster& out, const Wanted& wanted) {
  if (wanted.service == nullptr || wanted.service->external) return;
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  auto& list = *istio["services"].mutable_list_value();
  for (const Service* service : wanted.services) {
    auto& entry = *list.add_values()->mutable_struct_value()->mutable_fields();
    entry["host"].set_string_value(service->host);
    entry["name"].set_string_value(service->name);
    entry["namespace"].set_string_value(service->namespace_);
  }
}

// The limits that a DestinationRule asks of clients hold on the server's side too; a Sidecar's own go before them.
EffectivePolicy policy_of(cluster_v3::Cluster& out, const Scope& scope, const Wanted& wanted) {
  EffectivePolicy policy;
  View server = scope.view;
  server.labels.clear();  // rules for some clients are not for servers
  // Only rules for services that the Sidecar lets in are known to the workload.
  const bool known = wanted.service != nullptr && scope.find_service(wanted.service->host) != nullptr;
  const MergedRule* rule = known ? scope.rules.find(server, *wanted.service) : nullptr;
  if (rule != nullptr && rule->policy != nullptr) {
    policy = policy_on_port(rule->policy, wanted.number);
    set_config(*out.mutable_metadata(), *rule->first);
  }
  if (!policy.connection_pool) policy.connection_pool = scope.mesh.config.default_connection_pool;
  if (scope.sidecar != nullptr)
    if (const model::ConnectionPool* pool = scope.sidecar->inbound_pool(wanted.port)) policy.connection_pool = *pool;
  return policy;
}

cluster_v3::Cluster inbound(const Scope& scope, const Wanted& wanted) {
  cluster_v3::Cluster out;
  out.set_name(wanted.name());
  out.set_alt_stat_name(out.name() + ";");
  const std::string& pattern = scope.mesh.config.inbound_cluster_stat_name;
  if (!pattern.empty() && wanted.service != nullptr)
    out.set_alt_stat_name(stat_prefix(pattern, *wanted.service, "", {wanted.number, wanted.protocol, wanted.port_name, 0, ""}, wanted.port) + ";");
  fill_upstream(out, wanted.upstream);
  fill_services(out, wanted);
  const EffectivePolicy policy = policy_of(out, scope, wanted);
  HttpOptions http;
  apply_connection_policy(out, http, {policy, wanted.protocol, scope.options.compat, scope.mesh.config, true, false});
  if (out.type() == cluster_v3::Cluster::ORIGINAL_DST) out.set_lb_policy(cluster_v3::Cluster::CLUSTER_PROVIDED);
  out.mutable_common_lb_config();
  const std::string& address = wanted.upstream.address;
  if (address != "127.0.0.1" && address != "::1") fill_source(out, scope);
  if (http.ByteSizeLong() > 0 && http.upstream_protocol_options_case() == HttpOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET)
    http.mutable_explicit_http_config()->mutable_http_protocol_options();
  if (http.ByteSizeLong() > 0) xds::pack(http, (*out.mutable_typed_extension_protocol_options())[kHttpOptionsKey]);
  return out;
}

std::vector<Wanted> of_services(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  std::map<std::uint32_t, Wanted> by_port;
  const std::string address = scope.mesh.config.inbound_passthrough ? std::string() : proxy_addresses(scope.view).loopback;
  for (const ServiceTarget& target : targets) {
    const auto [it, is_new] = by_port.try_emplace(target.target);
    Wanted& wanted = it->second;
    if (is_new) wanted = {target.target, target.port->number, target.port->protocol, target.port->name, target.service, {}, {address, target.target}};
    const bool is_other = std::find(wanted.services.begin(), wanted.services.end(), target.service) == wanted.services.end();
    if (is_other && target.port->number == wanted.number) wanted.services.push_back(target.service);
  }
  std::vector<Wanted> out;
  for (auto& [port, wanted] : by_port) out.push_back(std::move(wanted));
  return out;
}

std::vector<Wanted> of_sidecar(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  std::vector<Wanted> out;
  for (const model::IstioIngressListener& listener : scope.sidecar->spec()->ingress) {
    const auto upstream = upstream_of(listener.default_endpoint, scope.view);
    if (!upstream) continue;
    Wanted wanted{listener.port.number, listener.port.number, parse_protocol(listener.port.protocol), listener.port.name, nullptr, {}, *upstream};
    for (const ServiceTarget& target : targets) {
      if (target.target != listener.port.number) continue;
      wanted.service = target.service;
      wanted.services = {target.service};
      break;
    }
    out.push_back(std::move(wanted));
  }
  return out;
}

std::vector<Wanted> wanted_clusters(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  if (scope.sidecar != nullptr && scope.sidecar->has_ingress()) return of_sidecar(scope, targets);
  if (scope.view.interception == View::Interception::kNone) return {};
  return of_services(scope, targets);
}

cluster_v3::Cluster others(const Scope& scope) {
  cluster_v3::Cluster out = passthrough_cluster(scope, "InboundPassthroughCluster");
  fill_source(out, scope);
  const ProxyAddresses addresses = proxy_addresses(scope.view);
  if (!addresses.has_v4 || !addresses.has_v6) return out;
  auto& more = *out.mutable_upstream_bind_config()->add_extra_source_addresses()->mutable_address();
  more.set_address("::6");
  more.set_port_value(0);
  return out;
}

}  // namespace

void add_inbound_clusters(const Scope& scope, const std::vector<ServiceTarget>& targets, xds::Resources& out) {
  const auto add = [&](const cluster_v3::Cluster& cluster) {
    out.clusters.insert_or_assign(cluster.name(), xds::make_resource(cluster.name(), cluster));
  };
  for (const Wanted& wanted : wanted_clusters(scope, targets)) add(inbound(scope, wanted));
  add(others(scope));
}

}  // namespace lateen::translate
