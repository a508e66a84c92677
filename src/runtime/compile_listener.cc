#include "runtime/compile_listener.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/listener/v3/listener_components.pb.h>
#include <envoy/extensions/filters/network/mongo_proxy/v3/mongo_proxy.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h>
#include <envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <bitset>
#include <functional>

#include "runtime/compile_tls.h"
#include "runtime/loose_message.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace listener = envoy::config::listener::v3;
namespace core = envoy::config::core::v3;

constexpr std::string_view kHttpInspector = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";
constexpr std::string_view kTlsInspector = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
constexpr std::string_view kOriginalDestination = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst";
constexpr std::string_view kHttpConnectionManager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
constexpr std::string_view kTcpProxy = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
constexpr std::string_view kMongoProxy = "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy";
constexpr std::string_view kProxyProtocol = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";
constexpr std::string_view kSniCluster = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster";
constexpr std::string_view kSniForwardProxy = "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig";

using InlineTables = std::vector<std::shared_ptr<const RouteTable>>;

void compile_address(const core::Address& proto, Listener& out, Fields& fields) {
  const Fields::At at(fields, "address");
  fields.only(proto, {proto.kSocketAddressFieldNumber});
  if (!proto.has_socket_address()) {
    fields.unsupported("only a TCP socket is supported");
    return;
  }
  const core::SocketAddress& address = proto.socket_address();
  fields.only(address, {address.kAddressFieldNumber, address.kPortValueFieldNumber, address.kProtocolFieldNumber});
  if (address.protocol() != core::SocketAddress::TCP) fields.unsupported("protocol: only TCP is supported");
  if (address.port_value() > 65535) fields.refuse("port_value is not a port");
  out.address = address.address();
  out.port = static_cast<std::uint16_t>(address.port_value());
}

using PortRanges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

using Predicate = listener::ListenerFilterChainMatchPredicate;
using Ports = std::bitset<65536>;

Ports ports_of(const Predicate& rule, Fields& fields);

template <class Join>
void join_ports(const Predicate::MatchSet& set, Ports& out, Join join, Fields& fields) {
  fields.only(set, {set.kRulesFieldNumber});
  for (const Predicate& rule : set.rules()) out = join(out, ports_of(rule, fields));
}

Ports ports_of(const Predicate& rule, Fields& fields) {
  Ports out;
  switch (rule.rule_case()) {
    case Predicate::kOrMatch: join_ports(rule.or_match(), out, std::bit_or<>(), fields); break;
    case Predicate::kAndMatch: join_ports(rule.and_match(), out.set(), std::bit_and<>(), fields); break;
    case Predicate::kNotMatch: out = ~ports_of(rule.not_match(), fields); break;
    case Predicate::kAnyMatch:
      if (rule.any_match()) out.set();
      break;
    case Predicate::kDestinationPortRange: {
      const auto& range = rule.destination_port_range();
      fields.only(range, {range.kStartFieldNumber, range.kEndFieldNumber});
      const int last = std::min(range.end(), 65536);
      for (int port = std::max(range.start(), 0); port < last; ++port) out.set(static_cast<std::size_t>(port));
      break;
    }
    case Predicate::RULE_NOT_SET: fields.refuse("needs a rule"); break;
  }
  return out;
}

// Ranges of destination ports, each without its end, where a listener filter is off.
PortRanges compile_disabled(const listener::ListenerFilter& filter, Fields& fields) {
  PortRanges out;
  if (!filter.has_filter_disabled()) return out;
  const Fields::At at(fields, "filter_disabled");
  const Ports ports = ports_of(filter.filter_disabled(), fields);
  for (std::uint32_t port = 0; port < ports.size(); ++port) {
    if (!ports.test(port)) continue;
    if (!out.empty() && out.back().second == port) ++out.back().second;
    else out.emplace_back(port, port + 1);
  }
  return out;
}

void read_tls_inspector(const listener::ListenerFilter& filter, Listener& out, Fields& fields) {
  envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector inspector;
  // Fingerprints are for observation; the memory for a hello has a bound of its own.
  if (fields.unpack(filter.typed_config(), inspector))
    fields.only(inspector, {inspector.kEnableJa3FingerprintingFieldNumber, inspector.kEnableJa4FingerprintingFieldNumber,
                            inspector.kInitialReadBufferSizeFieldNumber, inspector.kMaxClientHelloSizeFieldNumber});
  // TLS is looked for on every port; where the filter is off, no chain asks for TLS.
  compile_disabled(filter, fields);
  out.sniffs_tls = true;
}

