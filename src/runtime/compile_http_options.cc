// The HTTP of a cluster: HttpProtocolOptions, and the older fields of a cluster that say the same.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>

#include "runtime/compile_cluster.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr std::string_view kHttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr std::string_view kUpstreamCodec = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
constexpr std::uint32_t kStreamsMax = 0x7fffffff, kWindowMin = 65535;

void read_http1(const core::Http1ProtocolOptions& proto, Fields& fields) {
  const Fields::At at(fields, "http_protocol_options");
  // What a server accepts has no meaning for a client.
  fields.only(proto, {proto.kAllowAbsoluteUrlFieldNumber, proto.kAcceptHttp10FieldNumber, proto.kDefaultHostForHttp10FieldNumber});
}

void read_keepalive(const core::KeepaliveSettings& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "connection_keepalive");
  // The jitter only spreads the pings.
  fields.only(proto, {proto.kIntervalFieldNumber, proto.kTimeoutFieldNumber, proto.kIntervalJitterFieldNumber});
  Cluster::Http2Keepalive keepalive;
  keepalive.interval = fields.duration(proto.interval());
  keepalive.timeout = fields.duration(proto.timeout());
  if (keepalive.timeout < std::chrono::milliseconds(1)) fields.refuse("timeout must be at least 1 ms");
  if (keepalive.interval > Duration::zero()) out.http2_keepalive = keepalive;
}

void read_http2(const core::Http2ProtocolOptions& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "http2_protocol_options");
  // Windows and the bounds against floods are a matter of tuning: whatever they are, the same bytes arrive. Extended
  // CONNECT and metadata frames are asked for by servers, not by clients.
  fields.only(proto, {proto.kMaxConcurrentStreamsFieldNumber, proto.kConnectionKeepaliveFieldNumber,
                      proto.kInitialStreamWindowSizeFieldNumber, proto.kInitialConnectionWindowSizeFieldNumber,
                      proto.kHpackTableSizeFieldNumber, proto.kAllowConnectFieldNumber, proto.kMaxOutboundFramesFieldNumber,
                      proto.kMaxOutboundControlFramesFieldNumber, proto.kMaxConsecutiveInboundFramesWithEmptyPayloadFieldNumber,
                      proto.kMaxInboundPriorityFramesPerStreamFieldNumber,
                      proto.kMaxInboundWindowUpdateFramesPerDataFrameSentFieldNumber, proto.kUseOghttp2CodecFieldNumber});
  if (proto.has_max_concurrent_streams()) {
    out.http2_streams_max = proto.max_concurrent_streams().value();
    if (out.http2_streams_max == 0 || out.http2_streams_max > kStreamsMax) fields.refuse("max_concurrent_streams must be 1 to 2147483647");
  }
  const auto window = [&](bool has, std::uint32_t value) {
    if (has && (value < kWindowMin || value > kStreamsMax)) fields.refuse("a window must be 65535 to 2147483647");
  };
  window(proto.has_initial_stream_window_size(), proto.initial_stream_window_size().value());
  window(proto.has_initial_connection_window_size(), proto.initial_connection_window_size().value());
  if (proto.has_connection_keepalive()) read_keepalive(proto.connection_keepalive(), out, fields);
}

// http_protocol_options and http2_protocol_options of any message that has both.
template <class Proto>
void read_http1_and_http2(const Proto& proto, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kHttpProtocolOptionsFieldNumber, proto.kHttp2ProtocolOptionsFieldNumber});
  read_http1(proto.http_protocol_options(), fields);
  read_http2(proto.http2_protocol_options(), out, fields);
}

