// The HTTP connection manager of a filter chain.

#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/request_id/uuid/v3/uuid.pb.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>

#include "runtime/compile_listener.h"
#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

using Manager = envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

constexpr std::uint32_t kHeaderKilobytesMax = 8192;  // Envoy's
constexpr std::uint32_t kStreamsMax = 0x7fffffff, kWindowMin = 65535;

void compile_paths(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  out.normalize_path = proto.normalize_path().value();
  out.merge_slashes = proto.merge_slashes();
  switch (static_cast<int>(proto.path_with_escaped_slashes_action())) {
    case Manager::IMPLEMENTATION_SPECIFIC_DEFAULT:
    case Manager::KEEP_UNCHANGED: out.escaped_slashes = EscapedSlashes::kKeep; break;
    case Manager::REJECT_REQUEST: out.escaped_slashes = EscapedSlashes::kReject; break;
    case Manager::UNESCAPE_AND_REDIRECT: out.escaped_slashes = EscapedSlashes::kUnescapeAndRedirect; break;
    case Manager::UNESCAPE_AND_FORWARD: out.escaped_slashes = EscapedSlashes::kUnescapeAndForward; break;
    default: fields.refuse("unknown path_with_escaped_slashes_action"); break;
  }
}

void compile_times(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  const auto read = [&](std::string_view name, bool has, const google::protobuf::Duration& value, auto& to) {
    if (!has) return;
    const Fields::At at(fields, name);
    to = fields.duration(value);
  };
  read("stream_idle_timeout", proto.has_stream_idle_timeout(), proto.stream_idle_timeout(), out.stream_idle_timeout);
  read("request_timeout", proto.has_request_timeout(), proto.request_timeout(), out.request_timeout);
  read("request_headers_timeout", proto.has_request_headers_timeout(), proto.request_headers_timeout(), out.request_headers_timeout);
  const auto& common = proto.common_http_protocol_options();
  read("common_http_protocol_options.idle_timeout", common.has_idle_timeout(), common.idle_timeout(), out.idle_timeout);
  read("common_http_protocol_options.max_connection_duration", common.has_max_connection_duration(), common.max_connection_duration(),
       out.max_connection_duration);
  read("common_http_protocol_options.max_stream_duration", common.has_max_stream_duration(), common.max_stream_duration(), out.stream_duration_max);
}

void compile_limits(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  const auto& common = proto.common_http_protocol_options();
  const Fields::At at(fields, "common_http_protocol_options");
  fields.only(common, {common.kIdleTimeoutFieldNumber, common.kMaxHeadersCountFieldNumber, common.kMaxConnectionDurationFieldNumber,
                       common.kMaxStreamDurationFieldNumber, common.kMaxRequestsPerConnectionFieldNumber, common.kHeadersWithUnderscoresActionFieldNumber});
  out.requests_per_connection_max = common.max_requests_per_connection().value();
  using Options = std::remove_cvref_t<decltype(common)>;
  switch (static_cast<int>(common.headers_with_underscores_action())) {
    case Options::ALLOW: out.underscores = UnderscoresInNames::kAllow; break;
    case Options::REJECT_REQUEST: out.underscores = UnderscoresInNames::kReject; break;
    case Options::DROP_HEADER: out.underscores = UnderscoresInNames::kDrop; break;
    default: fields.refuse("unknown headers_with_underscores_action"); break;
  }
  if (common.has_max_headers_count()) out.request_headers_count_max = common.max_headers_count().value();
}

void compile_header_size(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  if (!proto.has_max_request_headers_kb()) return;
  const std::uint32_t kilobytes = proto.max_request_headers_kb().value();
  if (kilobytes == 0 || kilobytes > kHeaderKilobytesMax) fields.refuse("max_request_headers_kb must be 1 to 8192");
  else out.request_headers_bytes_max = kilobytes * 1024;
}

void compile_http1(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  const Fields::At at(fields, "http_protocol_options");
  const auto& options = proto.http_protocol_options();
  fields.only(options, {options.kAllowAbsoluteUrlFieldNumber, options.kAcceptHttp10FieldNumber});
  if (options.has_allow_absolute_url()) out.accepts_absolute_url = options.allow_absolute_url().value();
  out.accepts_http_10 = options.accept_http_10();
}

