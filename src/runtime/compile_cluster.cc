#include "runtime/compile_cluster.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cmath>

#include "runtime/compile_endpoints.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr std::string_view kHttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr std::string_view kRawBuffer = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
constexpr std::string_view kCares = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
// Envoy's circuit breakers where a resource has none.
constexpr std::uint32_t kThresholdDefault = 1024, kRetriesDefault = 3;
constexpr std::uint32_t kUnlimited = ~std::uint32_t{0};

void compile_type(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (proto.has_cluster_type()) {
    const Fields::At at(fields, "cluster_type");
    fields.unsupported(proto.cluster_type().name() + " is not supported");
    return;
  }
  switch (static_cast<int>(proto.type())) {
    case cluster::Cluster::STATIC: out.discovery = Cluster::Discovery::kStatic; break;
    case cluster::Cluster::STRICT_DNS: out.discovery = Cluster::Discovery::kStrictDns; break;
    case cluster::Cluster::LOGICAL_DNS: out.discovery = Cluster::Discovery::kLogicalDns; break;
    case cluster::Cluster::EDS: out.discovery = Cluster::Discovery::kEds; break;
    case cluster::Cluster::ORIGINAL_DST: out.discovery = Cluster::Discovery::kOriginalDestination; break;
    default: fields.refuse("unknown type"); break;
  }
}

void compile_balancer(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "lb_policy");
  switch (static_cast<int>(proto.lb_policy())) {
    case cluster::Cluster::ROUND_ROBIN: out.balancer = Cluster::Balancer::kRoundRobin; break;
    case cluster::Cluster::LEAST_REQUEST: out.balancer = Cluster::Balancer::kLeastRequest; break;
    case cluster::Cluster::RANDOM: out.balancer = Cluster::Balancer::kRandom; break;
    case cluster::Cluster::RING_HASH:
      out.balancer = Cluster::Balancer::kRingHash;
      fields.unsupported("RING_HASH is not supported");
      break;
    case cluster::Cluster::MAGLEV:
      out.balancer = Cluster::Balancer::kMaglev;
      fields.unsupported("MAGLEV is not supported");
      break;
    case cluster::Cluster::CLUSTER_PROVIDED: out.balancer = Cluster::Balancer::kClusterProvided; break;
    default: fields.unsupported("is not supported"); break;
  }
  if ((out.balancer == Cluster::Balancer::kClusterProvided) != (out.discovery == Cluster::Discovery::kOriginalDestination) &&
      !proto.has_cluster_type())
    fields.refuse("CLUSTER_PROVIDED belongs to ORIGINAL_DST, and to nothing else");
  if (!proto.has_least_request_lb_config()) return;
  const auto& config = proto.least_request_lb_config();
  fields.only(config, {config.kChoiceCountFieldNumber});
  if (config.has_choice_count()) out.least_request_choices = config.choice_count().value();
  if (out.least_request_choices < 2) fields.refuse("least_request_lb_config.choice_count must be at least 2");
}

void compile_common_lb(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (!proto.has_common_lb_config()) return;
  const Fields::At at(fields, "common_lb_config");
  const auto& config = proto.common_lb_config();
  // When health changes are taken over, and which hosts may be overridden, does not concern what is carried out here.
  fields.only(config, {config.kHealthyPanicThresholdFieldNumber, config.kUpdateMergeWindowFieldNumber,
                       config.kOverrideHostStatusFieldNumber});
  if (!config.has_healthy_panic_threshold()) return;
  const double percent = config.healthy_panic_threshold().value();
  if (!(percent >= 0 && percent <= 100)) fields.refuse("healthy_panic_threshold must be 0 to 100");
  // Envoy compares whole percents.
  else out.panic_threshold_percent = static_cast<std::uint32_t>(std::floor(percent));
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
    fields.only(entry, {entry.kPriorityFieldNumber, entry.kMaxConnectionsFieldNumber, entry.kMaxPendingRequestsFieldNumber,
                        entry.kMaxRequestsFieldNumber, entry.kMaxRetriesFieldNumber, entry.kTrackRemainingFieldNumber});
    if (entry.has_max_connections()) connections = entry.max_connections().value();
    if (entry.has_max_pending_requests()) pending = entry.max_pending_requests().value();
    if (entry.has_max_requests()) requests = entry.max_requests().value();
    if (entry.has_max_retries()) retries = entry.max_retries().value();
    break;  // the first of a priority holds, as in Envoy
  }
  const auto limit = [](std::uint32_t value) { return value == kUnlimited ? std::nullopt : std::optional(value); };
  out.limits = {limit(connections), limit(pending), limit(requests), limit(retries), std::nullopt};
}

