// The virtual hosts of a gateway's route tables, and how the routes of several VirtualServices are put together.
#include <envoy/config/route/v3/route.pb.h>

#include <algorithm>
#include <map>
#include <utility>

#include "translate/gateway.h"
#include "translate/gateway_servers.h"
#include "translate/names.h"
#include "translate/routes.h"
#include "translate/virtual_hosts.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;

struct SpecificFirst {
  bool operator()(const std::string& one, const std::string& other) const { return more_specific(one, other); }
};

// One virtual host while its routes are gathered from several VirtualServices.
struct Gathered {
  std::uint32_t port = 0;
  bool require_tls = false;
  std::vector<std::shared_ptr<const std::vector<BuiltRoute>>> parts;   // oldest VirtualService first
  std::vector<std::string> domains;
};
using GatheredHosts = std::map<std::string, Gathered, SpecificFirst>;

// The routes of one listener's servers.
class GatewayTable {
 public:
  GatewayTable(const Scope& scope, const std::vector<VisibleVirtualService>& all, const std::string& table,
               const std::vector<const GatewayServerSource*>& servers, Notes notes)
      : scope_(scope), all_(all), table_(table), servers_(servers), notes_(notes) {}

  xds::RouteConfigurationParts run() {
    for (const GatewayServerSource* source : servers_) add_server(*source);
    collapse();
    xds::RouteConfigurationParts out{route_table_shell(table_), {}};
    std::map<std::string, route_v3::VirtualHost> by_name;
    for (const auto& [host, gathered] : hosts_) {
      route_v3::VirtualHost message = virtual_host(host, gathered);
      by_name.emplace(message.name(), std::move(message));
    }
    if (by_name.empty()) by_name.emplace("", nobody());
    for (const auto& [name, message] : by_name) out.virtual_hosts.push_back(xds::make_resource(message.name(), message));
    return out;
  }

 private:
  void add_server(const GatewayServerSource& source) {
    const bool redirect = source.server->tls && source.server->tls->https_redirect;
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (all_[i].on_gateway(source.gateway)) add_virtual_service(source, i, redirect);
    if (!redirect) return;
    for (const std::string& host : source.hosts) {
      Gathered& gathered = hosts_[lower(host)];
      if (gathered.port == 0) gathered.port = source.server->port;
      gathered.require_tls = true;
    }
  }

  void add_virtual_service(const GatewayServerSource& source, std::size_t which, bool redirect) {
    const VisibleVirtualService& vs = all_[which];
    const auto hosts = common_hosts(source.hosts_for(vs.object->meta.namespace_), written_hosts(scope_, vs));
    if (hosts.empty()) {
      note_no_host(source, vs);
      return;
    }
    auto& routes = built_[{source.gateway, which}];
    if (routes == nullptr) {
      const RouteRequest request{vs, source.server->port, {source.gateway}, source.server->tls.has_value(), true, &scope_.services};
      routes = std::make_shared<const std::vector<BuiltRoute>>(build_routes(scope_, request, notes_, true));
    }
    if (routes->empty()) return;
    for (const std::string& host : hosts) {
      Gathered& gathered = hosts_[lower(host)];
      if (gathered.port == 0) gathered.port = source.server->port;
      if (redirect) gathered.require_tls = true;
      gathered.parts.push_back(routes);
    }
  }

  void note_no_host(const GatewayServerSource& source, const VisibleVirtualService& vs) {
    for (const std::string& host : vs.hosts)
      notes_.left_out.push_back({LeftOut::Why::kUnknownHost, vs.object->origin("spec.hosts"), source.origin(),
                                 "no host of this server of gateway " + source.gateway + " is " + host, host,
                                 source.server->port});
  }

  // Hosts with the very same routes become one virtual host, named after the most specific.
  void collapse() {
    std::map<std::pair<std::vector<const void*>, bool>, std::string> known;
    for (auto it = hosts_.begin(); it != hosts_.end();) {
      std::vector<const void*> key;
      for (const auto& part : it->second.parts) key.push_back(part.get());
      const auto [found, is_new] = known.try_emplace({std::move(key), it->second.require_tls}, it->first);
      hosts_.at(found->second).domains.push_back(it->first);
      it = is_new ? std::next(it) : hosts_.erase(it);
    }
  }

  // In the order of the VirtualServices, catch-alls last: no rule is hidden by an older object's default.
  route_v3::VirtualHost virtual_host(const std::string& host, const Gathered& gathered) {
    std::vector<const BuiltRoute*> routes;
    for (const auto& part : gathered.parts)
      for (const BuiltRoute& built : *part) routes.push_back(&built);
    std::stable_partition(routes.begin(), routes.end(),
                          [](const BuiltRoute* built) { return !is_catch_all(built->route); });
    route_v3::VirtualHost out;
    out.set_name(host + ":" + std::to_string(gathered.port));
    for (const std::string& domain : gathered.domains) out.add_domains(domain);
    out.set_include_request_attempt_count(true);
    if (gathered.require_tls) out.set_require_tls(route_v3::VirtualHost::ALL);
    for (const BuiltRoute* built : routes) {
      const std::string key = "route/" + table_ + "/" + out.name() + "/" + std::to_string(out.routes_size());
      for (const auto& [field, origin] : built->origins) notes_.came_from(key, field, origin);
      *out.add_routes() = built->route;
    }
    return out;
  }

  // A gateway without rules answers 404.
  route_v3::VirtualHost nobody() const {
    route_v3::VirtualHost out;
    out.set_name("blackhole:" + std::to_string(servers_.front()->server->port));
    out.add_domains("*");
    return out;
  }

  const Scope& scope_;
  const std::vector<VisibleVirtualService>& all_;
  const std::string& table_;
  const std::vector<const GatewayServerSource*>& servers_;
  Notes notes_;
  std::map<std::pair<std::string, std::size_t>, std::shared_ptr<const std::vector<BuiltRoute>>> built_;
  GatheredHosts hosts_;
};

}  // namespace

std::vector<std::string> written_hosts(const Scope& scope, const VisibleVirtualService& vs) {
  std::vector<std::string> out;
  for (const std::string& host : vs.spec->hosts)
    out.push_back(resolve_host(host, vs.object->meta.namespace_, scope.mesh.config.cluster_domain));
  return out;
}

xds::RouteConfigurationParts gateway_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                                            const std::string& table, const std::vector<const GatewayServerSource*>& servers,
                                            Notes notes) {
  return GatewayTable(scope, virtual_services, table, servers, notes).run();
}

}  // namespace lateen::translate
