#include "translate/inbound_ports.h"

#include <algorithm>
#include <map>

#include "translate/node_settings.h"
#include "translate/proxy_addresses.h"
#include "translate/sidecar_scope.h"

namespace lateen::translate {
namespace {

using Interception = View::Interception;

bool wants_own_listener(model::CaptureMode mode, const View& view) {
  if (mode == model::CaptureMode::kDefault) return view.interception == Interception::kNone;
  return mode == model::CaptureMode::kNone;
}

// The proxy's own pages, as the node says; where it does not say, no port at all is theirs.
bool is_static_listener(const View& view, std::uint32_t port) {
  constexpr const char* kKeys[] = {"ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT", "ENVOY_SECURE_METRICS_PORT",
                                   "ENVOY_SECURE_MERGED_METRICS_PORT"};
  return std::any_of(std::begin(kKeys), std::end(kKeys), [&](const char* key) { return number_setting(view, key) == port; });
}

std::vector<InboundPort> of_services(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  std::map<std::uint32_t, InboundPort> by_port;
  const ProxyAddresses addresses = proxy_addresses(scope.view);
  for (const ServiceTarget& target : targets) {
    const bool own = wants_own_listener(model::CaptureMode::kDefault, scope.view);
    if (!can_bind(scope, own, addresses.any, target.target, target.port->protocol)) continue;
    const auto [it, is_new] = by_port.try_emplace(target.target);
    InboundPort& port = it->second;
    port.targets.push_back(&target);
    if (!is_new) continue;  // the oldest service decides
    port.target = target.target;
    port.number = target.port->number;
    port.protocol = target.port->protocol;
    port.port_name = target.port->name;
    port.host = target.service->host;
    port.bind = addresses.any;
    port.own_listener = own;
  }
  std::vector<InboundPort> out;
  for (auto& [number, port] : by_port) out.push_back(std::move(port));
  return out;
}

std::vector<InboundPort> of_sidecar(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  std::map<std::uint32_t, InboundPort> by_port;
  const ProxyAddresses addresses = proxy_addresses(scope.view);
  const SidecarScope& sidecar = *scope.sidecar;
  for (const model::IstioIngressListener& listener : sidecar.spec()->ingress) {
    const Protocol protocol = parse_protocol(listener.port.protocol);
    const bool own = wants_own_listener(listener.capture_mode, scope.view);
    if (!can_bind(scope, own, listener.bind, listener.port.number, protocol)) continue;
    const auto [it, is_new] = by_port.try_emplace(listener.port.number);
    if (!is_new) continue;
    InboundPort& port = it->second;
    port.target = port.number = listener.port.number;
    port.protocol = protocol;
    port.port_name = listener.port.name;
    port.host = sidecar.object()->meta.name + "." + scope.view.namespace_;
    port.bind = !listener.bind.empty() ? listener.bind : addresses.own.empty() ? addresses.any : addresses.own;
    port.own_listener = own;
    port.config = sidecar.object();
    port.listener = &listener;
    const auto of_port = std::find_if(targets.begin(), targets.end(), [&](const ServiceTarget& target) { return target.target == port.target; });
    if (of_port != targets.end()) port.targets.push_back(&*of_port);
  }
  std::vector<InboundPort> out;
  for (auto& [number, port] : by_port) out.push_back(std::move(port));
  return out;
}

}  // namespace

bool can_bind(const Scope& scope, bool own_listener, const std::string& bind, std::uint32_t port, Protocol protocol) {
  constexpr std::uint32_t kPrivileged = 1024;
  const model::MeshConfig& config = scope.mesh.config;
  const View& view = scope.view;
  if (own_listener && port > 0 && port < kPrivileged && has_setting(view, "UNPRIVILEGED_POD")) return false;
  if (bind.empty() ? !is_http(protocol) : bind != proxy_addresses(view).any) return true;
  return port != config.proxy_listen_port && port != config.proxy_inbound_listen_port && !is_static_listener(view, port);
}

std::vector<InboundPort> inbound_ports(const Scope& scope, const std::vector<ServiceTarget>& targets) {
  if (scope.sidecar != nullptr && scope.sidecar->spec() != nullptr && !scope.sidecar->spec()->ingress.empty())
    return of_sidecar(scope, targets);
  // Its own listeners would take the ports that the workload listens on.
  if (scope.view.interception == Interception::kNone) return {};
  return of_services(scope, targets);
}

}  // namespace lateen::translate