void read_common(const core::HttpProtocolOptions& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "common_http_protocol_options");
  fields.only(proto, {proto.kIdleTimeoutFieldNumber, proto.kMaxConnectionDurationFieldNumber, proto.kMaxRequestsPerConnectionFieldNumber,
                      proto.kMaxStreamDurationFieldNumber});
  if (proto.has_idle_timeout()) {
    const Fields::At at_time(fields, "idle_timeout");
    out.idle_timeout = fields.duration(proto.idle_timeout());
  }
  if (proto.has_max_connection_duration()) {
    const Fields::At at_time(fields, "max_connection_duration");
    out.connection_duration_max = fields.duration(proto.max_connection_duration());
  }
  if (proto.has_max_stream_duration()) {
    const Fields::At at_time(fields, "max_stream_duration");
    out.stream_duration_max = fields.duration(proto.max_stream_duration());
  }
  out.requests_per_connection_max = proto.max_requests_per_connection().value();
}

void read_names(const core::UpstreamHttpProtocolOptions& proto, UpstreamNames& names, Fields& fields) {
  const Fields::At at(fields, "upstream_http_protocol_options");
  fields.only(proto, {proto.kAutoSniFieldNumber, proto.kAutoSanValidationFieldNumber});
  names.sni_from_request = proto.auto_sni();
  names.names_from_sni = proto.auto_san_validation();
}

using MatchPredicate = envoy::config::common::matcher::v3::MatchPredicate;

void read_error_code(const MatchPredicate& rule, std::vector<std::uint16_t>& out, Fields& fields) {
  fields.only(rule, {rule.kHttpResponseHeadersMatchFieldNumber});
  fields.only(rule.http_response_headers_match(), {rule.http_response_headers_match().kHeadersFieldNumber});
  const Fields::At at(fields, "http_response_headers_match.headers");
  for (const auto& header : rule.http_response_headers_match().headers()) {
    // The name must be :status.
    fields.only(header, {header.kNameFieldNumber, header.kStringMatchFieldNumber});
    fields.only(header.string_match(), {header.string_match().kExactFieldNumber});
    const std::string& text = header.string_match().exact();
    const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (header.name() != ":status" || text.size() != 3 || !digits) fields.unsupported("only exact values of the header with the name :status are supported");
    else out.push_back(static_cast<std::uint16_t>(std::stoi(text)));
  }
  if (rule.http_response_headers_match().headers_size() != 1) fields.unsupported("only one header a rule is supported");
}

// Which statuses are errors to outlier detection (Istio's outlierDetectionHttpErrorCodes): a list of exact :status values.
void read_error_codes(const HttpOptions::OutlierDetection& proto, std::vector<std::uint16_t>& out, Fields& fields) {
  const Fields::At at(fields, "outlier_detection.error_matcher");
  fields.only(proto, {proto.kErrorMatcherFieldNumber});
  const MatchPredicate& matcher = proto.error_matcher();
  if (matcher.has_http_response_headers_match()) read_error_code(matcher, out, fields);
  else if (matcher.has_or_match()) {
    fields.only(matcher.or_match(), {matcher.or_match().kRulesFieldNumber});
    for (const auto& rule : matcher.or_match().rules()) read_error_code(rule, out, fields);
  }
  fields.only(matcher, {matcher.kHttpResponseHeadersMatchFieldNumber, matcher.kOrMatchFieldNumber});
}

void read_protocol(const HttpOptions& proto, Cluster& out, Fields& fields) {
  switch (proto.upstream_protocol_options_case()) {
    case HttpOptions::kExplicitHttpConfig: {
      const Fields::At at(fields, "explicit_http_config");
      out.http2 = proto.explicit_http_config().has_http2_protocol_options();
      read_http1_and_http2(proto.explicit_http_config(), out, fields);
      return;
    }
    case HttpOptions::kUseDownstreamProtocolConfig: {
      const Fields::At at(fields, "use_downstream_protocol_config");
      out.same_protocol_as_downstream = true;
      read_http1_and_http2(proto.use_downstream_protocol_config(), out, fields);
      return;
    }
    case HttpOptions::kAutoConfig: {
      const Fields::At at(fields, "auto_config");
      out.alpn_decides = true;
      read_http1_and_http2(proto.auto_config(), out, fields);
      return;
    }
    case HttpOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET: return;
  }
}

