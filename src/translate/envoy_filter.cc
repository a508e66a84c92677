#include "translate/envoy_filter.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/extension.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include "translate/envoy_filter_apply.h"
#include "translate/gateway_servers.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
namespace core_v3 = envoy::config::core::v3;
namespace listener_v3 = envoy::config::listener::v3;
namespace route_v3 = envoy::config::route::v3;
namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
using model::ApplyTo;
using model::PatchContext;
using model::PatchOperation;

template <class T>
T parse(const xds::Resource& resource) {
  T message;
  LATEEN_CHECK(message.ParseFromString(resource.bytes));  // we wrote it
  return message;
}

PatchContext context_of(const View& view, bool inbound) {
  if (view.kind == View::Kind::kRouter) return PatchContext::kGateway;
  return inbound ? PatchContext::kSidecarInbound : PatchContext::kSidecarOutbound;
}

// A new object without a context is for the side that sends.
bool is_added(const EnvoyPatch& patch, PatchContext context) {
  if (patch.operation != PatchOperation::kAdd) return false;
  if (patch.match.context == PatchContext::kAny && context == PatchContext::kSidecarInbound) return false;
  return patch.is_for(context);
}

std::vector<PatchContext> contexts(const View& view) {
  if (view.kind == View::Kind::kRouter) return {PatchContext::kGateway};
  return {PatchContext::kSidecarOutbound, PatchContext::kSidecarInbound};
}

void patch_clusters(const EnvoyPatches& patches, const View& view, xds::ResourceMap& clusters) {
  if (patches.of(ApplyTo::kCluster).empty()) return;
  xds::ResourceMap out;
  for (const auto& [name, resource] : clusters) {
    auto cluster = parse<cluster_v3::Cluster>(*resource);
    const bool inbound = name.starts_with("inbound|") || name == "InboundPassthroughCluster";
    if (patch_cluster(patches, context_of(view, inbound), cluster) == Patched::kRemoved) continue;
    out.emplace(cluster.name(), xds::make_resource(cluster.name(), cluster));
  }
  for (PatchContext context : contexts(view))
    for (const EnvoyPatch& patch : patches.of(ApplyTo::kCluster)) {
      if (!is_added(patch, context)) continue;
      const auto& cluster = patch.value<cluster_v3::Cluster>();
      out.emplace(cluster.name(), xds::make_resource(cluster.name(), cluster));  // of two with one name the first stays
    }
  clusters = std::move(out);
}

// Endpoints are asked for by the clusters that there are; for a name that nobody knows the answer has none.
void prune_endpoints(xds::Resources& resources) {
  xds::ResourceMap wanted;
  for (const auto& [name, resource] : resources.clusters) {
    const auto cluster = parse<cluster_v3::Cluster>(*resource);
    if (cluster.type() != cluster_v3::Cluster::EDS) continue;
    const std::string& service = cluster.eds_cluster_config().service_name();
    const std::string& asked = service.empty() ? name : service;
    const auto it = resources.endpoints.find(asked);
    if (it != resources.endpoints.end()) {
      wanted.insert(*it);
    } else {
      envoy::config::endpoint::v3::ClusterLoadAssignment none;
      none.set_cluster_name(asked);
      wanted.emplace(asked, xds::make_resource(asked, none));
    }
  }
  resources.endpoints = std::move(wanted);
}

PortsOfServers ports_of_servers(const Scope& scope) {
  PortsOfServers out;
  if (scope.view.kind != View::Kind::kRouter) return out;
  Provenance provenance;
  std::vector<LeftOut> left_out;  // told when the listeners were made
  const MergedGateway gateway = merged_gateway(scope, Notes{provenance, left_out});
  for (const GatewayPort& port : gateway.ports)
    for (const GatewayServerSource* source : port.servers) out[port.port].insert(source->server->port);
  return out;
}

bool has_route_patches(const EnvoyPatches& patches) {
  return !patches.of(ApplyTo::kRouteConfiguration).empty() || !patches.of(ApplyTo::kVirtualHost).empty() ||
         !patches.of(ApplyTo::kHttpRoute).empty();
}

void patch_routes(const EnvoyPatches& patches, const Scope& scope, xds::Resources& resources) {
  if (!has_route_patches(patches)) return;
  const PortsOfServers ports = ports_of_servers(scope);
  for (auto& [name, parts] : resources.routes) {
    auto routes = parse<route_v3::RouteConfiguration>(*parts.shell);
    for (const xds::ResourcePtr& host : parts.virtual_hosts) *routes.add_virtual_hosts() = parse<route_v3::VirtualHost>(*host);
    patch_route_configuration(patches, context_of(scope.view, false), ports, routes);
    parts.virtual_hosts.clear();
    for (const auto& host : routes.virtual_hosts()) parts.virtual_hosts.push_back(xds::make_resource(host.name(), host));
    routes.clear_virtual_hosts();
    parts.shell = xds::make_resource(name, routes);
  }
}

