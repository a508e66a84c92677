#include "runtime/compile_cluster.h"

#include <arpa/inet.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>

#include "runtime/compile_endpoints.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;

// Envoy's circuit breakers where a resource has none.
constexpr std::uint32_t kThresholdDefault = 1024, kRetriesDefault = 3;
constexpr std::uint32_t kUnlimited = ~std::uint32_t{0};

CircuitBreakers::RetryBudget compile_retry_budget(const cluster::CircuitBreakers::Thresholds::RetryBudget& proto, Fields& fields) {
  const Fields::At at(fields, "retry_budget");
  fields.only(proto, {proto.kBudgetPercentFieldNumber, proto.kMinRetryConcurrencyFieldNumber});
  CircuitBreakers::RetryBudget out;
  fields.only(proto.budget_percent(), {proto.budget_percent().kValueFieldNumber});
  if (proto.has_budget_percent()) out.percent = proto.budget_percent().value();
  if (!(out.percent >= 0 && out.percent <= 100)) fields.refuse("budget_percent must be 0 to 100");
  if (proto.has_min_retry_concurrency()) out.retries_min = proto.min_retry_concurrency().value();
  return out;
}

void compile_limits(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  const Fields::At at_all(fields, "circuit_breakers");
  fields.only(proto.circuit_breakers(), {proto.circuit_breakers().kThresholdsFieldNumber});
  std::uint32_t connections = kThresholdDefault, pending = kThresholdDefault, requests = kThresholdDefault, retries = kRetriesDefault;
  for (int i = 0; i < proto.circuit_breakers().thresholds_size(); ++i) {
    const auto& entry = proto.circuit_breakers().thresholds(i);
    // No route can ask for high priority: that is refused there.
    if (entry.priority() != core::DEFAULT) continue;
    const Fields::At at(fields, "thresholds", i);
    // What remains is for observation.
    fields.only(entry, {entry.kPriorityFieldNumber, entry.kMaxConnectionsFieldNumber, entry.kMaxPendingRequestsFieldNumber,
                        entry.kMaxRequestsFieldNumber, entry.kMaxRetriesFieldNumber, entry.kRetryBudgetFieldNumber,
                        entry.kTrackRemainingFieldNumber});
    if (entry.has_max_connections()) connections = entry.max_connections().value();
    if (entry.has_max_pending_requests()) pending = entry.max_pending_requests().value();
    if (entry.has_max_requests()) requests = entry.max_requests().value();
    if (entry.has_max_retries()) retries = entry.max_retries().value();
    if (entry.has_retry_budget()) out.limits.retry_budget = compile_retry_budget(entry.retry_budget(), fields);
    break;  // the first of a priority holds, as in Envoy
  }
  const auto limit = [](std::uint32_t value) { return value == kUnlimited ? std::nullopt : std::optional(value); };
  out.limits.connections_max = limit(connections);
  out.limits.pending_requests_max = limit(pending);
  out.limits.requests_max = limit(requests);
  out.limits.retries_max = limit(retries);
}

void compile_keepalive(const core::TcpKeepalive& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "tcp_keepalive");
  fields.only(proto, {proto.kKeepaliveProbesFieldNumber, proto.kKeepaliveTimeFieldNumber, proto.kKeepaliveIntervalFieldNumber});
  // What is not given is left to the system, as in Envoy.
  out.keepalive = Cluster::TcpKeepalive{std::chrono::seconds(proto.keepalive_time().value()),
                                        std::chrono::seconds(proto.keepalive_interval().value()), proto.keepalive_probes().value()};
}

void compile_bind(const core::BindConfig& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "upstream_bind_config");
  // One address of each family may be given: connections to the other family are bound to theirs, and the first is the
  // one that counts here.
  fields.only(proto, {proto.kSourceAddressFieldNumber, proto.kExtraSourceAddressesFieldNumber});
  const core::SocketAddress& source = proto.source_address();
  fields.only(source, {source.kAddressFieldNumber, source.kPortValueFieldNumber, source.kProtocolFieldNumber});
  if (source.protocol() != core::SocketAddress::TCP) fields.unsupported("source_address.protocol: only TCP is supported");
  if (source.port_value() != 0) fields.unsupported("source_address.port_value: only 0 is supported");
  if (proto.extra_source_addresses_size() > 0) fields.unsupported("extra_source_addresses: only one address is supported");
  unsigned char parsed[sizeof(in6_addr)];
  const bool is_ip = inet_pton(AF_INET, source.address().c_str(), parsed) == 1 || inet_pton(AF_INET6, source.address().c_str(), parsed) == 1;
  if (!is_ip) fields.refuse("source_address.address: \"" + source.address() + "\" is no IP address");
  out.bind_address = source.address();
}

