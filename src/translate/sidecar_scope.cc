#include "translate/sidecar_scope.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

using model::IstioEgressListener;
using model::Sidecar;

constexpr const char* kAnyNamespace = "*";
constexpr std::uint32_t kEveryPort = 0;

// The hosts of a listener that are about one namespace, or about all ("*").
struct Hosts {
  std::set<std::string, std::less<>> exact;
  std::vector<std::string> all, left_out;

  bool leaves_out(std::string_view host) const {
    return std::any_of(left_out.begin(), left_out.end(), [&](const std::string& own) { return host_within(host, own); });
  }
  bool takes_service(std::string_view host) const {
    return takes(host, [](std::string_view one, std::string_view other) { return host_within(one, other); });
  }
  // A rule for "*.com" is also about a.com.
  bool takes_rule(std::string_view host) const {
    return takes(host, [](std::string_view one, std::string_view other) { return hosts_match(one, other); });
  }

 private:
  template <class Match>
  bool takes(std::string_view host, Match match) const {
    if (exact.contains(host)) return true;
    return std::any_of(all.begin(), all.end(), [&](const std::string& own) {
      return (is_wildcard(host) || is_wildcard(own)) && match(host, own);
    });
  }
};

class Imports {
 public:
  Imports(const std::vector<std::string>& hosts, const std::string& own_namespace) {
    for (const std::string& entry : hosts) {
      const std::size_t slash = entry.find('/');
      std::string space = entry.substr(0, slash);
      const std::string host = entry.substr(slash + 1);
      const bool left_out = space.starts_with('~');
      if (left_out) space.erase(0, 1);
      if (left_out && space.empty()) space = kAnyNamespace;
      if (space == ".") space = own_namespace;
      Hosts& of_namespace = by_namespace_[space];
      if (left_out) {
        of_namespace.left_out.push_back(host);
        continue;
      }
      if (!is_wildcard(host)) of_namespace.exact.insert(host);
      of_namespace.all.push_back(host);
    }
  }

  bool takes_service(const Service& service) const {
    return takes(service.namespace_, [&](const Hosts& hosts) { return hosts.takes_service(service.host); },
                 [&](const Hosts& hosts) { return hosts.leaves_out(service.host); });
  }

  bool takes_alias(const Service& service, const std::string& alias) const {
    return takes(service.namespace_, [&](const Hosts& hosts) { return hosts.takes_service(alias); }, [](const Hosts&) { return false; });
  }

  bool takes_rule(const VisibleVirtualService& rule) const {
    return std::any_of(rule.hosts.begin(), rule.hosts.end(), [&](const std::string& host) {
      return takes(rule.object->meta.namespace_, [&](const Hosts& hosts) { return hosts.takes_rule(host); },
                   [&](const Hosts& hosts) { return hosts.leaves_out(host); });
    });
  }

 private:
  template <class Takes, class LeavesOut>
  bool takes(const std::string& namespace_, Takes takes, LeavesOut leaves_out) const {
    const auto own = by_namespace_.find(namespace_), any = by_namespace_.find(kAnyNamespace);
    const auto test = [&](const auto& it, auto what) { return it != by_namespace_.end() && what(it->second); };
    if (test(own, leaves_out) || test(any, leaves_out)) return false;
    return test(own, takes) || test(any, takes);
  }

  std::map<std::string, Hosts> by_namespace_;
};

// Those with a selector go first, older ones before younger; without any in the namespace, the root namespace's.
const std::pair<const model::Object*, const Sidecar*> find_sidecar(const model::Mesh& mesh, const View& view) {
  auto all = mesh.all<Sidecar>(model::Kind::kSidecar);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    if (a.second->has_workload_selector != b.second->has_workload_selector) return a.second->has_workload_selector;
    return model::older(*a.first, *b.first);
  });
  for (const auto& [object, sidecar] : all)
    if (object->meta.namespace_ == view.namespace_ &&
        (!sidecar->has_workload_selector || selects(sidecar->workload_selector, view.labels)))
      return {object, sidecar};
  for (const auto& [object, sidecar] : all)
    if (object->meta.namespace_ == mesh.config.root_namespace && !sidecar->has_workload_selector) return {object, sidecar};
  return {nullptr, nullptr};
}

