#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string_view>

#include "translate/inbound.h"
#include "translate/inbound_ports.h"
#include "translate/names.h"
#include "translate/network_filters.h"
#include "translate/node_settings.h"
#include "translate/proxy_addresses.h"
#include "translate/shapes.h"
#include "translate/stat_prefix.h"
#include "translate/tls_secrets.h"
#include "xds/messages.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace core_v3 = envoy::config::core::v3;
namespace listener_v3 = envoy::config::listener::v3;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

constexpr const char* kListenerName = "virtualInbound";
constexpr const char* kPassthroughCluster = "InboundPassthroughCluster";

constexpr std::string_view kTls = "tls", kPlain = "raw_buffer";
// What a mesh client says in ALPN: that it speaks mesh TLS, and what is inside.
constexpr std::string_view kMeshHttp[] = {"istio-http/1.0", "istio-http/1.1", "istio-h2"};
constexpr std::string_view kMeshOther[] = {"istio-peer-exchange", "istio"};
constexpr std::string_view kMeshAny[] = {"istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"};
constexpr std::string_view kSniffedHttp[] = {"http/1.1", "h2c"};

// One way in: how the connection begins, and what is made of it.
struct WayIn {
  std::span<const std::string_view> application_protocols;
  std::string_view transport;
  bool http = false;
  bool terminates_tls = false;
};
// PeerAuthentication's default, PERMISSIVE: mesh TLS and plain text are both taken; other TLS is passed on as it is.
constexpr std::array<WayIn, 2> kHttpWays = {{{kMeshAny, kTls, true, true}, {{}, kPlain, true, false}}};
constexpr std::array<WayIn, 3> kTcpWays = {{{kMeshAny, kTls, false, true}, {{}, kTls, false, false}, {{}, kPlain, false, false}}};
constexpr std::array<WayIn, 5> kSniffedWays = {{{kMeshHttp, kTls, true, true},
                                                {kSniffedHttp, kPlain, true, false},
                                                {kMeshOther, kTls, false, true},
                                                {{}, kPlain, false, false},
                                                {{}, kTls, false, false}}};

std::span<const WayIn> ways_in(Protocol protocol) {
  if (is_http(protocol)) return kHttpWays;
  if (protocol == Protocol::kUnsupported) return kSniffedWays;
  return kTcpWays;
}

// The port of a chain; "" names are filled in by the port's own.
struct ChainPort {
  const InboundPort* port = nullptr;   // null: every port that is nobody's
  Protocol protocol = Protocol::kUnsupported;
  std::string cluster, stat_prefix, operation;
  std::uint32_t number = 0;

  std::string name(bool http) const {
    if (port != nullptr) return port->name();
    return http ? "virtualInbound-catchall-http" : kListenerName;
  }
};

ChainPort of_port(const InboundPort& port) {
  return {&port, port.protocol, port.cluster(), "inbound_" + port.name() + ";",
          port.host + ":" + std::to_string(port.number) + "/*", port.number};
}
ChainPort of_others() {
  return {nullptr, Protocol::kUnsupported, kPassthroughCluster, std::string(kPassthroughCluster) + ";", ":0/*", 0};
}

// The server's side of TLS between workloads: both show certificates of the mesh.
void fill_mesh_tls(core_v3::TransportSocket& out, const Scope& scope) {
  tls_v3::DownstreamTlsContext context;
  context.mutable_require_client_certificate()->set_value(true);
  auto& common = *context.mutable_common_tls_context();
  common.add_alpn_protocols("h2");
  common.add_alpn_protocols("http/1.1");
  auto& parameters = *common.mutable_tls_params();
  const model::MeshConfig& config = scope.mesh.config;
  static const std::vector<std::string> kSuites = {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
                                                   "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
                                                   "AES256-GCM-SHA384", "AES128-GCM-SHA256"};
  for (const std::string& suite : config.mesh_mtls.cipher_suites.empty() ? kSuites : config.mesh_mtls.cipher_suites)
    parameters.add_cipher_suites(suite);
  const bool newest = config.mesh_mtls.min_protocol_version == "TLSV1_3";
  parameters.set_tls_minimum_protocol_version(newest ? tls_v3::TlsParameters::TLSv1_3 : tls_v3::TlsParameters::TLSv1_2);
  parameters.set_tls_maximum_protocol_version(tls_v3::TlsParameters::TLSv1_3);
  set_secret(*common.add_tls_certificate_sds_secret_configs(), kWorkloadSecret, SecretWait::kYes);
  auto& validation = *common.mutable_combined_validation_context();
  auto& names = *validation.mutable_default_validation_context();
  names.add_match_subject_alt_names()->set_prefix("spiffe://" + config.trust_domain + "/");
  for (const std::string& alias : config.trust_domain_aliases)
    if (alias != config.trust_domain) names.add_match_subject_alt_names()->set_prefix("spiffe://" + alias + "/");
  set_secret(*validation.mutable_validation_context_sds_secret_config(), kRootSecret, SecretWait::kYes);
  out.set_name("envoy.transport_sockets.tls");
  xds::pack(context, *out.mutable_typed_config());
}

