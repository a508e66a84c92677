#include "cli/mesh_gateways.h"

#include "cli/gateway_workloads.h"

namespace lateen::cli {

void MeshGateways::make_views(const model::Mesh& mesh) {
  std::map<std::map<std::string, std::string>, const admin::ViewPage*> by_selector;
  view_problems_.clear();
  for (const GatewayWorkload& workload : gateway_workloads(mesh)) {
    std::string name = workload.view.name;
    for (const auto& [key, value] : workload.selector) name += "," + key + "=" + value;
    auto page = views_.gateway(name, workload.view, mesh);
    if (page) {
      by_selector[workload.selector] = *page;
    } else {
      view_problems_.push_back({"LTN0907", Severity::kError, workload.gateway->origin("spec.selector"), page.error().message, ""});
    }
  }
  by_selector_ = std::move(by_selector);
}

net::Address MeshGateways::address_of(const runtime::Listener& listener) const {
  const bool anywhere = listener.address.empty() || listener.address == "0.0.0.0" || listener.address == "::";
  net::Address at;
  at.host = anywhere ? options_.bind : listener.address;
  at.family = at.host.find(':') == std::string::npos ? net::Address::Family::kIpv4 : net::Address::Family::kIpv6;
  const auto moved = options_.ports.find(listener.port);
  at.port = moved == options_.ports.end() ? listener.port : moved->second;
  return at;
}

std::map<std::string, OpenListeners::Wanted> MeshGateways::wanted(const model::Mesh& mesh) const {
  std::map<std::string, OpenListeners::Wanted> wanted;
  std::map<std::map<std::string, std::string>, const model::Object*> gateways;
  for (const GatewayWorkload& workload : gateway_workloads(mesh)) gateways[workload.selector] = workload.gateway;
  for (const auto& [selector, page] : by_selector_) {
    if (page->snapshot == nullptr) continue;
    for (const auto& [name, listener] : page->snapshot->listeners) {
      if (!listener->bind_to_port) continue;
      OpenListeners::Wanted one;
      one.at = address_of(*listener);
      one.spec = {proxy::ListenSpec::Kind::kListener, page->id, name};
      if (const auto gateway = gateways.find(selector); gateway != gateways.end())
        one.origin = gateway->second->origin("spec.servers");
      // Two gateway workloads with one port: the second one gets its view's name.
      std::string key = "gateway-" + std::to_string(listener->port);
      if (wanted.contains(key)) key += "-" + page->view.name;
      one.fix = "let the gateway listen elsewhere: lateen run --gateway-port " + key.substr(std::string_view("gateway-").size()) + "=0";
      wanted[key] = std::move(one);
    }
  }
  return wanted;
}

void MeshGateways::listen(const model::Mesh& mesh) { open_.set(wanted(mesh)); }

std::vector<Diagnostic> MeshGateways::problems() const {
  std::vector<Diagnostic> all = view_problems_;
  all.insert(all.end(), open_.problems().begin(), open_.problems().end());
  return all;
}

}  // namespace lateen::cli
