#include "translate/listeners.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "translate/dynamic_dns.h"
#include "translate/filter_chains.h"
#include "translate/inbound_ports.h"
#include "translate/names.h"
#include "translate/network_filters.h"
#include "translate/node_settings.h"
#include "translate/proxy_addresses.h"
#include "translate/shapes.h"
#include "translate/sidecar_scope.h"
#include "translate/virtual_hosts.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace core_v3 = envoy::config::core::v3;
namespace listener_v3 = envoy::config::listener::v3;

constexpr const char* kAnyV4 = "0.0.0.0";
constexpr auto kHandshakeMax = std::chrono::seconds(15);
constexpr std::string_view kSocket = "unix://";

// Where a listener is bound. Without an address the service's own, or any.
struct Binding {
  std::string address;
  std::vector<std::string> more;   // of the other IP family
  bool own_listener = false;       // bound to its port, not fed by capture
};

// One listening address and what was gathered for it.
struct Entry {
  Protocol protocol = Protocol::kUnsupported;
  std::vector<Chain> chains;
  Binding binding;
  bool locked = false;             // a listener of the Sidecar that takes no more
};
using Entries = std::map<std::pair<std::string, std::uint32_t>, Entry>;

void merge(Entry& into, std::vector<Chain> chains) {
  for (Chain& chain : chains) {
    const bool taken = std::any_of(into.chains.begin(), into.chains.end(),
                                   [&](const Chain& own) { return own.same_match(chain); });
    if (!taken) into.chains.push_back(std::move(chain));
  }
}

// Servers that speak first cannot share a port with a protocol that must be sniffed.
bool can_share(Protocol one, Protocol other) {
  const auto speaks_first = [](Protocol protocol) { return protocol == Protocol::kMongo || protocol == Protocol::kMySql; };
  return one == other || (!speaks_first(one) && !speaks_first(other));
}

// The outbound listeners of one egress listener's services while they are gathered.
class Gatherer {
 public:
  Gatherer(const Scope& scope, const EgressListener& egress, Entries& entries)
      : scope_(scope), egress_(egress), entries_(entries), rules_(opaque_rules(*egress.virtual_services)),
        addresses_(proxy_addresses(scope.view)) {
    const View& view = scope.view;
    const auto* spec = egress.spec;
    binding_.own_listener = view.interception == View::Interception::kNone ||
                            (spec != nullptr && (spec->capture_mode == model::CaptureMode::kNone || spec->bind.starts_with(kSocket)));
    if (spec != nullptr && !spec->bind.empty()) {
      binding_.address = spec->bind;
    } else if (binding_.own_listener) {
      binding_.address = addresses_.loopback;
      binding_.more = addresses_.more_loopback;
    }
  }

  void run() {
    if (egress_.has_port()) {
      const model::SidecarPort& spec = *egress_.spec->port;
      const Port port{spec.number, parse_protocol(spec.protocol), spec.name, 0, ""};
      if (!can_bind(scope_, binding_.own_listener, binding_.address, port.number, port.protocol)) return;
      for (const Service* service : egress_.services) add(*service, port, binding_);
      return;
    }
    for (auto& [key, entry] : entries_) entry.locked = true;
    for (const Service* service : egress_.services)
      for (const Port& port : service->ports) {
        if (!can_bind(scope_, binding_.own_listener, binding_.address, port.number, port.protocol)) continue;
        if (!add_headless(*service, port)) add(*service, port, binding_);
      }
  }

 private:
  void add(const Service& service, const Port& port, const Binding& binding) {
    if (service.resolution == Resolution::kAlias) return;
    if (service.resolution == Resolution::kDynamicDns && !can_be_dynamic(service, port)) return;
    if (is_http(port.protocol)) add_http(service, port, binding);
    else if (port.protocol != Protocol::kUdp) add_opaque(service, port, binding);
  }

  std::string table_of(const Port& port, const std::string& address, const Service& service) const {
    if (port.number == 0) return address;
    const bool of_service = port.protocol == Protocol::kUnsupported && address != addresses_.any;
    return (of_service ? service.host + ":" : std::string()) + std::to_string(port.number);
  }