void compile_connections(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (proto.has_connect_timeout()) {
    const Fields::At at(fields, "connect_timeout");
    out.connect_timeout = fields.duration(proto.connect_timeout());
    if (out.connect_timeout <= Duration::zero()) fields.refuse("must be more than 0");
  } else {
    out.connect_timeout = std::chrono::seconds(5);  // Envoy's
  }
  if (proto.has_upstream_bind_config()) compile_bind(proto.upstream_bind_config(), out, fields);
  if (!proto.has_upstream_connection_options()) return;
  const Fields::At at(fields, "upstream_connection_options");
  const auto& options = proto.upstream_connection_options();
  // The interface's name would only be noted down.
  fields.only(options, {options.kTcpKeepaliveFieldNumber, options.kSetLocalInterfaceNameOnUpstreamConnectionsFieldNumber});
  if (options.has_tcp_keepalive()) compile_keepalive(options.tcp_keepalive(), out, fields);
}

// Only text can be asked for: nothing else is ever sent.
std::map<std::string, std::string> compile_criteria(const google::protobuf::Struct& proto, Fields& fields) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : proto.fields()) {
    if (value.kind_case() != google::protobuf::Value::kStringValue) fields.unsupported("match." + name + ": only text is supported");
    out.emplace(name, value.string_value());
  }
  return out;
}

void compile_transports(const cluster::Cluster& proto, UpstreamNames names, Cluster& out, Fields& fields) {
  if (proto.has_transport_socket()) {
    const Fields::At at(fields, "transport_socket");
    out.transport = compile_upstream_transport(proto.transport_socket(), names, fields);
  }
  for (int i = 0; i < proto.transport_socket_matches_size(); ++i) {
    const Fields::At at(fields, "transport_socket_matches", i);
    const auto& match = proto.transport_socket_matches(i);
    fields.only(match, {match.kNameFieldNumber, match.kMatchFieldNumber, match.kTransportSocketFieldNumber});
    Cluster::TransportMatch added;
    added.criteria = compile_criteria(match.match(), fields);
    // Only endpoints that choose it are in trouble.
    const std::size_t mark = fields.mark();
    added.transport = compile_upstream_transport(match.transport_socket(), names, fields);
    added.unsupported = fields.take_unsupported(mark);
    added.plain = added.unsupported.empty() && added.transport.tls == nullptr && added.transport.proxy_protocol == 0;
    out.transport_matches.push_back(std::move(added));
  }
}

void compile_metadata(const core::Metadata& metadata, Cluster& out, SharedParts& parts) {
  const auto istio = metadata.filter_metadata().find("istio");
  if (istio == metadata.filter_metadata().end()) return;
  const auto text = [&](const google::protobuf::Struct& from, const char* name) {
    const auto it = from.fields().find(name);
    return it == from.fields().end() ? SharedText() : parts.text(it->second.string_value());
  };
  out.config = text(istio->second, "config");
  out.subset = text(istio->second, "subset");
  const auto services = istio->second.fields().find("services");
  if (services == istio->second.fields().end() || services->second.list_value().values().empty()) return;
  const google::protobuf::Struct& service = services->second.list_value().values(0).struct_value();
  out.service_host = text(service, "host");
  out.service_name = text(service, "name");
  out.service_namespace = text(service, "namespace");
}

