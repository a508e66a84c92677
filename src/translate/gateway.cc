#include "translate/gateway.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "translate/destination_rules.h"
#include "translate/downstream_tls.h"
#include "translate/filter_chains.h"
#include "translate/gateway_servers.h"
#include "translate/names.h"
#include "translate/network_filters.h"
#include "translate/proxy_addresses.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace listener_v3 = envoy::config::listener::v3;

constexpr auto kHandshakeMax = std::chrono::seconds(15);
constexpr const char* kMeshProtocols[] = {"istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"};

bool names_any(const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), "*") != names.end(); }

// The chains of one listener: servers of one address may differ in protocol.
class ListenerBuilder {
 public:
  ListenerBuilder(const Scope& scope, const std::vector<VisibleVirtualService>& all, std::string name)
      : scope_(scope), all_(all), name_(std::move(name)) {}

  void add(const GatewayPort& port) {
    if (port.http()) {
      listener_v3::FilterChain& chain = new_chain({});
      fill_http_filter(*chain.add_filters(), scope_, http(*port.servers.front(), stat_prefix()));
      return;
    }
    for (const GatewayServerSource* source : port.servers) {
      if (source->is_auto_passthrough()) add_by_sni(*source);
      else if (source->is_passthrough()) add_passed_through(*source);
      else if (!source->route_table.empty()) add_https(*source);
      else add_tcp(*source);
    }
  }

  bool empty() const { return out_.filter_chains_size() == 0; }

  listener_v3::Listener take(const std::string& bind, std::uint32_t port) {
    out_.set_name(name_);
    constexpr std::string_view kSocket = "unix://";
    if (port == 0) {
      out_.mutable_address()->mutable_pipe()->set_path(bind.starts_with(kSocket) ? bind.substr(kSocket.size()) : bind);
    } else {
      out_.mutable_address()->mutable_socket_address()->set_address(bind);
      out_.mutable_address()->mutable_socket_address()->set_port_value(port);
    }
    out_.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
    out_.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
    if (inspects_) add_inspector();
    add_listener_access_log(out_, scope_);
    return std::move(out_);
  }

 private:
  std::string stat_prefix() const { return "outbound_" + name_ + ";"; }
  static HttpFilterSettings http(const GatewayServerSource& source, std::string prefix) {
    HttpFilterSettings out;
    out.protocol = parse_protocol(source.server->protocol);
    out.route_table = source.route_table;
    out.stat_prefix = std::move(prefix);
    out.gateway = true;
    return out;
  }

  listener_v3::FilterChain& new_chain(std::vector<std::string> names) {
    listener_v3::FilterChain& chain = *out_.add_filter_chains();
    set_duration(*chain.mutable_transport_socket_connect_timeout(), kHandshakeMax);
    if (!names.empty()) inspects_ = true;
    if (names.empty() || names_any(names)) return chain;
    std::sort(names.begin(), names.end());
    for (std::string& name : names) chain.mutable_filter_chain_match()->add_server_names(std::move(name));
    return chain;
  }

  // TLS ends here.
  listener_v3::FilterChain& new_tls_chain(const GatewayServerSource& source, bool opaque) {
    listener_v3::FilterChain& chain = new_chain(source.server_names());
    inspects_ = true;
    fill_downstream_tls(*chain.mutable_transport_socket(), *source.server->tls, scope_.mesh.config.tls_defaults, opaque);
    return chain;
  }

  void add_https(const GatewayServerSource& source) {
    listener_v3::FilterChain& chain = new_tls_chain(source, false);
    const std::string& own = source.server->name;
    fill_http_filter(*chain.add_filters(), scope_, http(source, own.empty() ? stat_prefix() : own));
  }

  void fill_tcp(listener_v3::FilterChain& chain, const GatewayServerSource& source, const TcpFilterSettings& settings) {
    if (parse_protocol(source.server->protocol) == Protocol::kMongo)
      fill_mongo_filter(*chain.add_filters(), settings.stat_prefix.empty() ? settings.destinations.front().cluster : settings.stat_prefix);
    fill_tcp_filter(*chain.add_filters(), scope_, settings);
  }

  static bool holds(const model::L4Match& match, const GatewayServerSource& source) {
    const bool fits = match.gateways.empty() || std::find(match.gateways.begin(), match.gateways.end(), source.gateway) != match.gateways.end();
    return fits && (match.port == 0 || match.port == source.server->port);
  }

  std::vector<const VisibleVirtualService*> bound(const GatewayServerSource& source) const {
    std::vector<const VisibleVirtualService*> out;
    for (const VisibleVirtualService& vs : all_) {
      if (!vs.on_gateway(source.gateway)) continue;
      const auto servers = source.hosts_for(vs.object->meta.namespace_);
      const auto rules = written_hosts(scope_, vs);
      const bool fits = std::any_of(servers.begin(), servers.end(), [&](const std::string& server) {
        return std::any_of(rules.begin(), rules.end(), [&](const std::string& rule) { return hosts_match(server, rule); });
      });
      if (fits) out.push_back(&vs);
    }
    return out;
  }