  void add_http(const Service& service, const Port& port, Binding binding) {
    if (binding.address.empty()) {
      binding.address = addresses_.any;
      binding.more = addresses_.more_any;
    }
    const bool bind_any = binding.address == addresses_.any;
    const bool is_proxy = port.protocol == Protocol::kHttpProxy;
    const auto [it, is_new] = entries_.try_emplace({binding.address, port.number});
    Entry& entry = it->second;
    if (entry.locked) return;
    if (!is_new && !is_proxy && (!is_tcp(entry.protocol) || !can_share(entry.protocol, port.protocol))) return;
    Chain chain = http_chain(port.number == 0 ? binding.address : std::to_string(port.number), bind_any && !is_proxy);
    chain.http_protocol = port.protocol;
    if (is_dynamic(service)) chain.dynamic = &service;
    if (!is_new && !is_proxy) {
      merge(entry, {std::move(chain)});
      entry.protocol = Protocol::kUnsupported;
      return;
    }
    entry = {bind_any && !is_proxy ? Protocol::kUnsupported : port.protocol, {std::move(chain)}, std::move(binding), false};
  }

  // The listener's own address, or each of the service's.
  void add_opaque(const Service& service, const Port& port, const Binding& binding) {
    if (!binding.address.empty()) return add_opaque_at(service, port, binding, {});
    const std::vector<std::string> usable = usable_addresses(service, addresses_);
    if (service.kubernetes || usable.empty()) {
      const std::string address = usable.empty() ? service.listen_address() : usable.front();
      Binding own{address, {}, binding.own_listener};
      if (usable.size() > 1) own.more.assign(usable.begin() + 1, usable.end());
      if (address == kAnyV4 && !service.kubernetes) own = any(binding.own_listener);
      return add_opaque_at(service, port, std::move(own), {});
    }
    for (const std::string& address : usable) {
      if (address.find('/') != std::string::npos) add_opaque_at(service, port, any(binding.own_listener), {address});
      else add_opaque_at(service, port, {address, {}, binding.own_listener}, {});
    }
  }

  Binding any(bool own_listener) const { return {addresses_.any, addresses_.more_any, own_listener}; }

  void add_opaque_at(const Service& service, const Port& port, Binding binding, const std::vector<std::string>& subnets) {
    const bool sniffed = port.protocol == Protocol::kUnsupported;
    const auto [it, is_new] = entries_.try_emplace({binding.address, port.number});
    Entry& entry = it->second;
    if (entry.locked) return;
    if (!is_new) {
      if (sniffed && !is_tcp(entry.protocol) && !is_http(entry.protocol)) return;
      if (!can_share(entry.protocol, port.protocol)) return;
    }
    std::vector<Chain> chains = opaque_chains(scope_, rules_, service, port, subnets, binding.address == addresses_.any);
    if (sniffed) {
      chains.push_back(http_chain(table_of(port, binding.address, service), true));
    }
    if (is_new || (sniffed && is_http(entry.protocol))) {  // what is not known takes the place of HTTP
      entry = {port.protocol, std::move(chains), std::move(binding), false};
      return;
    }
    merge(entry, std::move(chains));
    if (sniffed || is_http(entry.protocol)) entry.protocol = Protocol::kUnsupported;
  }

  // A headless service's opaque ports have a listener for each of its pods.
  bool add_headless(const Service& service, const Port& port) {
    if (!binding_.address.empty() || service.resolution != Resolution::kPassthrough || !service.addresses.empty()) return false;
    if (!is_tcp(port.protocol) && port.protocol != Protocol::kUnsupported) return false;
    const auto& endpoints = service.endpoints[service.port_index(port)];
    if (!service.kubernetes && endpoints.empty() && !service.selects_workloads) return false;
    const auto& own = scope_.view.addresses;
    for (const Endpoint& endpoint : endpoints) {
      if (!is_ip(endpoint.address) || (!own.empty() && own.front() == endpoint.address)) continue;
      add(service, port, {endpoint.address, {}, binding_.own_listener});
    }
    return true;
  }

  const Scope& scope_;
  const EgressListener& egress_;
  Entries& entries_;
  const OpaqueRules rules_;
  const ProxyAddresses addresses_;
  Binding binding_;
};

Entries gather(const Scope& scope) {
  Entries entries;
  for (const EgressListener& egress : scope.sidecar->egress()) Gatherer(scope, egress, entries).run();
  return entries;
}