// istiod says that a root namespace's Sidecar is of the namespace for which it holds.
void fill_config(listener_v3::FilterChain& out, const Scope& scope, const model::Object& sidecar) {
  model::Object named;
  named.kind = sidecar.kind;
  named.meta.name = sidecar.meta.name;
  named.meta.namespace_ = scope.view.namespace_;
  set_config(*out.mutable_metadata(), named);
}

// The name for statistics of a TCP chain, by the mesh's pattern; "" where it has none.
std::string tcp_stat_prefix(const Scope& scope, const ChainPort& port) {
  const std::string& pattern = scope.mesh.config.inbound_cluster_stat_name;
  if (pattern.empty()) return {};
  if (port.port != nullptr && port.port->config == nullptr) {
    const ServiceTarget& target = *port.port->targets.front();
    return stat_prefix(pattern, *target.service, "", *target.port);
  }
  Service named;
  if (port.port != nullptr) named.host = port.port->host;
  return stat_prefix(pattern, named, "", {port.number, port.protocol, port.port == nullptr ? kListenerName : port.port->port_name, 0, ""});
}

void fill_chain(listener_v3::FilterChain& out, const Scope& scope, const ChainPort& port, const WayIn& way) {
  out.set_name(port.name(way.http));
  auto& match = *out.mutable_filter_chain_match();
  for (const std::string_view protocol : way.application_protocols) match.add_application_protocols(std::string(protocol));
  match.set_transport_protocol(std::string(way.transport));
  if (port.port != nullptr && port.port->target > 0) match.mutable_destination_port()->set_value(port.port->target);
  if (way.terminates_tls) fill_mesh_tls(*out.mutable_transport_socket(), scope);
  if (port.port != nullptr && port.port->config != nullptr) fill_config(out, scope, *port.port->config);
  if (way.http) {
    HttpFilterSettings settings;
    settings.stat_prefix = port.stat_prefix;
    settings.protocol = port.protocol;
    settings.inbound = InboundRoute{port.cluster, port.operation, port.number};
    fill_http_filter(*out.add_filters(), scope, settings);
    return;
  }
  TcpFilterSettings settings;
  settings.destinations = {{port.cluster, 0}};
  settings.stat_prefix = tcp_stat_prefix(scope, port);
  if (port.protocol == Protocol::kMongo)
    fill_mongo_filter(*out.add_filters(), settings.stat_prefix.empty() ? port.cluster : settings.stat_prefix);
  fill_tcp_filter(*out.add_filters(), scope, settings);
}

void add_chains(listener_v3::Listener& out, const Scope& scope, const ChainPort& port) {
  for (const WayIn& way : ways_in(port.protocol)) fill_chain(*out.add_filter_chains(), scope, port, way);
}

// A connection to the capture port itself would go round and round.
void add_black_hole(listener_v3::Listener& out, const Scope& scope) {
  auto& chain = *out.add_filter_chains();
  chain.set_name("virtualInbound-blackhole");
  chain.mutable_filter_chain_match()->mutable_destination_port()->set_value(scope.mesh.config.proxy_inbound_listen_port);
  TcpFilterSettings nowhere;
  nowhere.destinations = {{"BlackHoleCluster", 0}};
  nowhere.access_log = false;
  fill_tcp_filter(*chain.add_filters(), scope, nowhere);
}

// Which inspectors a port needs; port 0 stands for all that have no chain of their own.
struct Needs {
  bool tls = false, http = false;
};
std::map<std::uint32_t, Needs> needs_of(const listener_v3::Listener& listener) {
  std::map<std::uint32_t, Needs> out;
  for (const auto& chain : listener.filter_chains()) {
    const auto& match = chain.filter_chain_match();
    Needs& needs = out[match.destination_port().value()];
    needs.tls |= match.transport_protocol() == kTls;
    for (const std::string& protocol : match.application_protocols()) needs.http |= protocol == "http/1.1" || protocol == "h2c";
  }
  return out;
}

void fill_ports(listener_v3::ListenerFilterChainMatchPredicate& out, const std::vector<std::uint32_t>& ports) {
  const auto set_range = [](listener_v3::ListenerFilterChainMatchPredicate& predicate, std::uint32_t port) {
    predicate.mutable_destination_port_range()->set_start(static_cast<std::int32_t>(port));
    predicate.mutable_destination_port_range()->set_end(static_cast<std::int32_t>(port) + 1);
  };
  if (ports.size() == 1) return set_range(out, ports.front());
  for (const std::uint32_t port : ports) set_range(*out.mutable_or_match()->add_rules(), port);
}