  // The first tcp rule that is bound to the server; a server without one takes no connections.
  void add_tcp(const GatewayServerSource& source) {
    for (const VisibleVirtualService* vs : bound(source))
      for (const model::L4Route& route : vs->tcp) {
        const bool fits = route.match.empty() || std::any_of(route.match.begin(), route.match.end(),
                                                             [&](const auto& match) { return holds(match, source); });
        if (!fits) continue;
        const auto settings = tcp_settings(scope_, route, *vs, source.server->port);
        if (!settings) continue;
        fill_tcp(source.has_tls() ? new_tls_chain(source, true) : new_chain({}), source, *settings);
        return;
      }
  }

  // A chain for each match of a tls rule; names that another chain of the listener has already are not taken twice.
  void add_passed_through(const GatewayServerSource& source) {
    for (const VisibleVirtualService* vs : bound(source))
      for (const model::L4Route& route : vs->tls)
        for (const model::L4Match& match : route.match) {
          if (!holds(match, source)) continue;
          const auto settings = tcp_settings(scope_, route, *vs, source.server->port);
          if (!settings || !claim(match.sni_hosts, source.server->bind)) continue;
          fill_tcp(new_chain(match.sni_hosts), source, *settings);
        }
  }

  bool claim(const std::vector<std::string>& names, const std::string& bind) {
    for (const std::string& name : names)
      if (const auto it = claimed_.find(name); it != claimed_.end() && it->second == bind) return false;
    for (const std::string& name : names) claimed_[name] = bind;
    return true;
  }

  // mTLS between meshes: the SNI is the name of a cluster. The ALPN keeps everything else out.
  void add_by_sni(const GatewayServerSource& source) {
    const std::vector<std::string> names = source.server_names();
    std::vector<const Service*> services;
    for (const auto& [host, service] : scope_.services)
      if (!service->external && std::any_of(names.begin(), names.end(), [&](const std::string& name) { return host_within(service->host, name); }))
        services.push_back(service);
    std::stable_sort(services.begin(), services.end(), [](const Service* a, const Service* b) { return model::older(*a->object, *b->object); });
    for (const Service* service : services)
      for (const Port& port : service->ports) {
        if (port.protocol == Protocol::kUdp) continue;
        add_by_sni(*service, port, "");
        if (const MergedRule* rule = scope_.rules.find(scope_.view, *service))
          for (const SubsetSource& subset : rule->subsets) add_by_sni(*service, port, subset.subset->name);
      }
  }

  void add_by_sni(const Service& service, const Port& port, const std::string& subset) {
    const std::string cluster = mtls_sni(port.number, subset, service.host);
    listener_v3::FilterChain& chain = new_chain({cluster});
    for (const char* protocol : kMeshProtocols) chain.mutable_filter_chain_match()->add_application_protocols(protocol);
    if (port.protocol == Protocol::kMongo) fill_mongo_filter(*chain.add_filters(), cluster);
    fill_tcp_filter(*chain.add_filters(), scope_, tcp_settings(scope_, service, subset, cluster));
  }

  void add_inspector() {
    constexpr std::uint32_t kReadBytes = 512;  // a ClientHello often fits; the inspector reads on where it does not
    envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector inspector;
    inspector.mutable_initial_read_buffer_size()->set_value(kReadBytes);
    auto& filter = *out_.add_listener_filters();
    filter.set_name("envoy.filters.listener.tls_inspector");
    xds::pack(inspector, *filter.mutable_typed_config());
  }

  const Scope& scope_;
  const std::vector<VisibleVirtualService>& all_;
  const std::string name_;
  listener_v3::Listener out_;
  bool inspects_ = false;
  std::map<std::string, std::string> claimed_;   // SNI of passed through connections, and the address that it is for
};

// A process without rights cannot listen there.
bool is_forbidden(const Scope& scope, std::uint32_t port) {
  constexpr std::uint32_t kFirstFree = 1024;
  const auto it = scope.view.metadata.find("UNPRIVILEGED_POD");
  return port < kFirstFree && it != scope.view.metadata.end() && it->second == "true";
}

}  // namespace

void add_gateway(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services, Notes notes,
                 xds::Resources& out) {
  const MergedGateway gateway = merged_gateway(scope, notes);
  const std::string any = proxy_addresses(scope.view).any;
  struct Address {
    std::string bind;
    std::uint32_t port = 0;
    ListenerBuilder builder;
  };
  std::map<std::string, Address> listeners;
  std::set<std::string> tables;
  for (const GatewayPort& port : gateway.ports) {
    if (is_forbidden(scope, port.port)) continue;
    for (const GatewayServerSource* source : port.servers) tables.insert(source->route_table);
    const std::string bind = port.bind.empty() ? any : port.bind;
    const std::string name = bind + "_" + std::to_string(port.port);
    auto it = listeners.find(name);
    if (it == listeners.end()) it = listeners.emplace(name, Address{bind, port.port, ListenerBuilder(scope, virtual_services, name)}).first;
    it->second.builder.add(port);
  }
  for (auto& [name, address] : listeners)
    if (!address.builder.empty()) out.listeners.insert_or_assign(name, xds::make_resource(name, address.builder.take(address.bind, address.port)));
  for (const auto& [table, servers] : gateway.by_table)
    if (tables.contains(table)) out.routes.insert_or_assign(table, gateway_routes(scope, virtual_services, table, servers, notes));
}

}  // namespace lateen::translate
