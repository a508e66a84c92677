// The HTTP filters of a connection manager.

#include <envoy/extensions/filters/http/cors/v3/cors.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <envoy/extensions/filters/http/grpc_stats/v3/config.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>

#include "runtime/compile_listener.h"
#include "runtime/loose_message.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

using HttpFilter = envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;

constexpr std::string_view kRouter = "envoy.extensions.filters.http.router.v3.Router";
constexpr std::string_view kFault = "envoy.extensions.filters.http.fault.v3.HTTPFault";
constexpr std::string_view kCors = "envoy.extensions.filters.http.cors.v3.Cors";
constexpr std::string_view kGrpcWeb = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb";
constexpr std::string_view kForwardProxy = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig";
constexpr std::string_view kGrpcStats = "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig";
// Filters of Istio's own build of Envoy, which istiod always sends: they exchange metadata of the peers for statistics, and
// choose an ALPN that only that build reads.
constexpr std::string_view kIstioNames[] = {"istio.metadata_exchange", "istio.stats", "istio.alpn",
                                            "waypoint_downstream_peer_metadata", "waypoint_upstream_peer_metadata"};

void read_router(const google::protobuf::Any& any, HttpConnectionSettings& out, Fields& fields) {
  envoy::extensions::filters::http::router::v3::Router router;
  if (!fields.unpack(any, router)) return;
  // Statistics, spans and how failures of gRPC are counted are for observation.
  fields.only(router, {router.kDynamicStatsFieldNumber, router.kStartChildSpanFieldNumber,
                       router.kSuppressGrpcRequestFailureCodeStatsFieldNumber, router.kSuppressEnvoyHeadersFieldNumber});
  out.suppresses_envoy_headers = router.suppress_envoy_headers();
}

void read_fault(const google::protobuf::Any& any, Fields& fields) {
  envoy::extensions::filters::http::fault::v3::HTTPFault fault;
  // Faults stand at routes; these are for observation.
  if (fields.unpack(any, fault)) fields.only(fault, {fault.kDisableDownstreamClusterStatsFieldNumber});
}

void read_forward_proxy(const google::protobuf::Any& any, Fields& fields) {
  const std::optional<LooseMessage> proto = LooseMessage::unpack(any, fields);
  // The cache is described again at the cluster, which is where names are resolved; the address is kept for logs only.
  if (proto) proto->only({"dns_cache_config", "save_upstream_address"}, fields);
}

// Only counts, for observation.
void read_grpc_stats(const google::protobuf::Any& any, Fields& fields) {
  envoy::extensions::filters::http::grpc_stats::v3::FilterConfig stats;
  if (!fields.unpack(any, stats)) return;
  fields.only(stats, {stats.kEmitFilterStateFieldNumber, stats.kIndividualMethodStatsAllowlistFieldNumber, stats.kStatsForAllMethodsFieldNumber,
                      stats.kEnableUpstreamStatsFieldNumber, stats.kReplaceDotsInGrpcServiceNameFieldNumber});
}

// True if this was the router.
bool read_filter(const HttpFilter& filter, HttpConnectionSettings& out, Fields& fields) {
  const google::protobuf::Any& any = filter.typed_config();
  const std::string_view type = type_name(any);
  if (type == kRouter) {
    read_router(any, out, fields);
    return true;
  }
  if (type == kFault) {
    read_fault(any, fields);
    out.fault_filter = true;
  } else if (type == kCors) {
    envoy::extensions::filters::http::cors::v3::Cors cors;
    if (fields.unpack(any, cors)) fields.only(cors, {});
    out.cors_filter = true;
  } else if (type == kGrpcWeb) {
    if (const std::optional<LooseMessage> proto = LooseMessage::unpack(any, fields)) proto->only({}, fields);
    out.grpc_web_filter = true;
  } else if (type == kForwardProxy) {
    read_forward_proxy(any, fields);
    out.dynamic_forward_proxy_filter = true;
  } else if (std::find(std::begin(kIstioNames), std::end(kIstioNames), filter.name()) != std::end(kIstioNames)) {
    fields.note("filter " + filter.name() + " is left out: it has a meaning only between proxies of Istio's own build");
  } else if (type == kGrpcStats) {
    read_grpc_stats(any, fields);
  } else {
    if (filter.is_optional()) fields.note("optional filter " + filter.name() + " is left out");
    else fields.unsupported("filter " + filter.name() + " is not supported");
  }
  return false;
}

}  // namespace

void compile_http_filters(const google::protobuf::RepeatedPtrField<HttpFilter>& protos, HttpConnectionSettings& out, Fields& fields) {
  out.fault_filter = out.cors_filter = false;
  bool routed = false;
  for (int i = 0; i < protos.size(); ++i) {
    const Fields::At at(fields, "http_filters", i);
    const HttpFilter& filter = protos.Get(i);
    fields.only(filter, {filter.kNameFieldNumber, filter.kTypedConfigFieldNumber, filter.kConfigDiscoveryFieldNumber,
                         filter.kIsOptionalFieldNumber, filter.kDisabledFieldNumber});
    if (filter.disabled()) continue;  // until a route enables it, and that is refused there
    if (filter.has_config_discovery()) fields.unsupported("config_discovery is not supported");
    else routed = read_filter(filter, out, fields) || routed;
  }
  if (!routed) fields.refuse("http_filters must end with the router");
}

}  // namespace lateen::runtime
