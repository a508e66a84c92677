#include "cli/mesh_gateways.h"

#include "model/gateway_workload.h"

namespace lateen::cli {

namespace {

using Labels = std::map<std::string, std::string>;

// "istio: ingressgateway" is Istio's own selector; its workload is called istio-ingressgateway.
std::string gateway_name(const Labels& selector) {
  if (selector.empty()) return "gateway";
  if (const auto istio = selector.find("istio"); istio != selector.end()) return "istio-" + istio->second;
  if (const auto app = selector.find("app"); app != selector.end()) return app->second;
  return selector.begin()->second;
}

struct Owner {
  const model::Object* object;
  const model::Gateway* gateway;
};

std::map<Labels, Owner> selectors_of(const model::Mesh& mesh) {
  std::map<Labels, Owner> selectors;
  for (const auto& [object, gateway] : mesh.all<model::Gateway>(model::Kind::kGateway))
    selectors.try_emplace(gateway->selector, Owner{object, gateway});
  // A Gateway without a selector belongs to every gateway workload: it needs one of its own only where there is no other.
  if (selectors.size() > 1) selectors.erase(Labels{});
  return selectors;
}

}  // namespace

void MeshGateways::make_views(const model::Mesh& mesh) {
  std::map<Labels, const admin::ViewPage*> by_selector;
  view_problems_.clear();
  for (const auto& [selector, owner] : selectors_of(mesh)) {
    translate::View view;
    view.kind = translate::View::Kind::kRouter;
    view.name = gateway_name(selector);
    view.namespace_ = model::workload_namespace(*owner.gateway, owner.object->meta.namespace_, mesh.config.root_namespace);
    view.labels = selector;
    std::string name = view.name;
    for (const auto& [key, value] : selector) name += "," + key + "=" + value;
    auto page = views_.gateway(name, view, mesh);
    if (page) {
      by_selector[selector] = *page;
    } else {
      view_problems_.push_back({"LTN0907", Severity::kError, owner.object->origin("spec.selector"), page.error().message, ""});
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

std::map<std::string, MeshGateways::Wanted> MeshGateways::wanted(const model::Mesh& mesh) const {
  std::map<std::string, Wanted> wanted;
  const auto selectors = selectors_of(mesh);
  for (const auto& [selector, page] : by_selector_) {
    if (page->snapshot == nullptr) continue;
    for (const auto& [name, listener] : page->snapshot->listeners) {
      if (!listener->bind_to_port) continue;
      Wanted one;
      one.at = address_of(*listener);
      one.spec = {proxy::ListenSpec::Kind::kListener, page->id, name};
      if (const auto object = selectors.find(selector); object != selectors.end())
        one.origin = object->second.object->origin("spec.servers");
      // Two gateway workloads with one port: the second one gets its view's name.
      std::string key = "gateway-" + std::to_string(listener->port);
      if (wanted.contains(key)) key += "-" + page->view.name;
      wanted[key] = std::move(one);
    }
  }
  return wanted;
}

void MeshGateways::listen(const model::Mesh& mesh) {
  listen_problems_.clear();
  const std::map<std::string, Wanted> wanted_now = wanted(mesh);
  for (auto it = open_.begin(); it != open_.end();) {
    const auto still = wanted_now.find(it->first);
    if (still != wanted_now.end() && still->second == it->second.wanted) {
      ++it;
      continue;
    }
    proxy_.close_listener(it->first);
    it = open_.erase(it);
  }
  for (const auto& [name, one] : wanted_now) {
    if (open_.contains(name)) continue;
    auto bound = proxy_.listen(name, one.at, one.spec);
    if (bound) {
      open_[name] = {one, *std::move(bound)};
      continue;
    }
    listen_problems_.push_back({"LTN0908", Severity::kError, one.origin,
                         "cannot listen on " + net::to_string(one.at) + ": " + bound.error().message,
                         "let the gateway listen elsewhere: lateen run --gateway-port " +
                             name.substr(std::string_view("gateway-").size()) + "=0"});
  }
}

std::vector<Diagnostic> MeshGateways::problems() const {
  std::vector<Diagnostic> all = view_problems_;
  all.insert(all.end(), listen_problems_.begin(), listen_problems_.end());
  return all;
}

std::vector<proxy::BoundListener> MeshGateways::bound() const {
  std::vector<proxy::BoundListener> all;
  for (const auto& [name, open] : open_) all.push_back({name, open.bound.address});
  return all;
}

}  // namespace lateen::cli
