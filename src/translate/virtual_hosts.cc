#include "translate/virtual_hosts.h"

#include <envoy/config/route/v3/route.pb.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "translate/names.h"
#include "translate/routes.h"
#include "translate/shapes.h"
#include "translate/sidecar_scope.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;

constexpr std::uint32_t kDirectResponseBytesMax = 1024 * 1024;
constexpr std::uint32_t kAnyPort = 0;       // an HTTP proxy client may ask for any
constexpr std::uint32_t kHttpPort = 80;
constexpr std::string_view kSocket = "unix://";

// Which VirtualServices are about a host, without asking each.
class HostIndex {
 public:
  explicit HostIndex(const std::vector<VisibleVirtualService>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].on_gateway("mesh")) continue;
      mesh_.push_back(i);
      for (const std::string& host : all[i].hosts)
        (is_wildcard(host) ? wildcard_ : exact_)[host].push_back(i);
    }
  }

  const std::vector<std::size_t>& mesh() const { return mesh_; }

  void add_about(std::string_view host, std::set<std::size_t>& out) const {
    if (const auto it = exact_.find(host); it != exact_.end()) out.insert(it->second.begin(), it->second.end());
    for (const auto& [wildcard, list] : wildcard_)
      if (hosts_match(host, wildcard)) out.insert(list.begin(), list.end());
  }

  // The one whose host is the most specific; the first of several with the same host.
  std::size_t best(std::string_view host) const {
    if (const auto it = exact_.find(host); it != exact_.end()) return it->second.front();
    std::size_t found = kNone;
    std::string_view best_host;
    for (const auto& [wildcard, list] : wildcard_) {
      if (!host_within(host, wildcard) || (found != kNone && !more_specific(wildcard, best_host))) continue;
      found = list.front();
      best_host = wildcard;
    }
    return found;
  }

  static constexpr std::size_t kNone = ~std::size_t{0};

 private:
  using ByHost = std::map<std::string, std::vector<std::size_t>, std::less<>>;
  std::vector<std::size_t> mesh_;
  ByHost exact_, wildcard_;
};

using Routes = std::vector<BuiltRoute>;

// Services of one port that share routes, as the VirtualService says.
struct Group {
  std::uint32_t port = 0;
  std::vector<const Service*> services;
  std::vector<std::string> other_hosts;          // of the VirtualService, that are no services
  std::shared_ptr<const Routes> routes;
  const VisibleVirtualService* source = nullptr; // null: default routes
};

// One route table while it is made.
class TableBuilder {
 public:
  // `services`: those of the port, or all of them where the port is kAnyPort.
  TableBuilder(const Scope& scope, const std::vector<VisibleVirtualService>& all, const HostIndex& index, Notes notes,
               const ServicesByHost& services, std::uint32_t port, std::string table)
      : scope_(scope), all_(all), index_(index), notes_(notes), services_(services), port_(port), table_(std::move(table)) {}

  // Virtual hosts by name; the domains of each are nobody else's.
  std::map<std::string, route_v3::VirtualHost> run() {
    for (const std::size_t i : candidates()) add_virtual_service(i);
    for (const auto& [host, service] : services_) add_default(*service);
    for (const Group& group : groups_)
      for (const Service* service : group.services) full_names_.insert(service->host);
    for (const Group& group : groups_) add_hosts(group);
    return std::move(hosts_);
  }

 private:
  // On port 80 every VirtualService is looked at: hosts that are no services may be asked for there.
  std::vector<std::size_t> candidates() const {
    if (port_ == kHttpPort) return index_.mesh();
    std::set<std::size_t> found;
    for (const auto& [host, service] : services_) index_.add_about(host, found);
    return {found.begin(), found.end()};
  }

  void split_hosts(std::size_t which, std::vector<const Service*>& services, std::vector<std::string>& others) const {
    for (const std::string& host : all_[which].hosts) {
      if (!is_wildcard(host)) {
        const auto it = services_.find(host);
        if (it != services_.end()) services.push_back(it->second);
        else others.push_back(host);
        continue;
      }
      bool matches_some = false;
      for (const auto& [name, service] : services_) {
        if (!host_within(name, host)) continue;
        matches_some = true;
        if (index_.best(name) == which) services.push_back(service);
      }
      if (!matches_some) others.push_back(host);
    }
  }

