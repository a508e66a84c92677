// Fault injection and CORS: what the filters of a connection manager read from the route.
#include <envoy/extensions/filters/http/cors/v3/cors.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>

#include <array>
#include <cmath>

#include "translate/routes.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace fault_v3 = envoy::extensions::filters::http::fault::v3;
namespace cors_v3 = envoy::extensions::filters::http::cors::v3;
using Fraction = envoy::type::v3::FractionalPercent;

// Percent of 0..100 with four places; what is finer is cut off, as istiod does.
void set_fraction(Fraction& out, double percent) {
  constexpr double kPerPercent = 10'000;
  out.set_numerator(static_cast<std::uint32_t>(percent * kPerPercent));
  out.set_denominator(Fraction::MILLION);
}

std::uint32_t grpc_code(std::string_view name) {
  constexpr std::array<std::string_view, 17> kCodes{
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
      "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
      "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
  for (std::uint32_t i = 0; i < kCodes.size(); ++i)
    if (kCodes[i] == name) return i;
  return 2;  // admitted names are all in the list
}

fault_v3::HTTPFault fault_of(const model::HttpFaultInjection& from) {
  fault_v3::HTTPFault out;
  if (from.delay && from.delay->fixed_delay) {
    auto& delay = *out.mutable_delay();
    set_duration(*delay.mutable_fixed_delay(), *from.delay->fixed_delay);
    if (from.delay->percentage) set_fraction(*delay.mutable_percentage(), *from.delay->percentage);
    else delay.mutable_percentage()->set_numerator(static_cast<std::uint32_t>(from.delay->percent));
  }
  if (from.abort && (from.abort->http_status || !from.abort->grpc_status.empty())) {
    auto& abort = *out.mutable_abort();
    if (from.abort->percentage) set_fraction(*abort.mutable_percentage(), *from.abort->percentage);
    if (from.abort->http_status) abort.set_http_status(*from.abort->http_status);
    else abort.set_grpc_status(grpc_code(from.abort->grpc_status));
  }
  return out;
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& entry : list) {
    if (!out.empty()) out += ',';
    out += entry;
  }
  return out;
}

cors_v3::CorsPolicy cors_of(const model::CorsPolicy& from) {
  cors_v3::CorsPolicy out;
  out.mutable_forward_not_matching_preflights()->set_value(from.unmatched_preflights != "IGNORE");
  for (const model::StringMatch& origin : from.allow_origins) {
    auto& match = *out.add_allow_origin_string_match();
    if (origin.kind == model::StringMatch::Kind::kExact) match.set_exact(origin.value);
    else if (origin.kind == model::StringMatch::Kind::kPrefix) match.set_prefix(origin.value);
    else match.mutable_safe_regex()->set_regex(origin.value);
  }
  if (from.allow_origins.empty())
    for (const std::string& origin : from.allow_origin) out.add_allow_origin_string_match()->set_exact(origin);
  out.mutable_filter_enabled()->mutable_default_value()->set_numerator(100);
  if (from.allow_credentials) out.mutable_allow_credentials()->set_value(*from.allow_credentials);
  out.set_allow_headers(joined(from.allow_headers));
  out.set_allow_methods(joined(from.allow_methods));
  out.set_expose_headers(joined(from.expose_headers));
  if (from.max_age)
    out.set_max_age(std::to_string(std::chrono::duration_cast<std::chrono::seconds>(*from.max_age).count()));
  return out;
}

}  // namespace

void fill_filters(envoy::config::route::v3::Route& out, const model::HttpRoute& rule) {
  auto& filters = *out.mutable_typed_per_filter_config();
  if (rule.fault) xds::pack(fault_of(*rule.fault), filters["envoy.filters.http.fault"]);
  if (rule.cors_policy) xds::pack(cors_of(*rule.cors_policy), filters["envoy.filters.http.cors"]);
}

}  // namespace lateen::translate
