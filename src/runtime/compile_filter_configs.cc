// What a route or virtual host says to the filters: typed_per_filter_config, and the older cors field.

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/filters/http/cors/v3/cors.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <google/protobuf/any.pb.h>

#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;
using HttpFault = envoy::extensions::filters::http::fault::v3::HTTPFault;

constexpr std::string_view kFaultFilter = "envoy.filters.http.fault", kCorsFilter = "envoy.filters.http.cors";
constexpr std::string_view kFilterConfig = "envoy.config.route.v3.FilterConfig";

Fault read_fault(const google::protobuf::Any& any, Fields& fields) {
  HttpFault proto;
  Fault out;
  if (!fields.unpack(any, proto)) return out;
  // Statistics of the downstream are for observation.
  fields.only(proto, {proto.kDelayFieldNumber, proto.kAbortFieldNumber, proto.kDisableDownstreamClusterStatsFieldNumber});
  if (proto.has_delay()) {
    const Fields::At at(fields, "delay");
    const auto& delay = proto.delay();
    fields.only(delay, {delay.kFixedDelayFieldNumber, delay.kPercentageFieldNumber});
    out.delay = fields.duration(delay.fixed_delay());
    out.delay_per_million = fields.per_million(delay.percentage());
    if (*out.delay == Duration::zero()) fields.refuse("fixed_delay must be more than 0");
  }
  if (!proto.has_abort()) return out;
  const Fields::At at(fields, "abort");
  const auto& abort = proto.abort();
  fields.only(abort, {abort.kHttpStatusFieldNumber, abort.kGrpcStatusFieldNumber, abort.kPercentageFieldNumber});
  out.abort_per_million = fields.per_million(abort.percentage());
  if (abort.http_status() == 0) {
    out.abort_grpc_status = abort.grpc_status();
  } else if (abort.http_status() < 200 || abort.http_status() > 599) {
    fields.refuse("http_status must be 200 to 599");
  } else {
    out.abort_status = static_cast<std::uint16_t>(abort.http_status());
  }
  return out;
}

// envoy.extensions.filters.http.cors.v3.CorsPolicy, and envoy.config.route.v3.CorsPolicy, which came before it.
template <class Proto>
Boxed<Cors> read_cors(const Proto& proto, Fields& fields) {
  // Policies in the shadow only count, and nobody reads the figures.
  fields.only(proto, {proto.kAllowOriginStringMatchFieldNumber, proto.kAllowMethodsFieldNumber, proto.kAllowHeadersFieldNumber,
                      proto.kExposeHeadersFieldNumber, proto.kMaxAgeFieldNumber, proto.kAllowCredentialsFieldNumber,
                      proto.kFilterEnabledFieldNumber, proto.kShadowEnabledFieldNumber, proto.kAllowPrivateNetworkAccessFieldNumber,
                      proto.kForwardNotMatchingPreflightsFieldNumber});
  Boxed<Cors> out(Cors{});
  for (int i = 0; i < proto.allow_origin_string_match_size(); ++i) {
    const Fields::At at(fields, "allow_origin_string_match", i);
    out->allow_origins.push_back(fields.string_matcher(proto.allow_origin_string_match(i)));
  }
  out->allow_methods = proto.allow_methods();
  out->allow_headers = proto.allow_headers();
  out->expose_headers = proto.expose_headers();
  out->max_age = proto.max_age();
  if (proto.has_allow_credentials()) out->allow_credentials = proto.allow_credentials().value();
  if (proto.has_allow_private_network_access()) out->allow_private_network = proto.allow_private_network_access().value();
  if (proto.has_forward_not_matching_preflights()) out->forward_not_matching_preflights = proto.forward_not_matching_preflights().value();
  if (proto.has_filter_enabled()) out->enabled.per_million = fields.fraction(proto.filter_enabled(), "filter_enabled");
  return out;
}

void read_one(const std::string& name, const google::protobuf::Any& any, FilterConfigs& out, Fields& fields) {
  if (type_name(any) == kFilterConfig) {
    route::FilterConfig wrapped;
    if (!fields.unpack(any, wrapped)) return;
    fields.only(wrapped, {wrapped.kConfigFieldNumber, wrapped.kIsOptionalFieldNumber, wrapped.kDisabledFieldNumber});
    const Fields::At at(fields, "config");
    if (type_name(wrapped.config()) == kFilterConfig) fields.refuse("one FilterConfig inside another");
    else if (wrapped.disabled() && name == kFaultFilter) out.fault.emplace();
    else if (wrapped.disabled() && name == kCorsFilter) out.cors.emplace();
    else if (wrapped.disabled()) fields.unsupported("only fault and cors can be disabled");
    else if (wrapped.is_optional() && name != kFaultFilter && name != kCorsFilter) fields.note("optional filter " + name + " is left out");
    else read_one(name, wrapped.config(), out, fields);
  } else if (name == kFaultFilter) {
    out.fault = read_fault(any, fields);
  } else if (name == kCorsFilter) {
    envoy::extensions::filters::http::cors::v3::CorsPolicy cors;
    if (fields.unpack(any, cors)) out.cors = read_cors(cors, fields);
  } else {
    fields.unsupported("filter " + name + " is not supported");
  }
}

}  // namespace

FilterConfigs compile_filter_configs(const google::protobuf::Map<std::string, google::protobuf::Any>& configs,
                                     const route::CorsPolicy* old_cors, Fields& fields) {
  FilterConfigs out;
  for (const auto& [name, any] : configs) {
    const Fields::At at(fields, "typed_per_filter_config." + name);
    read_one(name, any, out, fields);
  }
  if (old_cors == nullptr) return out;
  const Fields::At at(fields, "cors");
  if (out.cors) {
    fields.note("has no effect beside typed_per_filter_config");
    return out;
  }
  out.cors = read_cors(*old_cors, fields);
  return out;
}

}  // namespace lateen::runtime