void compile_http2(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  const Fields::At at(fields, "http2_protocol_options");
  const auto& options = proto.http2_protocol_options();
  // The bounds against floods are our own; so is the size of the table of header fields, which the peer cannot tell.
  fields.only(options, {options.kMaxConcurrentStreamsFieldNumber, options.kInitialStreamWindowSizeFieldNumber,
                        options.kInitialConnectionWindowSizeFieldNumber, options.kAllowConnectFieldNumber,
                        options.kHpackTableSizeFieldNumber, options.kMaxOutboundFramesFieldNumber,
                        options.kMaxOutboundControlFramesFieldNumber, options.kMaxConsecutiveInboundFramesWithEmptyPayloadFieldNumber,
                        options.kMaxInboundPriorityFramesPerStreamFieldNumber,
                        options.kMaxInboundWindowUpdateFramesPerDataFrameSentFieldNumber, options.kUseOghttp2CodecFieldNumber,
                        options.kConnectionKeepaliveFieldNumber});
  if (options.has_connection_keepalive()) fields.note("connection_keepalive: clients are not asked by PING whether they are there");
  const auto read = [&](std::string_view name, bool has, std::uint32_t value, std::uint32_t min, std::uint32_t& to) {
    if (!has) return;
    const Fields::At at_field(fields, name);
    if (value < min || value > kStreamsMax) fields.refuse("must be " + std::to_string(min) + " to 2147483647");
    to = value;
  };
  read("max_concurrent_streams", options.has_max_concurrent_streams(), options.max_concurrent_streams().value(), 1, out.http2_streams_max);
  read("initial_stream_window_size", options.has_initial_stream_window_size(), options.initial_stream_window_size().value(), kWindowMin,
       out.http2_stream_window_bytes);
  read("initial_connection_window_size", options.has_initial_connection_window_size(), options.initial_connection_window_size().value(),
       kWindowMin, out.http2_connection_window_bytes);
  out.http2_extended_connect = options.allow_connect();
}

void compile_codec(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  using Codec = HttpConnectionSettings::Codec;
  switch (static_cast<int>(proto.codec_type())) {
    case Manager::AUTO: out.codec = Codec::kAuto; break;
    case Manager::HTTP1: out.codec = Codec::kHttp1; break;
    case Manager::HTTP2: out.codec = Codec::kHttp2; break;
    case Manager::HTTP3: fields.unsupported("codec_type: HTTP3 is not supported"); break;
    default: fields.refuse("unknown codec_type"); break;
  }
}

void compile_upgrades(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  out.websocket_upgrades = false;
  for (int i = 0; i < proto.upgrade_configs_size(); ++i) {
    const Fields::At at(fields, "upgrade_configs", i);
    const auto& config = proto.upgrade_configs(i);
    fields.only(config, {config.kUpgradeTypeFieldNumber, config.kEnabledFieldNumber});
    const bool enabled = !config.has_enabled() || config.enabled().value();
    if (equals_ignoring_case(config.upgrade_type(), "websocket")) out.websocket_upgrades = enabled;
    else if (equals_ignoring_case(config.upgrade_type(), "connect")) out.connect_upgrades = enabled;
    else if (enabled) fields.unsupported("only websocket and CONNECT are supported");
  }
}

void compile_routes(const Manager& proto, const std::string& inline_name, HttpConnectionSettings& out,
                    std::vector<std::shared_ptr<const RouteTable>>& inline_tables, ClusterNames& names, Fields& fields) {
  if (proto.has_rds()) {
    out.route_table = proto.rds().route_config_name();
    fields.only(proto.rds(), {proto.rds().kConfigSourceFieldNumber, proto.rds().kRouteConfigNameFieldNumber});
    if (out.route_table.empty()) fields.refuse("rds.route_config_name must not be empty");
    fields.source(proto.rds().config_source(), "rds.config_source");
    return;
  }
  if (!proto.has_route_config()) {
    fields.unsupported("scoped_routes is not supported");
    return;
  }
  const Fields::At at(fields, "route_config");
  out.route_table = inline_name;
  std::vector<std::shared_ptr<const VirtualHost>> hosts;
  for (int i = 0; i < proto.route_config().virtual_hosts_size(); ++i) {
    const Fields::At at_host(fields, "virtual_hosts", i);
    if (auto host = compile_virtual_host(proto.route_config().virtual_hosts(i), 0, names, fields)) hosts.push_back(std::move(host));
    else return;
  }
  auto table = compile_route_table(proto.route_config(), std::move(hosts), nullptr, fields);
  if (table == nullptr) return;
  table->name = inline_name;
  inline_tables.push_back(std::move(table));
}

void compile_identity(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  if (!proto.server_name().empty()) out.server_name = proto.server_name();
  out.use_remote_address = proto.use_remote_address().value();
  out.trusted_hops = proto.xff_num_trusted_hops();
  out.generate_request_id = !proto.has_generate_request_id() || proto.generate_request_id().value();
  out.preserve_external_request_id = proto.preserve_external_request_id();
  if (proto.has_request_id_extension()) {
    const Fields::At at(fields, "request_id_extension");
    fields.only(proto.request_id_extension(), {proto.request_id_extension().kTypedConfigFieldNumber});
    envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig uuid;
    // What an identifier says of traces is for observation.
    if (fields.unpack(proto.request_id_extension().typed_config(), uuid))
      fields.only(uuid, {uuid.kPackTraceReasonFieldNumber, uuid.kUseRequestIdForTraceSamplingFieldNumber});
  }
  if (proto.server_header_transformation() != Manager::OVERWRITE) fields.note("server_header_transformation: the server header is overwritten");
  if (proto.strip_matching_host_port()) fields.unsupported("strip_matching_host_port: only strip_any_host_port is supported");
  out.strips_port = proto.strip_any_host_port();
}