  std::map<std::uint32_t, std::vector<const Service*>> by_port(const std::vector<const Service*>& services) const {
    std::map<std::uint32_t, std::vector<const Service*>> out;
    for (const Service* service : services)
      for (const Port& port : service->ports)
        if ((port_ == kAnyPort || port.number == port_) && is_http_or_sniffed(port.protocol))
          out[port.number].push_back(service);
    if (out.empty() && port_ == kHttpPort) out[kHttpPort];
    return out;
  }

  void add_virtual_service(std::size_t which) {
    std::vector<const Service*> services;
    std::vector<std::string> others;
    split_hosts(which, services, others);
    const auto ports = by_port(services);
    if (ports.empty()) return;
    const bool has_services = !ports.begin()->second.empty();
    const RouteRequest request{all_[which], port_, {"mesh"}, false, port_ == kAnyPort, &services_};
    auto routes = std::make_shared<const Routes>(
        build_routes(scope_, request, notes_, has_services && port_ != kAnyPort));
    if (routes->empty()) return;  // nothing of it is for this client: the next one, or the default, may have the host
    for (const auto& [port, of_port] : ports) groups_.push_back({port, of_port, others, routes, &all_[which]});
    for (const Service* service : services)
      if (has_services) taken_.insert(service);
  }

  void add_default(const Service& service) {
    if (taken_.contains(&service) || service.resolution == Resolution::kAlias) return;
    for (const Port& port : service.ports) {
      if ((port_ != kAnyPort && port.number != port_) || !is_http_or_sniffed(port.protocol)) continue;
      Routes routes(1);
      routes.front().route = default_route(scope_, service, port);
      groups_.push_back({port.number, {&service}, {}, std::make_shared<const Routes>(std::move(routes)), nullptr});
    }
  }

  void add_hosts(const Group& group) {
    for (const std::string& host : group.other_hosts) {
      std::vector<std::string> domains{host};
      add_host(group, host, std::move(domains), {});
    }
    for (const Service* service : group.services) {
      Domains domains = service_domains(*service, scope_, port_ == kAnyPort ? group.port : 0);
      add_host(group, service->host, std::move(domains.all), domains.short_forms);
    }
  }

  void add_host(const Group& group, const std::string& host, std::vector<std::string> domains,
                const std::vector<std::string>& short_forms) {
    const std::string name = host + ":" + std::to_string(group.port);
    const auto owner = owners_.find(name);
    if (owner != owners_.end()) {
      note_loser(group, host, owner->second);
      return;
    }
    owners_.emplace(name, group.source);
    keep_free(domains, short_forms);
    if (port_ == kAnyPort && group.port != kHttpPort)  // without a port in the name port 80 is meant
      std::erase_if(domains, [](const std::string& domain) { return domain.find(':') == std::string::npos; });
    if (domains.empty()) return;
    route_v3::VirtualHost& out = hosts_[name];
    out.set_name(name);
    out.set_include_request_attempt_count(true);
    for (std::string& domain : domains) out.add_domains(std::move(domain));
    for (const BuiltRoute& built : *group.routes) {
      const std::string& table = table_.empty() ? name : table_;
      const std::string key = "route/" + table + "/" + name + "/" + std::to_string(out.routes_size());
      *out.add_routes() = built.route;
      for (const auto& [field, origin] : built.origins) notes_.came_from(key, field, origin);
    }
  }

  // A domain belongs to the first that asks for it; a short form never hides the full name of another service.
  void keep_free(std::vector<std::string>& domains, const std::vector<std::string>& short_forms) {
    std::erase_if(domains, [&](const std::string& domain) {
      const bool is_short = std::find(short_forms.begin(), short_forms.end(), domain) != short_forms.end();
      if (is_short && full_names_.contains(domain)) return true;
      return !domains_.insert(lower(domain)).second;
    });
  }

  void note_loser(const Group& group, const std::string& host, const VisibleVirtualService* winner) {
    if (group.source == nullptr || winner == nullptr || port_ == kAnyPort || group.services.empty()) return;
    notes_.left_out.push_back({LeftOut::Why::kLosesToOlder, group.source->object->origin("spec.hosts"),
                               winner->object->origin("spec.hosts"),
                               "VirtualService " + winner->object->meta.namespace_ + "/" +
                                   winner->object->meta.name + " has this host already",
                               host, group.port});
  }