template <class Config>
listener_v3::ListenerFilter& add_filter(listener_v3::Listener& out, const char* name, const Config& config) {
  auto& filter = *out.add_listener_filters();
  filter.set_name(name);
  xds::pack(config, *filter.mutable_typed_config());
  return filter;
}

// Servers that speak first would wait for a client's first bytes, so ports that need no look are left out.
void add_inspectors(listener_v3::Listener& out) {
  const std::map<std::uint32_t, Needs> needs = needs_of(out);
  const auto ports_where = [&](auto test, bool with_others) {
    std::vector<std::uint32_t> ports;
    for (const auto& [port, of_port] : needs)
      if ((port != 0 || with_others) && test(of_port)) ports.push_back(port);
    return ports;
  };
  const auto any = [&](auto test) { return std::any_of(needs.begin(), needs.end(), [&](const auto& entry) { return test(entry.second); }); };
  if (any([](const Needs& one) { return one.tls; })) {
    constexpr std::uint32_t kReadBytes = 512;  // a ClientHello often fits; the inspector reads on where it does not
    envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector inspector;
    inspector.mutable_initial_read_buffer_size()->set_value(kReadBytes);
    auto& filter = add_filter(out, "envoy.filters.listener.tls_inspector", inspector);
    const auto others = needs.find(0);
    const bool by_default = others != needs.end() && others->second.tls;
    const auto ports = ports_where([&](const Needs& one) { return one.tls != by_default; }, false);
    if (!ports.empty()) fill_ports(by_default ? *filter.mutable_filter_disabled() : *filter.mutable_filter_disabled()->mutable_not_match(), ports);
  }
  if (!any([](const Needs& one) { return one.http; })) return;
  auto& filter = add_filter(out, "envoy.filters.listener.http_inspector", envoy::extensions::filters::listener::http_inspector::v3::HttpInspector{});
  const auto ports = ports_where([](const Needs& one) { return !one.http; }, true);
  if (!ports.empty()) fill_ports(*filter.mutable_filter_disabled(), ports);
}

listener_v3::Listener make_listener(const Scope& scope, const std::string& name, const std::string& address, std::uint32_t port) {
  listener_v3::Listener out;
  out.set_name(name);
  out.mutable_address()->mutable_socket_address()->set_address(address);
  out.mutable_address()->mutable_socket_address()->set_port_value(port);
  out.set_traffic_direction(core_v3::INBOUND);
  out.set_continue_on_listener_filters_timeout(true);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  if (has_setting(scope.view, "INBOUND_LISTENER_EXACT_BALANCE")) out.mutable_connection_balance_config()->mutable_exact_balance();
  set_duration(*out.mutable_listener_filters_timeout(), scope.mesh.config.protocol_detection_timeout);
  add_listener_access_log(out, scope);
  return out;
}

listener_v3::Listener capture(const Scope& scope, const std::vector<InboundPort>& ports) {
  const bool transparent = scope.view.interception == View::Interception::kTproxy;
  listener_v3::Listener out = make_listener(scope, kListenerName, proxy_addresses(scope.view).any, scope.mesh.config.proxy_inbound_listen_port);
  if (transparent) out.mutable_transparent()->set_value(true);
  add_black_hole(out, scope);
  add_chains(out, scope, of_others());
  for (const InboundPort& port : ports)
    if (!port.own_listener) add_chains(out, scope, of_port(port));
  add_filter(out, "envoy.filters.listener.original_dst", envoy::extensions::filters::listener::original_dst::v3::OriginalDst{});
  if (transparent) {
    auto& filter = *out.add_listener_filters();
    filter.set_name("envoy.filters.listener.original_src");
    // The mark is what Istio's rules for transparent capture look for.
    pack_json("envoy.extensions.filters.listener.original_src.v3.OriginalSrc", R"({"mark": 1337})", *filter.mutable_typed_config());
  }
  add_inspectors(out);
  return out;
}

}  // namespace

void add_inbound_listeners(const Scope& scope, const std::vector<ServiceTarget>& targets, xds::Resources& out) {
  const auto add = [&](const listener_v3::Listener& listener) {
    out.listeners.insert_or_assign(listener.name(), xds::make_resource(listener.name(), listener));
  };
  const std::vector<InboundPort> ports = inbound_ports(scope, targets);
  if (scope.view.interception != View::Interception::kNone) add(capture(scope, ports));
  for (const InboundPort& port : ports) {
    if (!port.own_listener) continue;
    listener_v3::Listener listener = make_listener(scope, port.name(), port.bind, port.target);
    add_chains(listener, scope, of_port(port));
    add_inspectors(listener);
    add(listener);
  }
}

}  // namespace lateen::translate