template <class Visit>
void for_each_chain(listener_v3::Listener& listener, const Visit& visit) {
  for (auto& chain : *listener.mutable_filter_chains()) visit(chain);
  if (listener.has_default_filter_chain()) visit(*listener.mutable_default_filter_chain());
}

// The route configurations of the inbound side stand in their listeners.
void patch_inline_routes(const EnvoyPatches& patches, listener_v3::Listener& listener) {
  for_each_chain(listener, [&](listener_v3::FilterChain& chain) {
    for (auto& filter : *chain.mutable_filters()) {
      hcm_v3::HttpConnectionManager manager;
      if (!filter.typed_config().Is<hcm_v3::HttpConnectionManager>() || !filter.typed_config().UnpackTo(&manager) || !manager.has_route_config())
        continue;
      patch_route_configuration(patches, PatchContext::kSidecarInbound, {}, *manager.mutable_route_config());
      xds::pack(manager, *filter.mutable_typed_config());
    }
  });
}

void patch_listeners(const EnvoyPatches& patches, const View& view, xds::ResourceMap& listeners) {
  xds::ResourceMap out;
  for (const auto& [name, resource] : listeners) {
    auto listener = parse<listener_v3::Listener>(*resource);
    const bool inbound = listener.traffic_direction() == core_v3::INBOUND;
    if (inbound && has_route_patches(patches)) patch_inline_routes(patches, listener);
    if (patch_listener(patches, context_of(view, inbound), listener) == Patched::kRemoved || listener.name().empty()) continue;
    out.emplace(listener.name(), xds::make_resource(listener.name(), listener));
  }
  for (PatchContext context : contexts(view))
    for (const EnvoyPatch& patch : patches.of(ApplyTo::kListener)) {
      if (!is_added(patch, context)) continue;
      const auto& listener = patch.value<listener_v3::Listener>();
      if (!listener.name().empty()) out.emplace(listener.name(), xds::make_resource(listener.name(), listener));
    }
  listeners = std::move(out);
}

// What the listeners ask for: route configurations, and extensions that are discovered.
struct Asked {
  std::set<std::string> routes, extensions;
};
Asked asked_by(const xds::ResourceMap& listeners) {
  Asked out;
  for (const auto& [name, resource] : listeners) {
    auto listener = parse<listener_v3::Listener>(*resource);
    for (const auto& filter : listener.listener_filters())
      if (filter.has_config_discovery()) out.extensions.insert(filter.name());
    for_each_chain(listener, [&](listener_v3::FilterChain& chain) {
      for (const auto& filter : chain.filters()) {
        if (filter.has_config_discovery()) out.extensions.insert(filter.name());
        hcm_v3::HttpConnectionManager manager;
        if (!filter.typed_config().Is<hcm_v3::HttpConnectionManager>() || !filter.typed_config().UnpackTo(&manager)) continue;
        if (manager.has_rds()) out.routes.insert(manager.rds().route_config_name());
        for (const auto& http_filter : manager.http_filters())
          if (http_filter.has_config_discovery()) out.extensions.insert(http_filter.name());
      }
    });
  }
  return out;
}

void answer(const EnvoyPatches& patches, const Asked& asked, xds::Resources& resources) {
  std::erase_if(resources.routes, [&](const auto& entry) { return !asked.routes.contains(entry.first); });
  for (const EnvoyPatch& patch : patches.of(ApplyTo::kExtensionConfig)) {
    if (patch.operation != PatchOperation::kAdd) continue;
    const auto& extension = patch.value<core_v3::TypedExtensionConfig>();
    if (asked.extensions.contains(extension.name()))
      resources.extension_configs.emplace(extension.name(), xds::make_resource(extension.name(), extension));
  }
}

}  // namespace

void apply_envoy_filters(const Scope& scope, const Notes& notes, xds::Resources& resources) {
  if (scope.mesh.all<model::EnvoyFilter>(model::Kind::kEnvoyFilter).empty()) return;
  const EnvoyPatches patches(scope, notes);
  if (patches.empty()) return;
  patch_routes(patches, scope, resources);
  if (scope.view.generator == "grpc") return;  // such a client's listeners and clusters are not patched
  patch_clusters(patches, scope.view, resources.clusters);
  prune_endpoints(resources);
  patch_listeners(patches, scope.view, resources.listeners);
  answer(patches, asked_by(resources.listeners), resources);
}

}  // namespace lateen::translate
