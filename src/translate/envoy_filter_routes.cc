// EnvoyFilter patches of route configurations, virtual hosts and routes.
#include <envoy/config/route/v3/route.pb.h>

#include <algorithm>
#include <charconv>

#include "translate/envoy_filter_apply.h"
#include "translate/envoy_filter_merge.h"
#include "translate/names.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;
using model::ApplyTo;
using model::PatchContext;
using model::PatchOperation;
using Action = model::EnvoyFilterMatch::Route::Action;

std::uint32_t number(std::string_view text) {
  std::uint32_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() ? out : 0;
}

// What the name of a gateway's route configuration says: "http.80", "https.443.https.gw.ns".
struct GatewayRouteName {
  std::uint32_t port = 0;
  std::string_view port_name;
  std::string gateway;
};
GatewayRouteName parse_gateway_route_name(std::string_view name) {
  GatewayRouteName out;
  const std::vector<std::string_view> parts = split(name, '.');
  if (parts.front() == "http") {
    out.port = number(name.substr(std::min(name.size(), std::string_view("http.").size())));
  } else if (parts.front() == "https" && parts.size() == 5) {
    out.port = number(parts[1]);
    out.port_name = parts[2];
    out.gateway = std::string(parts[4]) + "/" + std::string(parts[3]);
  }
  return out;
}

std::uint32_t sidecar_port(std::string_view name) {
  if (!name.starts_with("inbound")) return number(name);
  const std::vector<std::string_view> parts = split(name, '|');
  return parts.size() > 1 ? number(parts[1]) : 0;
}

bool has_port(const PortsOfServers& ports, std::uint32_t port, std::uint32_t wanted) {
  const auto it = ports.find(port);
  return it == ports.end() ? port == wanted : it->second.contains(wanted);
}

class RoutePatcher {
 public:
  RoutePatcher(const EnvoyPatches& patches, PatchContext context, const PortsOfServers& ports, route_v3::RouteConfiguration& routes)
      : patches_(patches), context_(context), ports_(ports), routes_(routes) {}

  void run() {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kRouteConfiguration))
      if (patch.merges() && is_here(patch)) merge_patch(routes_, patch);
    std::set<std::string> removed;
    for (auto& host : *routes_.mutable_virtual_hosts())
      if (patch_host(host) == Patched::kRemoved) removed.insert(host.name());
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kVirtualHost))
      if (patch.operation == PatchOperation::kAdd && is_here(patch)) *routes_.add_virtual_hosts() = patch.value<route_v3::VirtualHost>();
    remove_all(*routes_.mutable_virtual_hosts(), [&](const route_v3::VirtualHost& host) { return removed.contains(host.name()); });
  }

 private:
  bool is_here(const EnvoyPatch& patch) const {
    if (!patch.is_for(context_)) return false;
    if (!patch.match.route_configuration) return true;
    const auto& match = *patch.match.route_configuration;
    if (!match.name.empty() && match.name != routes_.name()) return false;
    if (context_ != PatchContext::kGateway) return match.port_number == 0 || match.port_number == sidecar_port(routes_.name());
    const GatewayRouteName name = parse_gateway_route_name(routes_.name());
    if (!match.port_name.empty() && match.port_name != name.port_name) return false;
    if (!match.gateway.empty() && match.gateway != name.gateway) return false;
    return match.port_number == 0 || has_port(ports_, name.port, match.port_number);
  }
  bool is_here(const EnvoyPatch& patch, const route_v3::VirtualHost& host) const {
    if (!is_here(patch)) return false;
    if (!patch.match.route_configuration || !patch.match.route_configuration->vhost) return true;
    const auto& match = *patch.match.route_configuration->vhost;
    const auto& domains = host.domains();
    return (match.name.empty() || match.name == host.name()) &&
           (match.domain_name.empty() || std::find(domains.begin(), domains.end(), match.domain_name) != domains.end());
  }
  static const model::EnvoyFilterMatch::Route* route_match(const EnvoyPatch& patch) {
    if (!patch.match.route_configuration || !patch.match.route_configuration->vhost) return nullptr;
    const auto& match = patch.match.route_configuration->vhost->route;
    return match ? &*match : nullptr;
  }
  static bool matches_route(const EnvoyPatch& patch, const route_v3::Route& route) {
    const auto* match = route_match(patch);
    if (match == nullptr) return true;
    if (!match->name.empty() && match->name != route.name()) return false;
    if (match->action == Action::kAny) return true;
    if (route.has_route()) return match->action == Action::kRoute;
    if (route.has_redirect()) return match->action == Action::kRedirect;
    if (route.has_direct_response()) return match->action == Action::kDirectResponse;
    return true;
  }

  Patched patch_host(route_v3::VirtualHost& host) {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kVirtualHost)) {
      if (!is_here(patch, host)) continue;
      if (patch.operation == PatchOperation::kRemove) return Patched::kRemoved;
      if (patch.merges()) merge_patch(host, patch);
      else if (patch.operation == PatchOperation::kReplace) host = patch.value<route_v3::VirtualHost>();
    }
    patch_routes(host);
    return Patched::kStays;
  }

  void patch_routes(route_v3::VirtualHost& host) {
    auto& routes = *host.mutable_routes();
    for (int i = 0; i < routes.size();) {
      if (patch_route(host, routes[i]) == Patched::kRemoved) routes.DeleteSubrange(i, 1);
      else ++i;
    }
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kHttpRoute)) {
      if (!is_here(patch, host)) continue;
      const auto matches = [&](const route_v3::Route& route) { return matches_route(patch, route); };
      switch (patch.operation) {
        case PatchOperation::kInsertFirst:
          if (route_match(patch) == nullptr || find_first(routes, matches) >= 0) insert_at(routes, 0, patch.value<route_v3::Route>());
          break;
        case PatchOperation::kAdd:
        case PatchOperation::kInsertBefore:
        case PatchOperation::kInsertAfter:
          patch_list(routes, patch, route_match(patch) != nullptr, matches);
          break;
        case PatchOperation::kInvalid:
        case PatchOperation::kMerge:
        case PatchOperation::kMergeAndReplaceList:
        case PatchOperation::kRemove:
        case PatchOperation::kReplace:  // istiod replaces no routes
          break;
      }
    }
  }

  Patched patch_route(const route_v3::VirtualHost& host, route_v3::Route& route) const {
    for (const EnvoyPatch& patch : patches_.of(ApplyTo::kHttpRoute)) {
      if (!is_here(patch, host) || !matches_route(patch, route)) continue;
      if (patch.operation == PatchOperation::kRemove) return Patched::kRemoved;
      if (patch.merges()) merge_patch(route, patch);
    }
    return Patched::kStays;
  }

  const EnvoyPatches& patches_;
  const PatchContext context_;
  const PortsOfServers& ports_;
  route_v3::RouteConfiguration& routes_;
};

}  // namespace

void patch_route_configuration(const EnvoyPatches& patches, PatchContext context, const PortsOfServers& ports,
                               route_v3::RouteConfiguration& routes) {
  RoutePatcher(patches, context, ports, routes).run();
}

}  // namespace lateen::translate
