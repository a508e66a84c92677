#include "translate/listeners.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "translate/filter_chains.h"
#include "translate/names.h"
#include "translate/network_filters.h"
#include "translate/shapes.h"
#include "translate/virtual_hosts.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace core_v3 = envoy::config::core::v3;
namespace listener_v3 = envoy::config::listener::v3;

constexpr const char* kAnyAddress = "0.0.0.0";
constexpr std::uint32_t kCapturePort = 15001;
constexpr auto kHandshakeMax = std::chrono::seconds(15);

// One listening address and what was gathered for it.
struct Entry {
  Protocol protocol = Protocol::kUnsupported;
  std::vector<Chain> chains;
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

void add_http(Entries& entries, const Port& port) {
  const auto [it, is_new] = entries.try_emplace({kAnyAddress, port.number});
  Entry& entry = it->second;
  if (!is_new && (!is_tcp(entry.protocol) || !can_share(entry.protocol, port.protocol))) return;
  merge(entry, {http_chain(std::to_string(port.number), true)});
  entry.protocol = Protocol::kUnsupported;
}

void add_opaque(Entries& entries, const Scope& scope, const OpaqueRules& rules, const Service& service,
                const Port& port) {
  std::string address = service.listen_address();
  if (address.find('/') != std::string::npos) address = kAnyAddress;
  const bool bind_any = address == kAnyAddress;
  const auto [it, is_new] = entries.try_emplace({address, port.number});
  Entry& entry = it->second;
  if (!is_new && !can_share(entry.protocol, port.protocol)) return;
  merge(entry, opaque_chains(scope, rules, service, port, bind_any));
  if (port.protocol == Protocol::kUnsupported)
    merge(entry, {http_chain(bind_any ? std::to_string(port.number) : route_table_name(service, port), true)});
  entry.protocol = is_new ? port.protocol : entry.protocol;
}

// Older services go first where two want one address.
std::vector<const Service*> by_age(const Scope& scope) {
  std::vector<const Service*> out;
  for (const auto& [host, service] : scope.services)
    if (service->resolution != Resolution::kAlias && service->resolution != Resolution::kDynamicDns) out.push_back(service);
  std::stable_sort(out.begin(), out.end(),
                   [](const Service* a, const Service* b) { return model::older(*a->object, *b->object); });
  return out;
}

// A headless service's opaque ports have a listener for each of its pods.
bool add_headless(Entries& entries, const Scope& scope, const OpaqueRules& rules, const Service& service,
                  const Port& port) {
  if (service.resolution != Resolution::kPassthrough || !service.addresses.empty()) return false;
  const auto& endpoints = service.endpoints[service.port_index(port)];
  if (!service.kubernetes && endpoints.empty() && !service.selects_workloads) return false;
  for (const Endpoint& endpoint : endpoints) {
    if (!is_ip(endpoint.address)) continue;
    const auto& own = scope.view.addresses;
    if (!own.empty() && own.front() == endpoint.address) continue;
    if (port.protocol == Protocol::kUnsupported) {
      const auto [it, is_new] = entries.try_emplace({endpoint.address, port.number});
      if (!is_new) continue;
      merge(it->second, opaque_chains(scope, rules, service, port, false));
      merge(it->second, {http_chain(std::to_string(port.number), true)});
      continue;
    }
    Entry& entry = entries[{kAnyAddress, port.number}];
    if (!entry.chains.empty() && !can_share(entry.protocol, port.protocol)) continue;
    if (entry.chains.empty()) entry.protocol = port.protocol;
    std::vector<Chain> chains = opaque_chains(scope, rules, service, port, false);
    for (Chain& chain : chains) chain.destinations = {endpoint.address};
    merge(entry, std::move(chains));
  }
  return true;
}

Entries gather(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services) {
  const OpaqueRules rules = opaque_rules(virtual_services);
  Entries entries;
  for (const Service* service : by_age(scope))
    for (const Port& port : service->ports) {
      if (port.protocol == Protocol::kUdp) continue;
      if (is_http(port.protocol)) add_http(entries, port);
      else if (!add_headless(entries, scope, rules, *service, port))
        add_opaque(entries, scope, rules, *service, port);
    }
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
    fill_http_filter(*out.add_filters(), scope,
                     {chain.route_table, "outbound_" + listener + ";", false, chain.forward_proxy});
    return;
  }
  if (chain.mongo)
    fill_mongo_filter(*out.add_filters(), chain.tcp.stat_prefix.empty() ? chain.tcp.destinations.front().cluster
                                                                        : chain.tcp.stat_prefix);
  fill_tcp_filter(*out.add_filters(), scope, chain.tcp);
}

