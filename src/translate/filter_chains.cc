#include "translate/filter_chains.h"

#include <algorithm>
#include <set>

#include "translate/destination_rules.h"
#include "translate/names.h"
#include "translate/stat_prefix.h"
#include "translate/virtual_hosts.h"

namespace lateen::translate {
namespace {

using model::L4Match;
using model::L4Route;

std::set<std::string> as_set(const std::vector<std::string>& list) { return {list.begin(), list.end()}; }

bool holds(const L4Match& match, const Scope& scope, std::uint32_t port) {
  const bool gateway_fits = match.gateways.empty() || std::find(match.gateways.begin(), match.gateways.end(), "mesh") !=
                                                          match.gateways.end();
  return gateway_fits && selects(match.source_labels, scope.view.labels) && (match.port == 0 || match.port == port) &&
         (match.source_namespace.empty() || match.source_namespace == scope.view.namespace_);
}

// The connection settings of the service's rule, as the listener needs them.
void apply_rule(TcpFilterSettings& out, const Scope& scope, const Service* service, const std::string& subset) {
  const MergedRule* rule = service == nullptr ? nullptr : scope.rules.find(scope.view, *service);
  if (rule == nullptr) return;
  if (rule->policy != nullptr && rule->policy->connection_pool && rule->policy->connection_pool->tcp) {
    out.idle_timeout = rule->policy->connection_pool->tcp->idle_timeout;
    out.connection_duration_max = rule->policy->connection_pool->tcp->max_connection_duration;
  }
  const auto hashes_source = [](const model::TrafficPolicy* policy) {
    return policy != nullptr && policy->load_balancer && policy->load_balancer->consistent_hash &&
           policy->load_balancer->consistent_hash->use_source_ip.value_or(false);
  };
  out.hash_source_ip = hashes_source(rule->policy);
  const SubsetSource* source = rule->find_subset(subset);
  if (source != nullptr && source->subset->traffic_policy && source->subset->traffic_policy->load_balancer)
    out.hash_source_ip = hashes_source(&*source->subset->traffic_policy);
}

std::string cluster_of(const Scope& scope, const model::Destination& destination, std::uint32_t listen_port) {
  const Service* service = scope.find_service(lower(destination.host));
  std::uint32_t port = destination.port;
  if (port == 0) port = service != nullptr && service->ports.size() == 1 ? service->ports.front().number : listen_port;
  const std::string& host = service != nullptr && !service->external_name.empty() ? service->external_name : destination.host;
  return outbound_cluster(port, destination.subset, host);
}

// Only the rule's own tunnel for the whole service, or the subset's.
void apply_tunnel(TcpFilterSettings& out, const Scope& scope, const Service* service, const std::string& subset) {
  const MergedRule* rule = service == nullptr ? nullptr : scope.rules.find(scope.view, *service);
  if (rule == nullptr) return;
  const SubsetSource* source = subset.empty() ? nullptr : rule->find_subset(subset);
  if (!subset.empty() && source == nullptr) return;
  const model::TrafficPolicy* of_subset = source != nullptr && source->subset->traffic_policy ? &*source->subset->traffic_policy : nullptr;
  const model::TrafficPolicy* policy = subset.empty() ? rule->policy : of_subset;
  if (policy != nullptr) out.tunnel = policy->tunnel;
}

// Where the name in the TLS handshake is looked up when a connection comes: on the listener's port in istiod, on the
// destination's in a mesh of one's own.
void apply_dynamic(TcpFilterSettings& out, const Scope& scope, const Service* service, std::uint32_t listener, std::uint32_t destination) {
  if (service == nullptr || !is_dynamic(*service)) return;
  out.dynamic = service;
  out.dynamic_port = scope.options.compat == Compat::kIstio ? listener : destination;
}

TcpFilterSettings settings_of(const Scope& scope, const L4Route& route, const VisibleVirtualService& source,
                              const Port& port) {
  TcpFilterSettings out;
  const model::Destination& first = route.route.front().destination;
  const bool single = route.route.size() == 1;
  for (const auto& to : route.route)
    if (single || to.weight > 0)
      out.destinations.push_back({cluster_of(scope, to.destination, port.number), single ? 0 : static_cast<std::uint32_t>(to.weight)});
  if (!single) out.stat_prefix = source.object->meta.name + "." + source.object->meta.namespace_;
  const Service* service = scope.find_service(lower(first.host));
  const std::string& pattern = scope.mesh.config.outbound_cluster_stat_name;
  if (single && service != nullptr && !pattern.empty())
    out.stat_prefix = stat_prefix(pattern, *service, first.subset, port);
  apply_rule(out, scope, service, single ? first.subset : std::string());
  apply_tunnel(out, scope, service, single ? first.subset : std::string());
  if (single) apply_dynamic(out, scope, service, port.number, first.port != 0 ? first.port : port.number);
  return out;
}

// Not where every weight is 0.
bool can_route(const L4Route& route) {
  return std::any_of(route.route.begin(), route.route.end(),
                     [&](const auto& to) { return route.route.size() == 1 || to.weight > 0; });
}

// The chains of one service's port while they are gathered.
struct Gatherer {
  const Scope& scope;
  const Port& port;
  std::vector<std::string> destinations;   // CIDR of the service's address, if it is one
  std::vector<Chain> chains;
  bool has_default = false;

  Chain chain(const L4Route& route, const VisibleVirtualService& source) const {
    Chain out;
    out.config = source.object;
    out.tcp = settings_of(scope, route, source, port);
    out.mongo = port.protocol == Protocol::kMongo;
    out.destinations = destinations;
    return out;
  }