void read_proxy_protocol(const listener::ListenerFilter& filter, Listener& out, Fields& fields) {
  envoy::extensions::filters::listener::proxy_protocol::v3::ProxyProtocol proto;
  if (fields.unpack(filter.typed_config(), proto)) fields.only(proto, {proto.kAllowRequestsWithoutProxyProtocolFieldNumber, proto.kStatPrefixFieldNumber});
  if (filter.has_filter_disabled()) fields.unsupported("filter_disabled is not supported");
  out.reads_proxy_protocol = true;
  out.proxy_protocol_optional = proto.allow_requests_without_proxy_protocol();
}

void compile_listener_filters(const listener::Listener& proto, Listener& out, Fields& fields) {
  for (int i = 0; i < proto.listener_filters_size(); ++i) {
    const Fields::At at(fields, "listener_filters", i);
    const listener::ListenerFilter& filter = proto.listener_filters(i);
    fields.only(filter, {filter.kNameFieldNumber, filter.kTypedConfigFieldNumber, filter.kFilterDisabledFieldNumber});
    const std::string_view type = type_name(filter.typed_config());
    if (type == kHttpInspector) {
      fields.empty<envoy::extensions::filters::listener::http_inspector::v3::HttpInspector>(filter.typed_config());
      out.sniffs_http = true;
      out.sniffing_off_ports = compile_disabled(filter, fields);
    } else if (type == kTlsInspector) {
      read_tls_inspector(filter, out, fields);
    } else if (type == kProxyProtocol) {
      read_proxy_protocol(filter, out, fields);
    } else if (type == kOriginalDestination) {
      fields.empty<envoy::extensions::filters::listener::original_dst::v3::OriginalDst>(filter.typed_config());
      if (filter.has_filter_disabled()) fields.unsupported("filter_disabled is not supported");
      out.uses_original_destination = true;
    } else {
      fields.unsupported(filter.name() + " is not supported");
    }
  }
}

std::vector<std::string> compile_ranges(const google::protobuf::RepeatedPtrField<core::CidrRange>& ranges, Fields& fields) {
  std::vector<std::string> out;
  for (const core::CidrRange& range : ranges) {
    fields.only(range, {range.kAddressPrefixFieldNumber, range.kPrefixLenFieldNumber});
    out.push_back(range.address_prefix() + '/' + std::to_string(range.prefix_len().value()));
  }
  return out;
}

void compile_chain_match(const listener::FilterChainMatch& proto, FilterChain& out, Fields& fields) {
  const Fields::At at(fields, "filter_chain_match");
  fields.only(proto, {proto.kDestinationPortFieldNumber, proto.kPrefixRangesFieldNumber, proto.kApplicationProtocolsFieldNumber,
                      proto.kTransportProtocolFieldNumber, proto.kServerNamesFieldNumber, proto.kSourcePrefixRangesFieldNumber,
                      proto.kDirectSourcePrefixRangesFieldNumber, proto.kSourcePortsFieldNumber, proto.kSourceTypeFieldNumber});
  if (proto.has_destination_port()) {
    if (proto.destination_port().value() > 65535) fields.refuse("destination_port is not a port");
    out.destination_port = static_cast<std::uint16_t>(proto.destination_port().value());
  }
  out.destination_prefixes = compile_ranges(proto.prefix_ranges(), fields);
  out.source_prefixes = compile_ranges(proto.source_prefix_ranges(), fields);
  out.direct_source_prefixes = compile_ranges(proto.direct_source_prefix_ranges(), fields);
  for (const std::uint32_t port : proto.source_ports()) {
    if (port == 0 || port > 65535) fields.refuse("source_ports: " + std::to_string(port) + " is not a port");
    out.source_ports.push_back(static_cast<std::uint16_t>(port));
  }
  switch (static_cast<int>(proto.source_type())) {
    case listener::FilterChainMatch::ANY: out.source_type = FilterChain::SourceType::kAny; break;
    case listener::FilterChainMatch::SAME_IP_OR_LOOPBACK: out.source_type = FilterChain::SourceType::kSameIpOrLoopback; break;
    case listener::FilterChainMatch::EXTERNAL: out.source_type = FilterChain::SourceType::kExternal; break;
    default: fields.refuse("unknown source_type"); break;
  }
  out.application_protocols.assign(proto.application_protocols().begin(), proto.application_protocols().end());
  out.transport_protocol = proto.transport_protocol();
  for (const std::string& name : proto.server_names()) {
    if (const std::size_t star = name.rfind('*'); star != std::string::npos && (star != 0 || (name.size() > 1 && name[1] != '.')))
      fields.refuse("server_names: \"*\" in \"" + name + "\" must stand for whole labels at the beginning");
    out.server_names.push_back(lower_case(name));
  }
}