void compile_client_certificate(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  switch (static_cast<int>(proto.forward_client_cert_details())) {
    case Manager::SANITIZE: out.forward_client_cert = ForwardClientCert::kSanitize; break;
    case Manager::FORWARD_ONLY: out.forward_client_cert = ForwardClientCert::kForwardOnly; break;
    case Manager::APPEND_FORWARD: out.forward_client_cert = ForwardClientCert::kAppendForward; break;
    case Manager::SANITIZE_SET: out.forward_client_cert = ForwardClientCert::kSanitizeSet; break;
    case Manager::ALWAYS_FORWARD_ONLY: out.forward_client_cert = ForwardClientCert::kAlwaysForwardOnly; break;
    default: fields.refuse("unknown forward_client_cert_details"); break;
  }
  const Fields::At at(fields, "set_current_client_cert_details");
  const auto& details = proto.set_current_client_cert_details();
  fields.only(details, {details.kSubjectFieldNumber, details.kCertFieldNumber, details.kDnsFieldNumber, details.kUriFieldNumber});
  out.client_cert_subject = details.subject().value();
  out.client_cert_pem = details.cert();
  out.client_cert_dns = details.dns();
  out.client_cert_uri = details.uri();
}

// Fields of a connection manager that change nothing here, each with the reason:
//   what tracing says, access_log_options and its older fields     for observation
//   drain_timeout, delayed_close_timeout                 times of shutting down, which have their own
//   stream_flush_timeout                                 a peer that reads nothing is bounded by the stream's idle timeout
//   http1_safe_max_connection_duration                   a connection that is too old always answers its request first
//   add_proxy_protocol_connection_state                  for filters that are not there
void only_known(const Manager& proto, Fields& fields) {
  fields.only(proto, {proto.kCodecTypeFieldNumber, proto.kStatPrefixFieldNumber, proto.kRdsFieldNumber, proto.kRouteConfigFieldNumber,
                      proto.kScopedRoutesFieldNumber, proto.kHttpFiltersFieldNumber, proto.kCommonHttpProtocolOptionsFieldNumber,
                      proto.kHttpProtocolOptionsFieldNumber, proto.kHttp2ProtocolOptionsFieldNumber, proto.kServerNameFieldNumber,
                      proto.kServerHeaderTransformationFieldNumber, proto.kMaxRequestHeadersKbFieldNumber,
                      proto.kStreamIdleTimeoutFieldNumber, proto.kRequestTimeoutFieldNumber, proto.kRequestHeadersTimeoutFieldNumber,
                      proto.kAccessLogFieldNumber, proto.kUseRemoteAddressFieldNumber, proto.kXffNumTrustedHopsFieldNumber,
                      proto.kGenerateRequestIdFieldNumber, proto.kPreserveExternalRequestIdFieldNumber,
                      proto.kForwardClientCertDetailsFieldNumber, proto.kSetCurrentClientCertDetailsFieldNumber,
                      proto.kProxy100ContinueFieldNumber, proto.kUpgradeConfigsFieldNumber, proto.kNormalizePathFieldNumber,
                      proto.kMergeSlashesFieldNumber, proto.kPathWithEscapedSlashesActionFieldNumber,
                      proto.kRequestIdExtensionFieldNumber, proto.kStripMatchingHostPortFieldNumber, proto.kStripAnyHostPortFieldNumber,
                      // see above
                      proto.kTracingFieldNumber, proto.kAccessLogOptionsFieldNumber, proto.kAccessLogFlushIntervalFieldNumber,
                      proto.kFlushAccessLogOnNewRequestFieldNumber, proto.kDrainTimeoutFieldNumber, proto.kDelayedCloseTimeoutFieldNumber,
                      proto.kStreamFlushTimeoutFieldNumber, proto.kHttp1SafeMaxConnectionDurationFieldNumber,
                      proto.kAddProxyProtocolConnectionStateFieldNumber});
}

}  // namespace

HttpConnectionSettings compile_http_connection(const google::protobuf::Any& any, const std::string& inline_name,
                                               std::vector<std::shared_ptr<const RouteTable>>& inline_tables,
                                               ClusterNames& names, Fields& fields) {
  HttpConnectionSettings out;
  Manager proto;
  if (!fields.unpack(any, proto)) return out;
  only_known(proto, fields);
  out.stat_prefix = proto.stat_prefix();
  out.proxies_100_continue = proto.proxy_100_continue();
  out.names_operations = proto.has_tracing();
  compile_routes(proto, inline_name, out, inline_tables, names, fields);
  compile_http_filters(proto.http_filters(), out, fields);
  compile_paths(proto, out, fields);
  compile_times(proto, out, fields);
  compile_limits(proto, out, fields);
  compile_header_size(proto, out, fields);
  compile_codec(proto, out, fields);
  compile_http1(proto, out, fields);
  if (proto.has_http2_protocol_options()) compile_http2(proto, out, fields);
  compile_upgrades(proto, out, fields);
  compile_identity(proto, out, fields);
  compile_client_certificate(proto, out, fields);
  compile_access_log(proto.access_log(), out.access_log_format, out.access_log_path, fields);
  return out;
}

}  // namespace lateen::runtime