  const Scope& scope_;
  const std::vector<VisibleVirtualService>& all_;
  const HostIndex& index_;
  Notes notes_;
  const ServicesByHost& services_;
  const std::uint32_t port_;
  const std::string table_;   // empty: each virtual host becomes a table of its own name
  std::unordered_set<const Service*> taken_;
  std::vector<Group> groups_;
  std::map<std::string, const VisibleVirtualService*> owners_;
  std::unordered_set<std::string> domains_, full_names_;
  std::map<std::string, route_v3::VirtualHost> hosts_;
};

// What takes requests for hosts that nobody has.
route_v3::VirtualHost catch_all(const Scope& scope) {
  route_v3::VirtualHost out;
  const char* name = scope.sidecar->allows_any() ? "allow_any" : "block_all";
  out.set_name(name);
  out.add_domains("*");
  out.set_include_request_attempt_count(true);
  route_v3::Route& route = *out.add_routes();
  route.set_name(name);
  route.mutable_match()->set_prefix("/");
  constexpr std::uint32_t kBadGateway = 502;
  if (!scope.sidecar->allows_any()) {
    route.mutable_direct_response()->set_status(kBadGateway);
    return out;
  }
  route.mutable_route()->set_cluster(scope.sidecar->cluster_for_unknown());
  set_timeout(*route.mutable_route(), Duration{});
  route.mutable_route()->set_append_x_forwarded_host(forwards_host(scope));
  return out;
}

// What a table's name says: "9080", "host:9080" of a service with a listener of its own, "http_proxy", a socket's path.
struct TableName {
  std::uint32_t port = kAnyPort;
  bool of_service = false;
};

TableName parse_table(std::string_view name) {
  TableName out;
  if (name.starts_with(kSocket) || name == kHttpProxyTable) return out;
  const std::size_t colon = name.rfind(':');
  out.of_service = colon != std::string_view::npos;
  if (out.of_service) name.remove_prefix(colon + 1);
  std::from_chars(name.data(), name.data() + name.size(), out.port);
  return out;
}

// What the tables of one egress listener share.
class EgressTables {
 public:
  EgressTables(const Scope& scope, const EgressListener& egress, Notes notes)
      : scope_(scope), egress_(egress), notes_(notes), index_(*egress.virtual_services) {
    for (const Service* service : egress.services) {
      add(*service, by_port_[kAnyPort]);
      for (const Port& port : service->ports) add(*service, by_port_[port.number]);
    }
    const auto* spec = egress.spec;
    is_proxy_ = egress.has_port() && parse_protocol(spec->port->protocol) == Protocol::kHttpProxy;
  }

  std::map<std::string, route_v3::VirtualHost> build(const std::string& table, std::uint32_t port) const {
    if (is_proxy_) port = kAnyPort;
    static const ServicesByHost kNone;
    const auto it = by_port_.find(port);
    const ServicesByHost& services = it == by_port_.end() ? kNone : it->second;
    return TableBuilder(scope_, *egress_.virtual_services, index_, notes_, services, port, table).run();
  }

  // The virtual host of one service; null: it has none. Those of a port are made once.
  route_v3::VirtualHost* of_service(const std::string& table, std::uint32_t port) {
    if (port != built_port_ || !built_) built_ = build("", port);
    built_port_ = port;
    const auto it = built_->find(table);
    return it == built_->end() ? nullptr : &it->second;
  }

 private:
  // Of services with one host, the one that goes first has it, Kubernetes' before others; in istiod the last one.
  void add(const Service& service, ServicesByHost& to) const {
    const auto [it, is_new] = to.emplace(service.host, &service);
    const bool is_better = scope_.options.compat == Compat::kIstio || (service.kubernetes && !it->second->kubernetes);
    if (!is_new && is_better) it->second = &service;
  }

  const Scope& scope_;
  const EgressListener& egress_;
  Notes notes_;
  const HostIndex index_;
  std::map<std::uint32_t, ServicesByHost> by_port_;
  bool is_proxy_ = false;
  std::uint32_t built_port_ = 0;
  std::optional<std::map<std::string, route_v3::VirtualHost>> built_;
};