  void add_tls(const VisibleVirtualService& source) {
    std::set<std::pair<std::set<std::string>, std::set<std::string>>> seen;
    for (const L4Route& route : source.tls) {
      if (!can_route(route)) continue;
      for (const L4Match& match : route.match) {
        if (!holds(match, scope, port.number)) continue;
        if (!match.destination_subnets.empty() && port.number != 0) destinations = match.destination_subnets;
        has_default = true;
        if (!seen.emplace(as_set(match.sni_hosts), as_set(match.destination_subnets)).second) continue;
        chains.push_back(chain(route, source));
        chains.back().server_names = match.sni_hosts;
      }
    }
  }

  // True when everything on the port has its route now.
  bool add_tcp(const VisibleVirtualService& source) {
    for (const L4Route& route : source.tcp) {
      if (!can_route(route)) continue;
      std::vector<std::string> subnets;
      bool any_address = route.match.empty();
      for (const L4Match& match : route.match) {
        if (!holds(match, scope, port.number)) continue;
        if (match.destination_subnets.empty() || port.number == 0) any_address = true;
        subnets.insert(subnets.end(), match.destination_subnets.begin(), match.destination_subnets.end());
      }
      if (any_address) {
        chains.push_back(chain(route, source));
        has_default = true;
        return true;
      }
      if (subnets.empty()) continue;
      chains.push_back(chain(route, source));
      chains.back().config = nullptr;  // istiod names the rule only on chains for any address
      chains.back().destinations = subnets;
      if (as_set(subnets) == as_set(destinations)) has_default = true;
    }
    return false;
  }
};

bool is_about(const VisibleVirtualService& source, const std::string& host) {
  return std::any_of(source.hosts.begin(), source.hosts.end(),
                     [&](const std::string& own) { return hosts_match(own, host); });
}

Chain default_chain(const Scope& scope, const Service& service, const Port& port) {
  Chain out;
  const std::uint32_t number = service.ports.size() == 1 ? service.ports.front().number : port.number;
  out.tcp.destinations = {{outbound_cluster(number, "", service.host), 0}};
  const std::string& pattern = scope.mesh.config.outbound_cluster_stat_name;
  if (!pattern.empty()) out.tcp.stat_prefix = stat_prefix(pattern, service, "", {number, port.protocol, "", 0, ""});
  out.mongo = port.protocol == Protocol::kMongo;
  apply_rule(out.tcp, scope, &service, "");
  apply_tunnel(out.tcp, scope, &service, "");
  apply_dynamic(out.tcp, scope, &service, port.number, number);
  return out;
}

// For the name in a TLS handshake.
std::vector<std::string> names_of(const Scope& scope, const Service& service) {
  std::vector<std::string> out{service.host};
  for (const std::string& alias : service.aliases) {
    out.push_back(alias);
    for (std::string& name : short_names(alias, scope.view.namespace_, scope.mesh.config.cluster_domain)) out.push_back(std::move(name));
  }
  return out;
}

}  // namespace

bool is_dynamic(const Service& service) { return service.resolution == Resolution::kDynamicDns && is_wildcard(service.host); }

bool Chain::has_any_name() const {
  return std::find(server_names.begin(), server_names.end(), "*") != server_names.end();
}

bool Chain::same_match(const Chain& other) const {
  return as_set(server_names) == as_set(other.server_names) && as_set(destinations) == as_set(other.destinations) &&
         application_protocols == other.application_protocols && only_plain_text == other.only_plain_text;
}

Chain http_chain(std::string route_table, bool sniffed) {
  Chain out;
  out.route_table = std::move(route_table);
  if (sniffed) {
    out.application_protocols = {"http/1.1", "h2c"};
    out.only_plain_text = true;
  }
  return out;
}

std::optional<TcpFilterSettings> tcp_settings(const Scope& scope, const L4Route& route, const VisibleVirtualService& source,
                                              std::uint32_t port) {
  if (!can_route(route)) return std::nullopt;
  return settings_of(scope, route, source, {port, Protocol::kTcp, "", 0, ""});
}

TcpFilterSettings tcp_settings(const Scope& scope, const Service& service, const std::string& subset, const std::string& cluster) {
  TcpFilterSettings out;
  out.destinations = {{cluster, 0}};
  apply_rule(out, scope, &service, subset);
  return out;
}

OpaqueRules opaque_rules(const std::vector<VisibleVirtualService>& virtual_services) {
  OpaqueRules out;
  for (const VisibleVirtualService& source : virtual_services)
    if (source.on_gateway("mesh") && (!source.tcp.empty() || !source.tls.empty())) out.push_back(&source);
  return out;
}

std::vector<Chain> opaque_chains(const Scope& scope, const OpaqueRules& rules, const Service& service, const Port& port,
                                 std::vector<std::string> subnets, bool bind_any) {
  Gatherer gatherer{scope, port, std::move(subnets), {}, false};
  for (const VisibleVirtualService* source : rules) {
    if (!is_about(*source, service.host)) continue;
    if (is_tls(port.protocol)) gatherer.add_tls(*source);
    else if (gatherer.add_tcp(*source)) break;
  }
  if (gatherer.has_default) return gatherer.chains;
  Chain chain = default_chain(scope, service, port);
  chain.destinations = gatherer.destinations;
  // Where the address does not tell services apart, the name in the TLS handshake must.
  const bool of_subnet = !service.addresses.empty() && service.addresses.front().find('/') != std::string::npos;
  if (is_tls(port.protocol) &&
      (!chain.destinations.empty() || of_subnet || (service.addresses.empty() && bind_any) || is_dynamic(service)))
    chain.server_names = names_of(scope, service);
  gatherer.chains.push_back(std::move(chain));
  return gatherer.chains;
}

}  // namespace lateen::translate