void read_options(const google::protobuf::Any& any, Cluster& out, UpstreamNames& names, Fields& fields) {
  HttpOptions proto;
  if (!fields.unpack(any, proto)) return;
  fields.only(proto, {proto.kCommonHttpProtocolOptionsFieldNumber, proto.kUpstreamHttpProtocolOptionsFieldNumber,
                      proto.kExplicitHttpConfigFieldNumber, proto.kUseDownstreamProtocolConfigFieldNumber,
                      proto.kAutoConfigFieldNumber, proto.kOutlierDetectionFieldNumber, proto.kHttpFiltersFieldNumber});
  read_common(proto.common_http_protocol_options(), out, fields);
  read_names(proto.upstream_http_protocol_options(), names, fields);
  read_protocol(proto, out, fields);
  // The codec is what every cluster ends with anyway.
  for (int i = 0; i < proto.http_filters_size(); ++i) {
    const Fields::At at(fields, "http_filters", i);
    const auto& filter = proto.http_filters(i);
    fields.only(filter, {filter.kNameFieldNumber, filter.kTypedConfigFieldNumber, filter.kIsOptionalFieldNumber});
    fields.empty_bytes(filter.typed_config());
    if (type_name(proto.http_filters(i).typed_config()) != kUpstreamCodec) fields.unsupported(proto.http_filters(i).name() + " is not supported");
  }
  std::vector<std::uint16_t> codes;
  if (proto.has_outlier_detection()) read_error_codes(proto.outlier_detection(), codes, fields);
  if (out.outlier) out.outlier->error_codes = std::move(codes);
}

// The older fields of the cluster itself; Envoy obeys them where there is no HttpProtocolOptions.
void read_old_options(const cluster::Cluster& proto, Cluster& out, UpstreamNames& names, Fields& fields) {
  if (proto.has_common_http_protocol_options()) read_common(proto.common_http_protocol_options(), out, fields);
  if (proto.has_upstream_http_protocol_options()) read_names(proto.upstream_http_protocol_options(), names, fields);
  if (proto.has_http_protocol_options()) read_http1(proto.http_protocol_options(), fields);
  if (proto.has_http2_protocol_options()) read_http2(proto.http2_protocol_options(), out, fields);
  if (proto.common_http_protocol_options().has_max_requests_per_connection())
    fields.overruled(proto, {proto.kMaxRequestsPerConnectionFieldNumber}, "common_http_protocol_options");
  else if (proto.has_max_requests_per_connection()) out.requests_per_connection_max = proto.max_requests_per_connection().value();
  out.same_protocol_as_downstream = proto.protocol_selection() == cluster::Cluster::USE_DOWNSTREAM_PROTOCOL;
  out.http2 = proto.has_http2_protocol_options() && !out.same_protocol_as_downstream;
}

}  // namespace

UpstreamNames compile_http_options(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  UpstreamNames names;
  bool given = false;
  for (const auto& [name, any] : proto.typed_extension_protocol_options()) {
    const Fields::At at(fields, "typed_extension_protocol_options");
    if (name == kHttpOptions) read_options(any, out, names, fields);
    else fields.unsupported(name + " is not supported");
    given = given || name == kHttpOptions;
  }
  if (!given) read_old_options(proto, out, names, fields);
  else fields.overruled(proto, {proto.kCommonHttpProtocolOptionsFieldNumber, proto.kUpstreamHttpProtocolOptionsFieldNumber,
                                proto.kHttpProtocolOptionsFieldNumber, proto.kHttp2ProtocolOptionsFieldNumber,
                                proto.kMaxRequestsPerConnectionFieldNumber, proto.kProtocolSelectionFieldNumber}, "HttpProtocolOptions");
  return names;
}

}  // namespace lateen::runtime