void compile_http1(const core::Http1ProtocolOptions& proto, Fields& fields) {
  const Fields::At at(fields, "http_protocol_options");
  fields.only(proto, {});
}

void compile_http2(const core::Http2ProtocolOptions& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "http2_protocol_options");
  // Windows are a matter of tuning: whatever they are, the same bytes arrive.
  fields.only(proto, {proto.kMaxConcurrentStreamsFieldNumber, proto.kInitialStreamWindowSizeFieldNumber,
                      proto.kInitialConnectionWindowSizeFieldNumber});
  out.http2_streams_max = proto.max_concurrent_streams().value();
}

void compile_common_http(const core::HttpProtocolOptions& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "common_http_protocol_options");
  fields.only(proto, {proto.kIdleTimeoutFieldNumber, proto.kMaxConnectionDurationFieldNumber, proto.kMaxRequestsPerConnectionFieldNumber});
  if (proto.has_idle_timeout()) out.idle_timeout = fields.duration(proto.idle_timeout());
  if (proto.has_max_connection_duration()) out.connection_duration_max = fields.duration(proto.max_connection_duration());
  out.requests_per_connection_max = proto.max_requests_per_connection().value();
}

// Which statuses are errors to outlier detection (Istio's outlierDetectionHttpErrorCodes): a list of exact :status values.
void compile_error_codes(const HttpOptions::OutlierDetection& proto, std::vector<std::uint16_t>& out, Fields& fields) {
  const Fields::At at(fields, "outlier_detection.error_matcher");
  const auto one = [&](const envoy::config::common::matcher::v3::MatchPredicate& rule) {
    for (const auto& header : rule.http_response_headers_match().headers()) {
      const std::string& text = header.string_match().exact();
      const int code = text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) ? std::stoi(text) : 0;
      if (header.name() != ":status" || header.invert_match() || code == 0) fields.unsupported("only exact values of :status are supported");
      else out.push_back(static_cast<std::uint16_t>(code));
    }
    if (rule.http_response_headers_match().headers_size() != 1) fields.unsupported("only one header a rule is supported");
  };
  if (proto.error_matcher().has_http_response_headers_match()) one(proto.error_matcher());
  else if (proto.error_matcher().has_or_match())
    for (const auto& rule : proto.error_matcher().or_match().rules()) one(rule);
  else fields.unsupported("is not supported");
}

void compile_http_options(const google::protobuf::Any& any, Cluster& out, std::vector<std::uint16_t>& error_codes, Fields& fields) {
  HttpOptions proto;
  if (!fields.unpack(any, proto)) return;
  // upstream_http_protocol_options (auto_sni and the like) has a meaning for TLS only.
  fields.only(proto, {proto.kCommonHttpProtocolOptionsFieldNumber, proto.kUpstreamHttpProtocolOptionsFieldNumber,
                      proto.kExplicitHttpConfigFieldNumber, proto.kUseDownstreamProtocolConfigFieldNumber,
                      proto.kAutoConfigFieldNumber, proto.kOutlierDetectionFieldNumber});
  compile_common_http(proto.common_http_protocol_options(), out, fields);
  if (proto.has_outlier_detection()) compile_error_codes(proto.outlier_detection(), error_codes, fields);
  switch (proto.upstream_protocol_options_case()) {
    case HttpOptions::kExplicitHttpConfig: {
      const Fields::At at(fields, "explicit_http_config");
      const auto& config = proto.explicit_http_config();
      fields.only(config, {config.kHttpProtocolOptionsFieldNumber, config.kHttp2ProtocolOptionsFieldNumber});
      out.http2 = config.has_http2_protocol_options();
      compile_http1(config.http_protocol_options(), fields);
      compile_http2(config.http2_protocol_options(), out, fields);
      break;
    }
    case HttpOptions::kUseDownstreamProtocolConfig: {
      const Fields::At at(fields, "use_downstream_protocol_config");
      const auto& config = proto.use_downstream_protocol_config();
      fields.only(config, {config.kHttpProtocolOptionsFieldNumber, config.kHttp2ProtocolOptionsFieldNumber});
      out.same_protocol_as_downstream = true;
      compile_http1(config.http_protocol_options(), fields);
      compile_http2(config.http2_protocol_options(), out, fields);
      break;
    }
    case HttpOptions::kAutoConfig: fields.unsupported("auto_config is not supported"); break;
    case HttpOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET: break;
  }
}