// Rules whose hosts no egress listener of the Sidecar names.
void note_not_let_in(const Scope& scope, const std::vector<VisibleVirtualService>& all, Notes notes) {
  if (scope.sidecar->spec() == nullptr) return;
  std::set<const model::Object*> let_in;
  for (const EgressListener& egress : scope.sidecar->egress())
    for (const VisibleVirtualService& vs : *egress.virtual_services) let_in.insert(vs.object);
  for (const VisibleVirtualService& vs : all) {
    if (!vs.on_gateway("mesh") || let_in.contains(vs.object)) continue;
    for (const std::string& host : vs.hosts)
      notes.left_out.push_back({LeftOut::Why::kOther, vs.object->origin("spec.hosts"), scope.sidecar->object()->origin("spec.egress"),
                                "no egress listener of the Sidecar lets it in", host, 0});
  }
}

// Rules that are for gateways alone are for no workload.
void note_other_gateways(const std::vector<VisibleVirtualService>& all, Notes notes) {
  for (const VisibleVirtualService& vs : all) {
    if (vs.on_gateway("mesh")) continue;
    for (const std::string& host : vs.hosts)
      notes.left_out.push_back({LeftOut::Why::kOtherGateway, vs.object->origin("spec.gateways"), {},
                                "its gateways do not have mesh among them: it is for requests at these gateways", host, 0});
  }
}

void note_unknown_hosts(const Scope& scope, const std::vector<VisibleVirtualService>& all, Notes notes) {
  for (const VisibleVirtualService& vs : all) {
    if (!vs.on_gateway("mesh")) continue;
    for (std::size_t i = 0; i < vs.hosts.size(); ++i) {
      const std::string& host = vs.hosts[i];
      const bool known = is_wildcard(host) ? std::any_of(scope.services.begin(), scope.services.end(),
                                                         [&](const auto& entry) { return host_within(entry.first, host); })
                                           : scope.find_service(host) != nullptr;
      if (known) continue;
      notes.left_out.push_back({LeftOut::Why::kUnknownHost, vs.object->origin("spec.hosts[" + std::to_string(i) + "]"), {},
                                "no service has this host: its rules hold on port 80 alone", host, 0});
    }
  }
}

}  // namespace

xds::ResourcePtr route_table_shell(const std::string& table) {
  route_v3::RouteConfiguration out;
  out.set_name(table);
  out.mutable_validate_clusters()->set_value(false);
  out.mutable_max_direct_response_body_size_bytes()->set_value(kDirectResponseBytesMax);
  out.set_ignore_port_in_host_matching(true);
  return xds::make_resource(table, out);
}

void add_sidecar_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                        const std::set<std::string>& tables, Notes notes, xds::Resources& out) {
  const route_v3::VirtualHost unknown = catch_all(scope);
  const xds::ResourcePtr others = xds::make_resource(unknown.name(), unknown);
  std::map<const EgressListener*, std::unique_ptr<EgressTables>> by_listener;
  // Tables of one port together, so that what they share is made once.
  std::map<std::pair<std::uint32_t, std::string>, TableName> in_order;
  for (const std::string& table : tables) {
    const TableName name = parse_table(table);
    in_order.emplace(std::pair(name.port, table), name);
  }
  for (const auto& [key, name] : in_order) {
    const std::string& table = key.second;
    const EgressListener* egress = scope.sidecar->egress_on(name.port, table);
    xds::RouteConfigurationParts parts{route_table_shell(table), {}};
    if (egress != nullptr) {
      auto& made = by_listener[egress];
      if (!made) made = std::make_unique<EgressTables>(scope, *egress, notes);
      if (name.of_service) {
        if (route_v3::VirtualHost* host = made->of_service(table, name.port)) {
          host->clear_domains();
          host->add_domains("*");
          parts.virtual_hosts.push_back(xds::make_resource(table, *host));
        }
      } else {
        for (const auto& [host_name, host] : made->build(table, name.port)) parts.virtual_hosts.push_back(xds::make_resource(host_name, host));
      }
    }
    if (!name.of_service) parts.virtual_hosts.push_back(others);
    out.routes.insert_or_assign(table, std::move(parts));
  }
  note_other_gateways(virtual_services, notes);
  note_unknown_hosts(scope, virtual_services, notes);
  note_not_let_in(scope, virtual_services, notes);
}

}  // namespace lateen::translate
