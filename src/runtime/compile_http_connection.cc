// The handlers of filter chains: the HTTP connection manager and the TCP proxy, and their access logs.

#include <envoy/config/accesslog/v3/accesslog.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>

#include "runtime/compile_listener.h"
#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

using Manager = envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using HttpFilter = envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using FileLog = envoy::extensions::access_loggers::file::v3::FileAccessLog;
using Tcp = envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

constexpr std::string_view kRouter = "envoy.extensions.filters.http.router.v3.Router";
constexpr std::string_view kFault = "envoy.extensions.filters.http.fault.v3.HTTPFault";
constexpr std::string_view kUuid = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig";
constexpr std::string_view kFileLog = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
// Filters without an effect on traffic: statistics; CORS, which acts only where a route has a policy (and that is refused
// there); Istio's exchange of metadata, its statistics, and its ALPN override, which needs TLS.
constexpr std::string_view kHarmlessTypes[] = {
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
    "envoy.extensions.filters.http.cors.v3.Cors",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
};
constexpr std::string_view kHarmlessNames[] = {"istio.metadata_exchange", "istio.stats", "istio.alpn"};
constexpr std::uint32_t kHeaderKilobytesMax = 8192;  // Envoy's
// Envoy's format where a file log has none.
constexpr std::string_view kDefaultLogFormat =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% "
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" "
    "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

bool is_harmless(const HttpFilter& filter) {
  return std::find(std::begin(kHarmlessTypes), std::end(kHarmlessTypes), type_name(filter.typed_config())) != std::end(kHarmlessTypes) ||
         std::find(std::begin(kHarmlessNames), std::end(kHarmlessNames), filter.name()) != std::end(kHarmlessNames);
}

void compile_http_filters(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  out.fault_filter = false;
  bool routed = false;
  for (int i = 0; i < proto.http_filters_size(); ++i) {
    const Fields::At at(fields, "http_filters", i);
    const HttpFilter& filter = proto.http_filters(i);
    const std::string_view type = type_name(filter.typed_config());
    if (filter.disabled()) continue;  // until a route enables it, and that is refused there
    if (filter.has_config_discovery()) {
      fields.unsupported("config_discovery is not supported");
    } else if (type == kRouter) {
      envoy::extensions::filters::http::router::v3::Router router;
      if (fields.unpack(filter.typed_config(), router)) fields.only(router, {router.kDynamicStatsFieldNumber, router.kStartChildSpanFieldNumber});
      routed = true;
    } else if (type == kFault) {
      envoy::extensions::filters::http::fault::v3::HTTPFault fault;
      if (fields.unpack(filter.typed_config(), fault)) fields.only(fault, {});  // faults stand at routes
      out.fault_filter = true;
    } else if (!is_harmless(filter)) {
      if (filter.is_optional()) fields.note("optional filter " + filter.name() + " is left out");
      else fields.unsupported("filter " + filter.name() + " is not supported");
    }
  }
  if (!routed) fields.refuse("http_filters must end with the router");
}

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
  const auto read = [&](std::string_view name, bool has, const google::protobuf::Duration& value, Duration& to) {
    if (!has) return;
    const Fields::At at(fields, name);
    to = fields.duration(value);
  };
  read("stream_idle_timeout", proto.has_stream_idle_timeout(), proto.stream_idle_timeout(), out.stream_idle_timeout);
  read("request_timeout", proto.has_request_timeout(), proto.request_timeout(), out.request_timeout);
  read("request_headers_timeout", proto.has_request_headers_timeout(), proto.request_headers_timeout(), out.request_headers_timeout);
  const auto& common = proto.common_http_protocol_options();
  read("common_http_protocol_options.idle_timeout", common.has_idle_timeout(), common.idle_timeout(), out.idle_timeout);
}