void compile_connections(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (proto.has_connect_timeout()) {
    const Fields::At at(fields, "connect_timeout");
    out.connect_timeout = fields.duration(proto.connect_timeout());
    if (out.connect_timeout <= Duration::zero()) fields.refuse("must be more than 0");
  } else {
    out.connect_timeout = std::chrono::seconds(5);  // Envoy's
  }
  if (!proto.has_upstream_connection_options()) return;
  const Fields::At at(fields, "upstream_connection_options");
  const auto& options = proto.upstream_connection_options();
  fields.only(options, {options.kTcpKeepaliveFieldNumber});
  if (!options.has_tcp_keepalive()) return;
  // What is not given is left to the system, as in Envoy.
  const auto& keepalive = options.tcp_keepalive();
  out.keepalive = Cluster::TcpKeepalive{std::chrono::seconds(keepalive.keepalive_time().value()),
                                        std::chrono::seconds(keepalive.keepalive_interval().value()),
                                        keepalive.keepalive_probes().value()};
}

void compile_dns(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  using Family = Cluster::Dns::Family;
  switch (static_cast<int>(proto.dns_lookup_family())) {
    case cluster::Cluster::AUTO: out.dns.family = Family::kAuto; break;
    case cluster::Cluster::V4_ONLY: out.dns.family = Family::kV4Only; break;
    case cluster::Cluster::V6_ONLY: out.dns.family = Family::kV6Only; break;
    case cluster::Cluster::V4_PREFERRED: out.dns.family = Family::kV4Preferred; break;
    case cluster::Cluster::ALL: out.dns.family = Family::kAll; break;
    default: fields.refuse("unknown dns_lookup_family"); break;
  }
  out.dns.respect_ttl = proto.respect_dns_ttl();
  if (proto.has_dns_refresh_rate()) {
    const Fields::At at(fields, "dns_refresh_rate");
    out.dns.refresh = fields.duration(proto.dns_refresh_rate());
    if (out.dns.refresh < std::chrono::milliseconds(1)) fields.refuse("must be at least 1 ms");
  }
  if (proto.has_dns_jitter()) {
    const Fields::At at(fields, "dns_jitter");
    out.dns.jitter = fields.duration(proto.dns_jitter());
  }
  if (proto.has_typed_dns_resolver_config()) {
    const Fields::At at(fields, "typed_dns_resolver_config");
    if (type_name(proto.typed_dns_resolver_config().typed_config()) != kCares) fields.unsupported("only the c-ares resolver is supported");
  }
}

void compile_transport(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (proto.has_transport_socket()) {
    const Fields::At at(fields, "transport_socket");
    if (type_name(proto.transport_socket().typed_config()) != kRawBuffer)
      fields.unsupported(proto.transport_socket().name() + " is not supported; only plain TCP is");
  }
  for (const auto& match : proto.transport_socket_matches()) {
    Cluster::TransportMatch added;
    for (const auto& [name, value] : match.match().fields()) added.criteria.emplace(name, value.string_value());
    added.plain = type_name(match.transport_socket().typed_config()) == kRawBuffer;
    out.transport_matches.push_back(std::move(added));
  }
}