void add_prefix(listener_v3::FilterChainMatch& out, const std::string& text) {
  constexpr std::uint32_t kHostBits = 32, kHostBits6 = 128;
  const std::size_t slash = text.find('/');
  std::uint32_t bits = text.find(':') == std::string::npos ? kHostBits : kHostBits6;
  if (slash != std::string::npos) std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
  auto& range = *out.add_prefix_ranges();
  range.set_address_prefix(text.substr(0, slash));
  range.mutable_prefix_len()->set_value(bits);
}

void fill_match(listener_v3::FilterChainMatch& out, const Chain& chain) {
  for (const std::string& protocol : chain.application_protocols) out.add_application_protocols(protocol);
  if (chain.only_plain_text) out.set_transport_protocol("raw_buffer");
  if (!chain.has_any_name()) {
    std::vector<std::string> names = chain.server_names;
    std::sort(names.begin(), names.end());
    for (std::string& name : names) out.add_server_names(std::move(name));
  }
  std::vector<std::string> destinations = chain.destinations;
  std::sort(destinations.begin(), destinations.end());
  for (const std::string& text : destinations)
    if (!text.starts_with("0.0.0.0")) add_prefix(out, text);
}

void fill_chain(listener_v3::FilterChain& out, const Scope& scope, const Chain& chain, const std::string& listener) {
  set_duration(*out.mutable_transport_socket_connect_timeout(), kHandshakeMax);
  if (chain.config != nullptr) set_config(*out.mutable_metadata(), *chain.config);
  if (!chain.route_table.empty()) {
    HttpFilterSettings settings;
    settings.route_table = chain.route_table;
    settings.stat_prefix = "outbound_" + listener + ";";
    settings.forward_proxy = chain.forward_proxy;
    settings.protocol = chain.http_protocol;
    settings.dynamic = chain.dynamic;
    fill_http_filter(*out.add_filters(), scope, settings);
    return;
  }
  if (chain.mongo)
    fill_mongo_filter(*out.add_filters(), chain.tcp.stat_prefix.empty() ? chain.tcp.destinations.front().cluster
                                                                        : chain.tcp.stat_prefix);
  if (chain.tcp.dynamic != nullptr) fill_sni_dynamic_filter(*out.add_filters(), *chain.tcp.dynamic, chain.tcp.dynamic_port);
  fill_tcp_filter(*out.add_filters(), scope, chain.tcp);
}

TcpFilterSettings to_unknown(const Scope& scope) {
  TcpFilterSettings out;
  out.destinations = {{scope.sidecar->cluster_for_unknown(), 0}};
  return out;
}

void add_fallback(listener_v3::Listener& out, const Scope& scope) {
  auto& chain = *out.mutable_default_filter_chain();
  chain.mutable_filter_chain_match();
  chain.set_name("PassthroughFilterChain");
  fill_tcp_filter(*chain.add_filters(), scope, to_unknown(scope));
}

void set_address(core_v3::Address& out, const std::string& address, std::uint32_t port) {
  if (address.starts_with(kSocket)) {
    out.mutable_pipe()->set_path(address.substr(kSocket.size()));
    return;
  }
  out.mutable_socket_address()->set_address(address);
  out.mutable_socket_address()->set_port_value(port);
}

template <class Config>
void add_inspector(listener_v3::Listener& out, const char* name, const Config& config) {
  auto& filter = *out.add_listener_filters();
  filter.set_name(name);
  xds::pack(config, *filter.mutable_typed_config());
}

void add_inspectors(listener_v3::Listener& out, const Scope& scope, const std::vector<Chain>& chains) {
  const auto any = [&](auto test) { return std::any_of(chains.begin(), chains.end(), test); };
  if (any([](const Chain& chain) { return !chain.server_names.empty(); })) {
    constexpr std::uint32_t kReadBytes = 512;  // a ClientHello often fits; the inspector reads on where it does not
    envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector inspector;
    inspector.mutable_initial_read_buffer_size()->set_value(kReadBytes);
    add_inspector(out, "envoy.filters.listener.tls_inspector", inspector);
  }
  out.mutable_listener_filters_timeout();  // zero: a slow first byte is no reason to guess
  if (!any([](const Chain& chain) { return !chain.application_protocols.empty(); })) return;
  add_inspector(out, "envoy.filters.listener.http_inspector",
                envoy::extensions::filters::listener::http_inspector::v3::HttpInspector{});
  set_duration(*out.mutable_listener_filters_timeout(), scope.mesh.config.protocol_detection_timeout);
}