void compile_limits(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  const auto& common = proto.common_http_protocol_options();
  fields.only(common, {common.kIdleTimeoutFieldNumber, common.kMaxHeadersCountFieldNumber,
                       common.kHeadersWithUnderscoresActionFieldNumber});
  using Options = std::remove_cvref_t<decltype(common)>;
  switch (static_cast<int>(common.headers_with_underscores_action())) {
    case Options::ALLOW: out.underscores = UnderscoresInNames::kAllow; break;
    case Options::REJECT_REQUEST: out.underscores = UnderscoresInNames::kReject; break;
    case Options::DROP_HEADER: out.underscores = UnderscoresInNames::kDrop; break;
    default: fields.refuse("unknown headers_with_underscores_action"); break;
  }
  if (common.has_max_headers_count()) out.request_headers_count_max = common.max_headers_count().value();
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

void compile_upgrades(const Manager& proto, HttpConnectionSettings& out, Fields& fields) {
  out.websocket_upgrades = false;
  for (int i = 0; i < proto.upgrade_configs_size(); ++i) {
    const Fields::At at(fields, "upgrade_configs", i);
    const auto& config = proto.upgrade_configs(i);
    fields.only(config, {config.kUpgradeTypeFieldNumber, config.kEnabledFieldNumber});
    if (equals_ignoring_case(config.upgrade_type(), "websocket")) out.websocket_upgrades = !config.has_enabled() || config.enabled().value();
    else fields.unsupported("only websocket is supported");
  }
}

void compile_routes(const Manager& proto, const std::string& inline_name, HttpConnectionSettings& out,
                    std::vector<std::shared_ptr<const RouteTable>>& inline_tables, ClusterNames& names, Fields& fields) {
  if (proto.has_rds()) {
    out.route_table = proto.rds().route_config_name();
    if (out.route_table.empty()) fields.refuse("rds.route_config_name must not be empty");
    if (!proto.rds().config_source().has_ads()) fields.unsupported("rds: only ADS is supported as a source");
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
  if (proto.has_request_id_extension() && type_name(proto.request_id_extension().typed_config()) != kUuid)
    fields.unsupported("request_id_extension: only UUIDs are supported");
  // Without TLS every other mode removes what the client sent.
  if (proto.forward_client_cert_details() == Manager::ALWAYS_FORWARD_ONLY)
    fields.unsupported("forward_client_cert_details: ALWAYS_FORWARD_ONLY is not supported");
  if (proto.codec_type() != Manager::AUTO && proto.codec_type() != Manager::HTTP1) fields.unsupported("codec_type: only HTTP/1 is supported");
}

// The format of one log, or nothing and a note.
std::optional<std::string> log_format(const FileLog& log, Fields& fields) {
  switch (log.access_log_format_case()) {
    case FileLog::ACCESS_LOG_FORMAT_NOT_SET: return std::string(kDefaultLogFormat);
    case FileLog::kFormat: return log.format();
    case FileLog::kLogFormat:
      if (log.log_format().has_text_format_source()) return log.log_format().text_format_source().inline_string();
      if (!log.log_format().text_format().empty()) return log.log_format().text_format();
      break;
    case FileLog::kJsonFormat:
    case FileLog::kTypedJsonFormat: break;
  }
  fields.note("only text formats can be written; there will be no access log");
  return std::nullopt;
}

}  // namespace

void compile_access_log(const google::protobuf::RepeatedPtrField<envoy::config::accesslog::v3::AccessLog>& logs,
                        std::optional<std::string>& format, std::string& path, Fields& fields) {
  for (int i = 0; i < logs.size(); ++i) {
    const Fields::At at(fields, "access_log", i);
    const auto& log = logs.Get(i);
    FileLog file;
    if (log.has_filter()) fields.note("a filter is not supported; this log is not written");
    else if (type_name(log.typed_config()) != kFileLog) fields.note(log.name() + " is not supported; this log is not written");
    else if (format) fields.note("a second log is not written");
    else if (fields.unpack(log.typed_config(), file)) {
      format = log_format(file, fields);
      path = file.path();
    }
  }
}

HttpConnectionSettings compile_http_connection(const google::protobuf::Any& any, const std::string& inline_name,
                                               std::vector<std::shared_ptr<const RouteTable>>& inline_tables,
                                               ClusterNames& names, Fields& fields) {
  HttpConnectionSettings out;
  Manager proto;
  if (!fields.unpack(any, proto)) return out;
  // Tracing is for observation; HTTP/2's settings wait for HTTP/2; drain and delayed close are times of shutting down.
  fields.only(proto, {proto.kCodecTypeFieldNumber, proto.kStatPrefixFieldNumber, proto.kRdsFieldNumber, proto.kRouteConfigFieldNumber,
                      proto.kScopedRoutesFieldNumber, proto.kHttpFiltersFieldNumber, proto.kTracingFieldNumber,
                      proto.kCommonHttpProtocolOptionsFieldNumber, proto.kHttpProtocolOptionsFieldNumber,
                      proto.kHttp2ProtocolOptionsFieldNumber, proto.kServerNameFieldNumber, proto.kMaxRequestHeadersKbFieldNumber,
                      proto.kStreamIdleTimeoutFieldNumber, proto.kRequestTimeoutFieldNumber, proto.kRequestHeadersTimeoutFieldNumber,
                      proto.kDrainTimeoutFieldNumber, proto.kDelayedCloseTimeoutFieldNumber, proto.kAccessLogFieldNumber,
                      proto.kUseRemoteAddressFieldNumber, proto.kXffNumTrustedHopsFieldNumber, proto.kGenerateRequestIdFieldNumber,
                      proto.kPreserveExternalRequestIdFieldNumber, proto.kForwardClientCertDetailsFieldNumber,
                      proto.kSetCurrentClientCertDetailsFieldNumber, proto.kProxy100ContinueFieldNumber,
                      proto.kUpgradeConfigsFieldNumber, proto.kNormalizePathFieldNumber, proto.kMergeSlashesFieldNumber,
                      proto.kPathWithEscapedSlashesActionFieldNumber, proto.kRequestIdExtensionFieldNumber});
  out.stat_prefix = proto.stat_prefix();
  out.proxies_100_continue = proto.proxy_100_continue();
  compile_routes(proto, inline_name, out, inline_tables, names, fields);
  compile_http_filters(proto, out, fields);
  compile_paths(proto, out, fields);
  compile_times(proto, out, fields);
  compile_limits(proto, out, fields);
  compile_http1(proto, out, fields);
  compile_upgrades(proto, out, fields);
  compile_identity(proto, out, fields);
  compile_access_log(proto.access_log(), out.access_log_format, out.access_log_path, fields);
  return out;
}

TcpProxySettings compile_tcp_proxy(const google::protobuf::Any& any, ClusterNames& names, Fields& fields) {
  TcpProxySettings out;
  Tcp proto;
  if (!fields.unpack(any, proto)) return out;
  fields.only(proto, {proto.kStatPrefixFieldNumber, proto.kClusterFieldNumber, proto.kWeightedClustersFieldNumber,
                      proto.kIdleTimeoutFieldNumber, proto.kAccessLogFieldNumber, proto.kMaxConnectAttemptsFieldNumber});
  out.stat_prefix = proto.stat_prefix();
  const auto add = [&](const std::string& name, std::uint32_t weight) {
    WeightedCluster cluster;
    cluster.name = name;
    cluster.id = names.id(name);
    cluster.weight = weight;
    out.weight_total += weight;
    out.clusters.push_back(std::move(cluster));
  };
  if (!proto.cluster().empty()) add(proto.cluster(), 1);
  for (const auto& cluster : proto.weighted_clusters().clusters()) {
    fields.only(cluster, {cluster.kNameFieldNumber, cluster.kWeightFieldNumber});
    add(cluster.name(), cluster.weight());
  }
  if (out.weight_total == 0) fields.refuse("names no cluster with a weight");
  if (proto.has_idle_timeout()) {
    const Fields::At at(fields, "idle_timeout");
    out.idle_timeout = fields.duration(proto.idle_timeout());
  }
  if (proto.has_max_connect_attempts()) out.connect_attempts_max = proto.max_connect_attempts().value();
  if (out.connect_attempts_max == 0) fields.refuse("max_connect_attempts must be at least 1");
  compile_access_log(proto.access_log(), out.access_log_format, out.access_log_path, fields);
  return out;
}

}  // namespace lateen::runtime