void compile_metadata(const core::Metadata& metadata, Cluster& out) {
  const auto istio = metadata.filter_metadata().find("istio");
  if (istio == metadata.filter_metadata().end()) return;
  const auto text = [](const google::protobuf::Struct& from, const char* name) {
    const auto it = from.fields().find(name);
    return it == from.fields().end() ? std::string() : it->second.string_value();
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

void compile_discovery(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (out.discovery == Cluster::Discovery::kEds) {
    out.endpoints_name = proto.eds_cluster_config().service_name().empty() ? proto.name() : proto.eds_cluster_config().service_name();
    if (!proto.eds_cluster_config().eds_config().has_ads()) {
      const Fields::At at(fields, "eds_cluster_config.eds_config");
      fields.unsupported("only ADS is supported as a source");
    }
  }
  const bool own_endpoints = out.discovery != Cluster::Discovery::kEds && out.discovery != Cluster::Discovery::kOriginalDestination;
  if (proto.has_load_assignment() && !own_endpoints) fields.refuse("load_assignment does not go with this type");
}

void read_cluster(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  // alt_stat_name is for observation; how often endpoints of an ORIGINAL_DST cluster are forgotten is a matter of tuning.
  fields.only(proto, {proto.kNameFieldNumber, proto.kAltStatNameFieldNumber, proto.kTypeFieldNumber, proto.kClusterTypeFieldNumber,
                      proto.kEdsClusterConfigFieldNumber, proto.kConnectTimeoutFieldNumber, proto.kLbPolicyFieldNumber,
                      proto.kLeastRequestLbConfigFieldNumber, proto.kRingHashLbConfigFieldNumber, proto.kMaglevLbConfigFieldNumber,
                      proto.kLoadAssignmentFieldNumber, proto.kCircuitBreakersFieldNumber, proto.kOutlierDetectionFieldNumber,
                      proto.kCommonLbConfigFieldNumber, proto.kTypedExtensionProtocolOptionsFieldNumber, proto.kMetadataFieldNumber,
                      proto.kTransportSocketFieldNumber, proto.kTransportSocketMatchesFieldNumber,
                      proto.kUpstreamConnectionOptionsFieldNumber, proto.kCleanupIntervalFieldNumber,
                      proto.kDnsLookupFamilyFieldNumber, proto.kDnsRefreshRateFieldNumber, proto.kRespectDnsTtlFieldNumber,
                      proto.kDnsJitterFieldNumber, proto.kTypedDnsResolverConfigFieldNumber});
  if (proto.name().empty()) fields.refuse("needs a name");
  compile_type(proto, out, fields);
  compile_balancer(proto, out, fields);
  compile_discovery(proto, out, fields);
  compile_common_lb(proto, out, fields);
  compile_limits(proto, out, fields);
  compile_connections(proto, out, fields);
  compile_dns(proto, out, fields);
  compile_transport(proto, out, fields);
  compile_metadata(proto.metadata(), out);
  if (proto.has_outlier_detection()) {
    const Fields::At at(fields, "outlier_detection");
    out.outlier = compile_outlier_detection(proto.outlier_detection(), fields);
  }
  std::vector<std::uint16_t> error_codes;
  for (const auto& [name, any] : proto.typed_extension_protocol_options()) {
    const Fields::At at(fields, "typed_extension_protocol_options");
    if (name == kHttpOptions) compile_http_options(any, out, error_codes, fields);
    else fields.unsupported(name + " is not supported");
  }
  if (out.outlier) out.outlier->error_codes = std::move(error_codes);
}

}  // namespace

CompiledCluster compile_cluster(const cluster::Cluster& proto, std::uint64_t content_hash, ClusterId id, Fields& fields) {
  CompiledCluster out;
  auto made = std::make_shared<Cluster>();
  made->name = proto.name();
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

std::string transport_problem(const Cluster& cluster, const EndpointSet& endpoints) {
  if (cluster.transport_matches.empty()) return "";
  const auto wants_tls = [&](const std::map<std::string, std::string>& metadata) {
    for (const Cluster::TransportMatch& match : cluster.transport_matches) {
      const bool fits = std::all_of(match.criteria.begin(), match.criteria.end(), [&](const auto& wanted) {
        const auto it = metadata.find(wanted.first);
        return it != metadata.end() && it->second == wanted.second;
      });
      if (fits) return !match.plain;
    }
    return false;  // none fits: the cluster's own transport socket, looked at by itself
  };
  const bool tls = std::any_of(endpoints.transport_metadata.begin(), endpoints.transport_metadata.end(), wants_tls);
  return tls ? "cluster " + cluster.name + ": transport_socket_matches: its endpoints ask for TLS, which is not supported" : "";
}

}  // namespace lateen::runtime