// Chains with a condition in their order; the one without becomes the default, so that it is tried last.
void add_chains(listener_v3::Listener& out, const Scope& scope, const std::vector<Chain>& chains) {
  const bool alone = chains.size() == 1 && chains.front().matches_all();
  bool has_default = alone;
  for (const Chain& chain : chains) {
    if (chain.matches_all() && !alone) {
      fill_chain(*out.mutable_default_filter_chain(), scope, chain, out.name());
      has_default = true;
      continue;
    }
    listener_v3::FilterChain& to = *out.add_filter_chains();
    if (!chain.matches_all()) fill_match(*to.mutable_filter_chain_match(), chain);
    fill_chain(to, scope, chain, out.name());
  }
  if (!has_default) add_fallback(out, scope);
}

listener_v3::Listener outbound(const Scope& scope, std::uint32_t port, const Entry& entry) {
  listener_v3::Listener out;
  const Binding& binding = entry.binding;
  out.set_name(binding.address + "_" + std::to_string(port));
  set_address(*out.mutable_address(), binding.address, port);
  for (const std::string& more : binding.more) set_address(*out.add_additional_addresses()->mutable_address(), more, port);
  out.set_traffic_direction(core_v3::OUTBOUND);
  out.set_continue_on_listener_filters_timeout(true);
  if (has_setting(scope.view, "OUTBOUND_LISTENER_EXACT_BALANCE")) out.mutable_connection_balance_config()->mutable_exact_balance();
  if (binding.own_listener) out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  else out.mutable_bind_to_port()->set_value(false);
  add_inspectors(out, scope, entry.chains);
  add_chains(out, scope, entry.chains);
  return out;
}

listener_v3::Listener capture(const Scope& scope) {
  listener_v3::Listener out;
  out.set_name("virtualOutbound");
  set_address(*out.mutable_address(), proxy_addresses(scope.view).any, scope.mesh.config.proxy_listen_port);
  if (scope.view.interception == View::Interception::kTproxy) out.mutable_transparent()->set_value(true);
  out.set_traffic_direction(core_v3::OUTBOUND);
  out.mutable_use_original_dst()->set_value(true);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  add_listener_access_log(out, scope);
  // A connection to the capture port itself would go round and round.
  auto& loop = *out.add_filter_chains();
  loop.set_name("virtualOutbound-blackhole");
  loop.mutable_filter_chain_match()->mutable_destination_port()->set_value(scope.mesh.config.proxy_listen_port);
  TcpFilterSettings nowhere;
  nowhere.destinations = {{"BlackHoleCluster", 0}};
  nowhere.access_log = false;
  fill_tcp_filter(*loop.add_filters(), scope, nowhere);
  auto& rest = *out.add_filter_chains();
  rest.set_name("virtualOutbound-catchall-tcp");
  fill_tcp_filter(*rest.add_filters(), scope, to_unknown(scope));
  return out;
}

// The node may say it for itself.
std::uint32_t http_proxy_port(const Scope& scope) {
  const std::uint32_t own = number_setting(scope.view, "HTTP_PROXY_PORT");
  return own != 0 ? own : scope.options.http_proxy_port;
}

listener_v3::Listener http_proxy(const Scope& scope) {
  const ProxyAddresses addresses = proxy_addresses(scope.view);
  Entry entry;
  entry.binding = {addresses.loopback, addresses.more_loopback, true};
  entry.chains = {http_chain(kHttpProxyTable, false)};
  entry.chains.front().forward_proxy = true;
  return outbound(scope, http_proxy_port(scope), entry);
}

}  // namespace

std::set<std::string> add_sidecar_listeners(const Scope& scope, xds::Resources& out) {
  std::set<std::string> tables;
  const auto add = [&](const listener_v3::Listener& listener) {
    out.listeners.insert_or_assign(listener.name(), xds::make_resource(listener.name(), listener));
  };
  for (const auto& [key, entry] : gather(scope)) {
    add(outbound(scope, key.second, entry));
    for (const Chain& chain : entry.chains)
      if (!chain.route_table.empty()) tables.insert(chain.route_table);
  }
  if (scope.view.interception != View::Interception::kNone) add(capture(scope));
  if (http_proxy_port(scope) == 0) return tables;
  add(http_proxy(scope));
  tables.insert(kHttpProxyTable);
  return tables;
}

}  // namespace lateen::translate