// Fields of a cluster that change nothing here, each with the reason:
//   alt_stat_name, track_cluster_stats, track_timeout_budgets, lrs_*  for observation, and no such report is asked for
//   per_connection_buffer_limit_bytes   buffers have bounds of their own
//   cleanup_interval                    how soon unused endpoints of an ORIGINAL_DST cluster are forgotten
//   wait_for_warm_on_init               a snapshot is whole when it arrives: there is no warming
//   ignore_health_on_host_removal       endpoints that leave are always taken out at once
//   preconnect_policy                   connections that are opened early carry the same requests
//   dns_failure_refresh_rate            names that failed are asked for again at the pace of the resolver
void only_known(const cluster::Cluster& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kTypeFieldNumber, proto.kClusterTypeFieldNumber, proto.kEdsClusterConfigFieldNumber,
                      proto.kConnectTimeoutFieldNumber, proto.kLbPolicyFieldNumber, proto.kLoadBalancingPolicyFieldNumber,
                      proto.kLeastRequestLbConfigFieldNumber, proto.kRingHashLbConfigFieldNumber, proto.kMaglevLbConfigFieldNumber,
                      proto.kRoundRobinLbConfigFieldNumber, proto.kOriginalDstLbConfigFieldNumber, proto.kLoadAssignmentFieldNumber,
                      proto.kCircuitBreakersFieldNumber, proto.kOutlierDetectionFieldNumber, proto.kCommonLbConfigFieldNumber,
                      proto.kTypedExtensionProtocolOptionsFieldNumber, proto.kMetadataFieldNumber, proto.kTransportSocketFieldNumber,
                      proto.kTransportSocketMatchesFieldNumber, proto.kUpstreamConnectionOptionsFieldNumber,
                      proto.kUpstreamBindConfigFieldNumber, proto.kDnsLookupFamilyFieldNumber, proto.kDnsRefreshRateFieldNumber,
                      proto.kRespectDnsTtlFieldNumber, proto.kDnsJitterFieldNumber, proto.kTypedDnsResolverConfigFieldNumber,
                      // the older spelling of HttpProtocolOptions
                      proto.kCommonHttpProtocolOptionsFieldNumber, proto.kUpstreamHttpProtocolOptionsFieldNumber,
                      proto.kHttpProtocolOptionsFieldNumber, proto.kHttp2ProtocolOptionsFieldNumber,
                      proto.kMaxRequestsPerConnectionFieldNumber, proto.kProtocolSelectionFieldNumber,
                      // see above
                      proto.kAltStatNameFieldNumber, proto.kTrackClusterStatsFieldNumber, proto.kTrackTimeoutBudgetsFieldNumber,
                      proto.kLrsServerFieldNumber, proto.kLrsReportEndpointMetricsFieldNumber,
                      proto.kPerConnectionBufferLimitBytesFieldNumber, proto.kCleanupIntervalFieldNumber,
                      proto.kWaitForWarmOnInitFieldNumber, proto.kIgnoreHealthOnHostRemovalFieldNumber,
                      proto.kPreconnectPolicyFieldNumber, proto.kDnsFailureRefreshRateFieldNumber});
}

void read_cluster(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  only_known(proto, fields);
  if (proto.name().empty()) fields.refuse("needs a name");
  compile_discovery(proto, out, fields);
  compile_balancer(proto, out, fields);
  compile_limits(proto, out, fields);
  compile_connections(proto, out, fields);
  fields.metadata(proto.metadata());
  compile_metadata(proto.metadata(), out, fields.parts());
  if (proto.has_outlier_detection()) {
    const Fields::At at(fields, "outlier_detection");
    out.outlier = compile_outlier_detection(proto.outlier_detection(), fields);
  }
  const UpstreamNames names = compile_http_options(proto, out, fields);
  compile_transports(proto, names, out, fields);
}

}  // namespace

CompiledCluster compile_cluster(const cluster::Cluster& proto, std::uint64_t content_hash, ClusterId id, Fields& fields) {
  CompiledCluster out;
  auto made = std::make_shared<Cluster>();
  made->name = fields.parts().text(proto.name());
  made->id = id;
  made->content_hash = content_hash;
  read_cluster(proto, *made, fields);
  if (made->discovery != Cluster::Discovery::kEds && fields.ok()) {
    const Fields::At at(fields, "load_assignment");
    out.endpoints = compile_endpoints(proto.load_assignment(), content_hash, fields);
  }
  if (!fields.ok()) return {};
  made->unsupported = fields.take_unsupported(0);
  out.cluster = std::move(made);
  return out;
}

const Cluster::TransportMatch* find_transport(const Cluster& cluster, const TransportMetadata& metadata) {
  for (const Cluster::TransportMatch& match : cluster.transport_matches) {
    const bool fits = std::all_of(match.criteria.begin(), match.criteria.end(), [&](const auto& wanted) {
      const auto it = metadata.find(wanted.first);
      return it != metadata.end() && it->second == wanted.second;
    });
    if (fits) return &match;
  }
  return nullptr;
}

std::string transport_problem(const Cluster& cluster, const EndpointSet& endpoints) {
  if (cluster.transport_matches.empty()) return "";
  for (std::uint32_t i = 0; i < endpoints.transport_metadata.size(); ++i)
    if (const auto* match = find_transport(cluster, endpoints.metadata_of(i)); match != nullptr && !match->unsupported.empty()) return match->unsupported;
  return "";
}

}  // namespace lateen::runtime