// Whether only services with the listener's port are let in.
bool matches_ports(const IstioEgressListener& listener) {
  return listener.port && listener.port->number != 0 && parse_protocol(listener.port->protocol) != Protocol::kHttpProxy;
}

bool same_ports(const Service& one, const Service& other) {
  return std::equal(one.ports.begin(), one.ports.end(), other.ports.begin(), other.ports.end(), [](const Port& a, const Port& b) {
    return a.number == b.number && a.name == b.name && a.protocol == b.protocol;
  });
}

bool can_merge(const Service& one, const Service& other) {
  return one.namespace_ == other.namespace_ && one.resolution == other.resolution && one.kubernetes == other.kubernetes &&
         one.object->meta.labels == other.object->meta.labels && one.export_to == other.export_to;
}

// Of several services of one host, those of one namespace stay: the client's own, or the first, Kubernetes' before others.
void keep_one_namespace(std::vector<const Service*>& services, const std::string& client) {
  struct Kept {
    std::string namespace_;
    bool kubernetes = false;
  };
  std::map<std::string_view, Kept> kept;
  for (const Service* service : services) {
    const auto [it, is_new] = kept.try_emplace(service->host, Kept{service->namespace_, service->kubernetes});
    if (is_new) continue;
    Kept& old = it->second;
    const bool prefer_kubernetes = !old.kubernetes && service->kubernetes && old.namespace_ != client;
    if (service->namespace_ == client || prefer_kubernetes) old = {service->namespace_, service->kubernetes};
  }
  std::erase_if(services, [&](const Service* service) { return kept.at(service->host).namespace_ != service->namespace_; });
}

// The hosts that a rule of the client's namespace sends to, with the ports that it names.
using Destinations = std::map<std::string, std::set<std::uint32_t>>;

bool is_for_namespace(const model::HttpRoute& route, const std::string& client) {
  bool holds = true;
  for (const auto& match : route.match) {
    if (match.source_namespace.empty()) continue;
    if (match.source_namespace == client) return true;
    holds = false;
  }
  return holds;
}

Destinations destinations_of(const VisibleVirtualService& rule, const std::string& client) {
  Destinations out;
  const auto add = [&](const model::Destination& to) { out[to.host].insert(to.port == 0 ? kEveryPort : to.port); };
  for (const RuleSource& source : rule.http) {
    if (!is_for_namespace(source.route, client)) continue;
    for (const auto& to : source.route.route) add(to.destination);
    if (source.route.mirror) add(*source.route.mirror);
    for (const auto& mirror : source.route.mirrors) add(mirror.destination);
  }
  for (const auto* list : {&rule.tcp, &rule.tls})
    for (const model::L4Route& route : *list)
      for (const auto& to : route.route) add(to.destination);
  return out;
}

}  // namespace

SidecarScope::SidecarScope(const model::Mesh& mesh, const View& view, const Registry& registry,
                           const std::vector<VisibleVirtualService>& virtual_services) {
  std::tie(object_, spec_) = find_sidecar(mesh, view);
  allows_any_ = spec_ != nullptr && spec_->allow_any_outbound ? *spec_->allow_any_outbound : mesh.config.allow_any_outbound;
  if (spec_ == nullptr || spec_->egress.empty()) {
    add_listener(view, registry, nullptr, virtual_services);
  } else {
    for (const IstioEgressListener& listener : spec_->egress) add_listener(view, registry, &listener, virtual_services);
  }
  add_union(registry, view);
}

SidecarScope::SidecarScope(const View& view, const Registry& registry) {
  for (const Service* service : registry.exported_to(view.namespace_)) add_to_union(*service);
}

void SidecarScope::add_listener(const View& view, const Registry& registry, const IstioEgressListener* spec,
                                const std::vector<VisibleVirtualService>& all) {
  EgressListener listener;
  listener.spec = spec;
  listener.virtual_services = &all;
  listener.services = registry.exported_to(view.namespace_);
  if (spec != nullptr) {
    const Imports imports(spec->hosts, view.namespace_);
    std::erase_if(listener.services, [&](const Service* service) { return !imports.takes_service(*service); });
    if (matches_ports(*spec)) {
      for (const Service*& service : listener.services) service = with_ports(*service, {spec->port->number});
      std::erase(listener.services, nullptr);
    }
    for (const Service*& service : listener.services) service = with_aliases(*service, [&](const std::string& alias) {
      return imports.takes_alias(*service, alias);
    });
    auto& selected = selected_.emplace_back();
    for (const VisibleVirtualService& rule : all)
      if (!rule.on_gateway("mesh") || imports.takes_rule(rule)) selected.push_back(rule);
    listener.virtual_services = &selected;
  }
  keep_one_namespace(listener.services, view.namespace_);
  egress_.push_back(std::move(listener));
}