TcpFilterSettings to_unknown(const Scope& scope) {
  TcpFilterSettings out;
  out.destinations = {{scope.mesh.config.allow_any_outbound ? "PassthroughCluster" : "BlackHoleCluster", 0}};
  return out;
}

void add_fallback(listener_v3::Listener& out, const Scope& scope) {
  auto& chain = *out.mutable_default_filter_chain();
  chain.mutable_filter_chain_match();
  chain.set_name("PassthroughFilterChain");
  fill_tcp_filter(*chain.add_filters(), scope, to_unknown(scope));
}

void set_address(core_v3::Address& out, const std::string& address, std::uint32_t port) {
  out.mutable_socket_address()->set_address(address);
  out.mutable_socket_address()->set_port_value(port);
}

template <class Config>
void add_inspector(listener_v3::Listener& out, const char* name, const Config& config) {
  auto& filter = *out.add_listener_filters();
  filter.set_name(name);
  xds::pack(config, *filter.mutable_typed_config());
}

void add_inspectors(listener_v3::Listener& out, const std::vector<Chain>& chains) {
  const auto any = [&](auto test) { return std::any_of(chains.begin(), chains.end(), test); };
  if (any([](const Chain& chain) { return !chain.server_names.empty(); })) {
    constexpr std::uint32_t kReadBytes = 512;  // a ClientHello often fits; the inspector reads on where it does not
    envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector inspector;
    inspector.mutable_initial_read_buffer_size()->set_value(kReadBytes);
    add_inspector(out, "envoy.filters.listener.tls_inspector", inspector);
  }
  if (any([](const Chain& chain) { return !chain.application_protocols.empty(); }))
    add_inspector(out, "envoy.filters.listener.http_inspector",
                  envoy::extensions::filters::listener::http_inspector::v3::HttpInspector{});
  out.mutable_listener_filters_timeout();  // zero: a slow first byte is no reason to guess
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

listener_v3::Listener outbound(const Scope& scope, const std::string& address, std::uint32_t port, const Entry& entry) {
  listener_v3::Listener out;
  out.set_name(address + "_" + std::to_string(port));
  set_address(*out.mutable_address(), address, port);
  out.set_traffic_direction(core_v3::OUTBOUND);
  out.set_continue_on_listener_filters_timeout(true);
  out.mutable_bind_to_port()->set_value(false);
  add_inspectors(out, entry.chains);
  add_chains(out, scope, entry.chains);
  return out;
}

listener_v3::Listener capture(const Scope& scope) {
  listener_v3::Listener out;
  out.set_name("virtualOutbound");
  set_address(*out.mutable_address(), kAnyAddress, kCapturePort);
  out.set_traffic_direction(core_v3::OUTBOUND);
  out.mutable_use_original_dst()->set_value(true);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  add_listener_access_log(out, scope);
  // A connection to the capture port itself would go round and round.
  auto& loop = *out.add_filter_chains();
  loop.set_name("virtualOutbound-blackhole");
  loop.mutable_filter_chain_match()->mutable_destination_port()->set_value(kCapturePort);
  TcpFilterSettings nowhere;
  nowhere.destinations = {{"BlackHoleCluster", 0}};
  nowhere.access_log = false;
  fill_tcp_filter(*loop.add_filters(), scope, nowhere);
  auto& rest = *out.add_filter_chains();
  rest.set_name("virtualOutbound-catchall-tcp");
  fill_tcp_filter(*rest.add_filters(), scope, to_unknown(scope));
  return out;
}

listener_v3::Listener http_proxy(const Scope& scope) {
  listener_v3::Listener out;
  constexpr const char* kLoopback = "127.0.0.1";
  const std::uint32_t port = scope.options.http_proxy_port;
  out.set_name(kLoopback + std::string("_") + std::to_string(port));
  set_address(*out.mutable_address(), kLoopback, port);
  out.set_traffic_direction(core_v3::OUTBOUND);
  out.set_continue_on_listener_filters_timeout(true);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  Chain chain = http_chain("http_proxy", false);
  chain.forward_proxy = true;
  add_inspectors(out, {chain});
  add_chains(out, scope, {chain});
  return out;
}

}  // namespace

void add_sidecar_listeners(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                           xds::Resources& out) {
  const auto add = [&](const listener_v3::Listener& listener) {
    out.listeners.insert_or_assign(listener.name(), xds::make_resource(listener.name(), listener));
  };
  for (const auto& [key, entry] : gather(scope, virtual_services)) add(outbound(scope, key.first, key.second, entry));
  add(capture(scope));
  if (scope.options.http_proxy_port != 0) add(http_proxy(scope));
}

}  // namespace lateen::translate