// Filters that only watch. A name counts as well as a type: Istio's come as TypedStruct.
bool only_watches(const listener::Filter& filter, Fields& fields) {
  if (type_name(filter.typed_config()) == kMongoProxy) {
    envoy::extensions::filters::network::mongo_proxy::v3::MongoProxy mongo;
    if (fields.unpack(filter.typed_config(), mongo)) fields.only(mongo, {mongo.kStatPrefixFieldNumber, mongo.kAccessLogFieldNumber,
                                                                         mongo.kEmitDynamicMetadataFieldNumber, mongo.kCommandsFieldNumber});
    return true;
  }
  if (filter.name() != "istio.metadata_exchange" && filter.name() != "istio.stats" &&
      filter.name() != "envoy.filters.network.metadata_exchange")
    return false;
  fields.note("filter " + filter.name() + " is left out: it has a meaning only between proxies of Istio's own build");
  return true;
}

// What filters before the TCP proxy tell it.
struct ByServerName {
  bool cluster = false;
  std::uint16_t forwards_to_port = 0;
};

void read_sni_forward_proxy(const google::protobuf::Any& any, ByServerName& out, Fields& fields) {
  const std::optional<LooseMessage> proto = LooseMessage::unpack(any, fields);
  if (!proto) return;
  // The cache is described again at the cluster, which is where names are resolved; the address is kept for logs only.
  proto->only({"dns_cache_config", "port_value", "save_upstream_address"}, fields);
  const std::uint64_t port = proto->number("port_value");
  if (port == 0 || port > 65535) fields.refuse("port_value is not a port");
  else out.forwards_to_port = static_cast<std::uint16_t>(port);
}

void compile_handler(const listener::FilterChain& proto, FilterChain& out, const std::string& inline_name,
                     InlineTables& tables, ClusterNames& names, Fields& fields) {
  bool handled = false;
  ByServerName by_server_name;
  for (int i = 0; i < proto.filters_size(); ++i) {
    const Fields::At at(fields, "filters", i);
    const listener::Filter& filter = proto.filters(i);
    fields.only(filter, {filter.kNameFieldNumber, filter.kTypedConfigFieldNumber, filter.kConfigDiscoveryFieldNumber});
    const std::string_view type = type_name(filter.typed_config());
    if (filter.has_config_discovery()) {
      fields.unsupported("config_discovery is not supported");
    } else if (type == kHttpConnectionManager) {
      out.handler = compile_http_connection(filter.typed_config(), inline_name, tables, names, fields);
      handled = true;
    } else if (type == kTcpProxy) {
      TcpProxySettings tcp = compile_tcp_proxy(filter.typed_config(), names, fields);
      tcp.cluster_by_server_name = by_server_name.cluster;
      tcp.forwards_by_server_name = by_server_name.forwards_to_port;
      out.handler = std::move(tcp);
      handled = true;
    } else if (type == kSniCluster) {
      if (const std::optional<LooseMessage> empty = LooseMessage::unpack(filter.typed_config(), fields)) empty->only({}, fields);
      by_server_name.cluster = true;
    } else if (type == kSniForwardProxy) {
      read_sni_forward_proxy(filter.typed_config(), by_server_name, fields);
    } else if (!only_watches(filter, fields)) {
      fields.unsupported("filter " + filter.name() + " is not supported");
    }
  }
  if (!handled && proto.filters_size() > 0) fields.unsupported("no filter takes the connection");
  if (proto.filters_size() == 0) fields.refuse("filters must not be empty");
}

FilterChain compile_chain(const listener::FilterChain& proto, const std::string& inline_name, InlineTables& tables,
                          ClusterNames& names, Fields& fields) {
  FilterChain out;
  out.name = proto.name();
  compile_chain_match(proto.filter_chain_match(), out, fields);
  // From here on a chain can say by itself that it is not supported.
  const std::size_t mark = fields.mark();
  fields.only(proto, {proto.kNameFieldNumber, proto.kFilterChainMatchFieldNumber, proto.kFiltersFieldNumber, proto.kMetadataFieldNumber,
                      proto.kTransportSocketFieldNumber, proto.kTransportSocketConnectTimeoutFieldNumber});
  if (proto.has_transport_socket()) {
    const Fields::At at(fields, "transport_socket");
    out.tls = compile_downstream_transport(proto.transport_socket(), fields);
  }
  if (proto.has_transport_socket_connect_timeout()) {
    const Fields::At at(fields, "transport_socket_connect_timeout");
    out.transport_timeout = fields.duration(proto.transport_socket_connect_timeout());
  }
  compile_handler(proto, out, inline_name, tables, names, fields);
  if (std::string why = fields.take_unsupported(mark); !why.empty()) out.handler = Unsupported{std::move(why)};
  return out;
}