const Service* SidecarScope::with_ports(const Service& service, const std::vector<std::uint32_t>& ports) {
  const auto wanted = [&](const Port& port) { return std::find(ports.begin(), ports.end(), port.number) != ports.end(); };
  const auto count = std::count_if(service.ports.begin(), service.ports.end(), wanted);
  if (count == 0) return nullptr;
  if (static_cast<std::size_t>(count) == service.ports.size()) return &service;
  Service& out = made_.emplace_back(service);
  out.ports.clear();
  out.endpoints.clear();
  for (const Port& port : service.ports) {
    if (!wanted(port)) continue;
    out.ports.push_back(port);
    out.endpoints.push_back(service.endpoints[service.port_index(port)]);
  }
  return &out;
}

const Service* SidecarScope::with_aliases(const Service& service, const std::function<bool(const std::string&)>& wanted) {
  if (std::all_of(service.aliases.begin(), service.aliases.end(), wanted)) return &service;
  Service& out = made_.emplace_back(service);
  std::erase_if(out.aliases, [&](const std::string& alias) { return !wanted(alias); });
  return &out;
}

void SidecarScope::add_to_union(const Service& service) {
  const auto [it, is_new] = services_.emplace(service.host, &service);
  if (is_new || it->second == &service) return;
  const Service& old = *it->second;
  if (old.kubernetes && !service.kubernetes) return;
  if (!old.kubernetes && service.kubernetes) {
    it->second = &service;
    return;
  }
  if (same_ports(old, service) || !can_merge(old, service)) return;
  Service& merged = made_.emplace_back(old);
  for (const Port& port : service.ports) {
    if (merged.find_port(port.number) != nullptr) continue;
    merged.ports.push_back(port);
    merged.endpoints.push_back(service.endpoints[service.port_index(port)]);
  }
  it->second = &merged;
}

// What rules send to is needed even where no listener names it.
void SidecarScope::add_union(const Registry& registry, const View& view) {
  for (const EgressListener& listener : egress_) {
    for (const Service* service : listener.services) add_to_union(*service);
    for (const VisibleVirtualService& rule : *listener.virtual_services) {
      if (!rule.on_gateway("mesh")) continue;
      for (const auto& [host, ports] : destinations_of(rule, view.namespace_)) {
        // Without a Sidecar all is let in but what its own namespace keeps from everybody.
        if (listener.spec == nullptr && services_.contains(host)) continue;
        const Service* service = registry.best(host, view.namespace_);
        if (service == nullptr) continue;
        if (listener.spec != nullptr && matches_ports(*listener.spec)) service = with_ports(*service, {listener.spec->port->number});
        else if (!ports.contains(kEveryPort)) service = with_ports(*service, {ports.begin(), ports.end()});
        if (service != nullptr) add_to_union(*service);
      }
    }
  }
}

const EgressListener* SidecarScope::egress_on(std::uint32_t port, const std::string& bind) const {
  for (const EgressListener& listener : egress_) {
    if (!listener.has_port()) return &listener;
    if (listener.spec->port->number == port && (port != 0 || listener.spec->bind == bind)) return &listener;
  }
  return nullptr;
}

std::string SidecarScope::cluster_for_unknown() const {
  if (!allows_any_) return "BlackHoleCluster";
  if (spec_ == nullptr || !spec_->egress_proxy) return "PassthroughCluster";
  return outbound_cluster(spec_->egress_proxy->port, spec_->egress_proxy->subset, spec_->egress_proxy->host);
}

const model::ConnectionPool* SidecarScope::inbound_pool(std::uint32_t port) const {
  if (spec_ == nullptr) return nullptr;
  for (const model::IstioIngressListener& listener : spec_->ingress)
    if (listener.port.number == port && listener.connection_pool) return &*listener.connection_pool;
  return spec_->inbound_connection_pool ? &*spec_->inbound_connection_pool : nullptr;
}

}  // namespace lateen::translate
