#include "translate/virtual_hosts.h"

#include <envoy/config/route/v3/route.pb.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "translate/names.h"
#include "translate/routes.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;

constexpr std::uint32_t kDirectResponseBytesMax = 1024 * 1024;
constexpr std::uint32_t kAnyPort = 0;       // an HTTP proxy client may ask for any
constexpr std::uint32_t kHttpPort = 80;
constexpr const char* kHttpProxyTable = "http_proxy";

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
    const RouteRequest request{all_[which], port_, {"mesh"}, false, port_ == kAnyPort};
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
      Domains domains = service_domains(*service, scope_.view.namespace_, scope_.mesh.config.cluster_domain,
                                        port_ == kAnyPort ? group.port : 0);
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
  const char* name = scope.mesh.config.allow_any_outbound ? "allow_any" : "block_all";
  out.set_name(name);
  out.add_domains("*");
  out.set_include_request_attempt_count(true);
  route_v3::Route& route = *out.add_routes();
  route.set_name(name);
  route.mutable_match()->set_prefix("/");
  constexpr std::uint32_t kBadGateway = 502;
  if (!scope.mesh.config.allow_any_outbound) {
    route.mutable_direct_response()->set_status(kBadGateway);
    return out;
  }
  route.mutable_route()->set_cluster("PassthroughCluster");
  set_timeout(*route.mutable_route(), Duration{});
  return out;
}

// The tables that listeners name: by port, and for services that have a listener of their own.
struct Tables {
  std::set<std::uint32_t> ports;
  std::set<std::pair<std::uint32_t, const Service*>> services;
};

Tables wanted_tables(const Scope& scope) {
  Tables out;
  for (const auto& [host, service] : scope.services) {
    if (service->resolution == Resolution::kAlias) continue;
    for (const Port& port : service->ports) {
      if (!is_http_or_sniffed(port.protocol)) continue;
      if (is_http(port.protocol) || service->addresses.empty()) out.ports.insert(port.number);
      else out.services.emplace(port.number, service);
    }
  }
  return out;
}

std::map<std::uint32_t, ServicesByHost> services_by_port(const Scope& scope) {
  std::map<std::uint32_t, ServicesByHost> out;
  for (const auto& [host, service] : scope.services)
    for (const Port& port : service->ports) out[port.number].emplace(host, service);
  return out;
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

std::string route_table_name(const Service& service, const Port& port) {
  if (is_http(port.protocol) || service.addresses.empty()) return std::to_string(port.number);
  return service.host + ":" + std::to_string(port.number);
}

void add_sidecar_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services, Notes notes,
                        xds::Resources& out) {
  const HostIndex index(virtual_services);
  const route_v3::VirtualHost unknown = catch_all(scope);
  const xds::ResourcePtr others = xds::make_resource(unknown.name(), unknown);
  const std::map<std::uint32_t, ServicesByHost> by_port = services_by_port(scope);
  const auto add_table = [&](const std::string& table, std::uint32_t port) {
    const ServicesByHost& services = port == kAnyPort ? scope.services : by_port.at(port);
    xds::RouteConfigurationParts parts{route_table_shell(table), {}};
    for (auto& [name, host] : TableBuilder(scope, virtual_services, index, notes, services, port, table).run())
      parts.virtual_hosts.push_back(xds::make_resource(name, host));
    parts.virtual_hosts.push_back(others);
    out.routes.insert_or_assign(table, std::move(parts));
  };
  const Tables tables = wanted_tables(scope);
  for (const std::uint32_t port : tables.ports) add_table(std::to_string(port), port);
  if (scope.options.http_proxy_port != 0) add_table(kHttpProxyTable, kAnyPort);
  std::uint32_t built_port = 0;
  std::map<std::string, route_v3::VirtualHost> built;
  for (const auto& [port, service] : tables.services) {
    const std::string table = service->host + ":" + std::to_string(port);
    if (port != built_port) built = TableBuilder(scope, virtual_services, index, notes, by_port.at(port), port, "").run();
    built_port = port;
    const auto it = built.find(table);
    if (it == built.end()) continue;
    it->second.clear_domains();
    it->second.add_domains("*");
    out.routes.insert_or_assign(table, xds::RouteConfigurationParts{route_table_shell(table), {xds::make_resource(table, it->second)}});
  }
  note_other_gateways(virtual_services, notes);
  note_unknown_hosts(scope, virtual_services, notes);
}

}  // namespace lateen::translate