std::string config_of(const core::Metadata& metadata) {
  const auto istio = metadata.filter_metadata().find("istio");
  if (istio == metadata.filter_metadata().end()) return "";
  const auto it = istio->second.fields().find("config");
  return it == istio->second.fields().end() ? "" : it->second.string_value();
}

// Fields of a listener that change nothing here, each with the reason:
//   access_log, stat_prefix                            of connections that no chain takes: for observation
//   drain_type, ignore_global_conn_limit, bypass_...   times of shutting down and of overload have their own rules
//   max_connections_to_accept_per_socket_event, tcp_backlog_size, enable_reuse_port, reuse_port, tcp_fast_open_queue_length,
//   connection_balance_config                          tuning of accepting
//   per_connection_buffer_limit_bytes                  buffers have bounds of their own
void only_known(const listener::Listener& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kAddressFieldNumber, proto.kFilterChainsFieldNumber,
                      proto.kDefaultFilterChainFieldNumber, proto.kListenerFiltersFieldNumber, proto.kApiListenerFieldNumber,
                      proto.kListenerFiltersTimeoutFieldNumber, proto.kContinueOnListenerFiltersTimeoutFieldNumber,
                      proto.kUseOriginalDstFieldNumber, proto.kBindToPortFieldNumber, proto.kTrafficDirectionFieldNumber,
                      proto.kMetadataFieldNumber,
                      // see above
                      proto.kAccessLogFieldNumber, proto.kStatPrefixFieldNumber, proto.kDrainTypeFieldNumber,
                      proto.kIgnoreGlobalConnLimitFieldNumber, proto.kBypassOverloadManagerFieldNumber,
                      proto.kMaxConnectionsToAcceptPerSocketEventFieldNumber, proto.kTcpBacklogSizeFieldNumber,
                      proto.kEnableReusePortFieldNumber, proto.kReusePortFieldNumber, proto.kTcpFastOpenQueueLengthFieldNumber,
                      proto.kConnectionBalanceConfigFieldNumber, proto.kPerConnectionBufferLimitBytesFieldNumber});
}

}  // namespace

CompiledListener compile_listener(const listener::Listener& proto, std::uint64_t content_hash, ClusterNames& names, Fields& fields) {
  only_known(proto, fields);
  CompiledListener out;
  auto made = std::make_shared<Listener>();
  made->name = proto.name();
  made->content_hash = content_hash;
  if (proto.has_api_listener()) {
    // The listener of a gRPC client without a proxy: its settings are for that client's own library.
    fields.note("takes no connections: it is for a client inside a process");
    made->bind_to_port = false;
    out.listener = std::move(made);
    return out;
  }
  compile_address(proto.address(), *made, fields);
  made->bind_to_port = !proto.has_bind_to_port() || proto.bind_to_port().value();
  made->outbound = proto.traffic_direction() != core::INBOUND;
  made->uses_original_destination = proto.use_original_dst().value();
  made->goes_on_after_sniffing_timeout = proto.continue_on_listener_filters_timeout();
  fields.metadata(proto.metadata());
  made->config = config_of(proto.metadata());
  if (proto.has_listener_filters_timeout()) {
    const Fields::At at(fields, "listener_filters_timeout");
    made->sniffing_timeout = fields.duration(proto.listener_filters_timeout());
  }
  compile_listener_filters(proto, *made, fields);
  const auto inline_name = [&](const std::string& chain) { return "listener/" + proto.name() + "/" + chain; };
  for (int i = 0; i < proto.filter_chains_size(); ++i) {
    const Fields::At at(fields, "filter_chains", i);
    const listener::FilterChain& chain = proto.filter_chains(i);
    made->filter_chains.push_back(compile_chain(chain, inline_name(std::to_string(i)), out.inline_tables, names, fields));
  }
  if (proto.has_default_filter_chain()) {
    const Fields::At at(fields, "default_filter_chain");
    made->default_chain = compile_chain(proto.default_filter_chain(), inline_name("default"), out.inline_tables, names, fields);
  }
  if (!fields.ok() || !fields.unsupported().empty()) return {};
  out.listener = std::move(made);
  return out;
}

}  // namespace lateen::runtime
