#include "translate/network_filters.h"

#include <envoy/config/accesslog/v3/accesslog.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/filters/http/cors/v3/cors.pb.h>
#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>
#include <envoy/extensions/filters/http/grpc_stats/v3/config.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/mongo_proxy/v3/mongo_proxy.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/extensions/request_id/uuid/v3/uuid.pb.h>

#include <initializer_list>

#include "translate/dynamic_dns.h"
#include "translate/node_settings.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
namespace listener_v3 = envoy::config::listener::v3;
using AccessLog = envoy::config::accesslog::v3::AccessLog;
using TcpProxy = envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

constexpr const char* kLogPath = "/dev/stdout";
// Istio's default format (OBSERVED.md, h), one line.
constexpr const char* kLogFormat =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% "
    "%ROUTE_NAME%\n";

void fill_access_log(AccessLog& out) {
  envoy::extensions::access_loggers::file::v3::FileAccessLog file;
  file.set_path(kLogPath);
  file.mutable_log_format()->mutable_text_format_source()->set_inline_string(kLogFormat);
  out.set_name("envoy.access_loggers.file");
  xds::pack(file, *out.mutable_typed_config());
}

template <class Config>
void add_filter(hcm_v3::HttpConnectionManager& out, const char* name, const Config& config) {
  auto& filter = *out.add_http_filters();
  filter.set_name(name);
  xds::pack(config, *filter.mutable_typed_config());
}

void add_http_filters(hcm_v3::HttpConnectionManager& out, Protocol protocol, const Service* dynamic) {
  if (protocol == Protocol::kGrpcWeb) {
    auto& filter = *out.add_http_filters();
    filter.set_name("envoy.filters.http.grpc_web");
    pack_json("envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", "{}", *filter.mutable_typed_config());
  }
  envoy::extensions::filters::http::grpc_stats::v3::FilterConfig grpc_stats;
  grpc_stats.set_emit_filter_state(true);
  grpc_stats.mutable_stats_for_all_methods()->set_value(false);
  add_filter(out, "envoy.filters.http.grpc_stats", grpc_stats);
  add_filter(out, "envoy.filters.http.fault", envoy::extensions::filters::http::fault::v3::HTTPFault{});
  add_filter(out, "envoy.filters.http.cors", envoy::extensions::filters::http::cors::v3::Cors{});
  if (dynamic != nullptr) fill_dynamic_filter(*out.add_http_filters(), *dynamic);
  add_filter(out, "envoy.filters.http.router", envoy::extensions::filters::http::router::v3::Router{});
}

void add_literal_tag(hcm_v3::HttpConnectionManager::Tracing& out, const char* tag, std::string value) {
  auto& custom = *out.add_custom_tags();
  custom.set_tag(tag);
  custom.mutable_literal()->set_value(std::move(value));
}

void add_metadata_tag(hcm_v3::HttpConnectionManager::Tracing& out, const char* tag, const char* key) {
  auto& custom = *out.add_custom_tags();
  custom.set_tag(tag);
  custom.mutable_metadata()->mutable_kind()->mutable_request();
  custom.mutable_metadata()->mutable_metadata_key()->set_key("envoy.filters.http.rbac");
  custom.mutable_metadata()->mutable_metadata_key()->add_path()->set_key(key);
}

std::string label_or(const Labels& labels, const char* key, const char* otherwise) {
  const auto it = labels.find(key);
  return it == labels.end() ? otherwise : it->second;
}

void fill_tracing(hcm_v3::HttpConnectionManager::Tracing& out, const Scope& scope) {
  constexpr double kAll = 100, kSampled = 1;
  out.mutable_client_sampling()->set_value(kAll);
  out.mutable_overall_sampling()->set_value(kAll);
  out.mutable_random_sampling()->set_value(kSampled);
  add_metadata_tag(out, "istio.authorization.dry_run.allow_policy.name", "istio_dry_run_allow_shadow_effective_policy_id");
  add_metadata_tag(out, "istio.authorization.dry_run.allow_policy.result", "istio_dry_run_allow_shadow_engine_result");
  add_metadata_tag(out, "istio.authorization.dry_run.deny_policy.name", "istio_dry_run_deny_shadow_effective_policy_id");
  add_metadata_tag(out, "istio.authorization.dry_run.deny_policy.result", "istio_dry_run_deny_shadow_engine_result");
  const Labels& labels = scope.view.labels;
  add_literal_tag(out, "istio.canonical_revision", label_or(labels, "service.istio.io/canonical-revision", "latest"));
  add_literal_tag(out, "istio.canonical_service", label_or(labels, "service.istio.io/canonical-name", "unknown"));
  add_literal_tag(out, "istio.cluster_id", scope.options.cluster_id);
  const auto mesh_id = scope.view.metadata.find("MESH_ID");
  add_literal_tag(out, "istio.mesh_id", mesh_id == scope.view.metadata.end() ? scope.mesh.config.trust_domain : mesh_id->second);
  add_literal_tag(out, "istio.namespace", scope.view.namespace_);
}

// Paths are made plain before anything is matched (ISTIO_FACTS 2.8).
void fill_path_normalization(hcm_v3::HttpConnectionManager& out, const std::string& wanted) {
  using Hcm = hcm_v3::HttpConnectionManager;
  out.set_path_with_escaped_slashes_action(Hcm::KEEP_UNCHANGED);
  out.mutable_normalize_path()->set_value(wanted != "NONE");
  if (wanted == "MERGE_SLASHES" || wanted == "DECODE_AND_MERGE_SLASHES") out.set_merge_slashes(true);
  if (wanted == "DECODE_AND_MERGE_SLASHES") out.set_path_with_escaped_slashes_action(Hcm::UNESCAPE_AND_FORWARD);
}

// defaultConfig.connectionSettings: what is set (by itself or by the profile) goes to every HTTP listener.
void fill_connection_settings(hcm_v3::HttpConnectionManager& out, const model::ConnectionSettings& wanted) {
  using Settings = model::ConnectionSettings;
  using Hcm = hcm_v3::HttpConnectionManager;
  const Settings settings = model::effective(wanted);
  const auto set = [](const std::optional<Duration>& value, auto mutable_field) {
    if (value) set_duration(*mutable_field(), *value);
  };
  auto& common = *out.mutable_common_http_protocol_options();
  set(settings.http_idle_timeout, [&] { return common.mutable_idle_timeout(); });
  set(settings.http_request_timeout, [&] { return out.mutable_request_timeout(); });
  set(settings.http_request_headers_timeout, [&] { return out.mutable_request_headers_timeout(); });
  set(settings.http_stream_idle_timeout, [&] { return out.mutable_stream_idle_timeout(); });
  if (settings.http_merge_slashes) out.set_merge_slashes(*settings.http_merge_slashes);
  if (settings.http_path_with_escaped_slashes_action) switch (*settings.http_path_with_escaped_slashes_action) {
      case Settings::EscapedSlashes::kKeepUnchanged: out.set_path_with_escaped_slashes_action(Hcm::KEEP_UNCHANGED); break;
      case Settings::EscapedSlashes::kRejectRequest: out.set_path_with_escaped_slashes_action(Hcm::REJECT_REQUEST); break;
      case Settings::EscapedSlashes::kUnescapeAndRedirect: out.set_path_with_escaped_slashes_action(Hcm::UNESCAPE_AND_REDIRECT); break;
      case Settings::EscapedSlashes::kUnescapeAndForward: out.set_path_with_escaped_slashes_action(Hcm::UNESCAPE_AND_FORWARD); break;
    }
  using Options = std::remove_reference_t<decltype(common)>;
  if (settings.http_headers_with_underscores_action) switch (*settings.http_headers_with_underscores_action) {
      case Settings::Underscores::kAllow: common.set_headers_with_underscores_action(Options::ALLOW); break;
      case Settings::Underscores::kRejectRequest: common.set_headers_with_underscores_action(Options::REJECT_REQUEST); break;
      case Settings::Underscores::kDropHeader: common.set_headers_with_underscores_action(Options::DROP_HEADER); break;
    }
  if (settings == Settings{}) out.clear_common_http_protocol_options();
}

void fill_gateway_edge(hcm_v3::HttpConnectionManager& out) {
  out.mutable_use_remote_address()->set_value(true);
  out.set_forward_client_cert_details(hcm_v3::HttpConnectionManager::SANITIZE_SET);
  auto& details = *out.mutable_set_current_client_cert_details();
  details.mutable_subject()->set_value(true);
  details.set_cert(true);
  details.set_dns(true);
  details.set_uri(true);
  out.set_server_name("istio-envoy");
  out.mutable_http_protocol_options();
}

// Without a limit in time: what the client's proxy sets holds. Requests that never reached the workload are tried again,
// but not gRPC's, whose streams would suffer.
void fill_inbound_route(envoy::config::route::v3::RouteConfiguration& out, const InboundRoute& inbound, Protocol protocol) {
  constexpr std::uint32_t kRetries = 2;
  out.set_name(inbound.cluster);
  out.mutable_validate_clusters()->set_value(false);
  auto& host = *out.add_virtual_hosts();
  host.set_name("inbound|http|" + std::to_string(inbound.port));
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.set_name("default");
  route.mutable_match()->set_prefix("/");
  route.mutable_decorator()->set_operation(inbound.operation);
  auto& action = *route.mutable_route();
  action.set_cluster(inbound.cluster);
  action.mutable_timeout();
  action.mutable_max_stream_duration()->mutable_max_stream_duration();
  action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max();
  if (protocol == Protocol::kGrpc || protocol == Protocol::kGrpcWeb) return;
  action.mutable_retry_policy()->set_retry_on("reset-before-request");
  action.mutable_retry_policy()->mutable_num_retries()->set_value(kRetries);
}

void fill_inbound_edge(hcm_v3::HttpConnectionManager& out, const InboundRoute& inbound, Protocol protocol) {
  fill_inbound_route(*out.mutable_route_config(), inbound, protocol);
  out.set_forward_client_cert_details(hcm_v3::HttpConnectionManager::APPEND_FORWARD);
  auto& details = *out.mutable_set_current_client_cert_details();
  details.mutable_subject()->set_value(true);
  details.set_dns(true);
  details.set_uri(true);
  out.set_server_name("istio-envoy");
  if (is_http2(protocol)) out.mutable_http2_protocol_options();
}

}  // namespace

void fill_http_filter(listener_v3::Filter& out, const Scope& scope, const HttpFilterSettings& settings) {
  hcm_v3::HttpConnectionManager manager;
  manager.set_stat_prefix(settings.stat_prefix);
  if (settings.inbound) {
    fill_inbound_edge(manager, *settings.inbound, settings.protocol);
  } else {
    manager.mutable_rds()->set_route_config_name(settings.route_table);
    set_ads(*manager.mutable_rds()->mutable_config_source());
  }
  add_http_filters(manager, settings.protocol, settings.inbound ? nullptr : scope.dynamic != nullptr ? scope.dynamic : settings.dynamic);
  if (scope.mesh.config.enable_tracing) fill_tracing(*manager.mutable_tracing(), scope);
  fill_path_normalization(manager, scope.mesh.config.path_normalization);
  manager.mutable_stream_idle_timeout();
  fill_connection_settings(manager, scope.mesh.config.connection_settings);
  const auto idle = duration_setting(scope.view, "IDLE_TIMEOUT");
  if (idle && !manager.common_http_protocol_options().has_idle_timeout())
    set_duration(*manager.mutable_common_http_protocol_options()->mutable_idle_timeout(), *idle);
  manager.set_proxy_100_continue(true);
  manager.add_upgrade_configs()->set_upgrade_type("websocket");
  envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig request_id;
  request_id.mutable_use_request_id_for_trace_sampling()->set_value(true);
  xds::pack(request_id, *manager.mutable_request_id_extension()->mutable_typed_config());
  if (settings.gateway) fill_gateway_edge(manager);
  else manager.mutable_use_remote_address()->set_value(false);
  if (has_setting(scope.view, "HTTP10"))
    manager.mutable_http_protocol_options()->set_accept_http_10(true);
  if (settings.forward_proxy) manager.mutable_http_protocol_options()->mutable_allow_absolute_url()->set_value(true);
  if (scope.options.access_log) fill_access_log(*manager.add_access_log());
  out.set_name("envoy.filters.network.http_connection_manager");
  xds::pack(manager, *out.mutable_typed_config());
}

void fill_tcp_filter(listener_v3::Filter& out, const Scope& scope, const TcpFilterSettings& settings) {
  TcpProxy proxy;
  if (settings.destinations.size() == 1 && settings.destinations.front().weight == 0) {
    proxy.set_cluster(settings.destinations.front().cluster);
  } else {
    for (const TcpDestination& destination : settings.destinations) {
      auto& cluster = *proxy.mutable_weighted_clusters()->add_clusters();
      cluster.set_name(destination.cluster);
      cluster.set_weight(destination.weight);
    }
  }
  proxy.set_stat_prefix(settings.stat_prefix.empty() ? settings.destinations.front().cluster : settings.stat_prefix);
  const auto idle_timeout = settings.idle_timeout ? settings.idle_timeout : duration_setting(scope.view, "IDLE_TIMEOUT");
  if (idle_timeout && settings.access_log) set_duration(*proxy.mutable_idle_timeout(), *idle_timeout);
  if (settings.connection_duration_max)
    set_duration(*proxy.mutable_max_downstream_connection_duration(), *settings.connection_duration_max);
  if (settings.hash_source_ip) proxy.add_hash_policy()->mutable_source_ip();
  if (settings.tunnel) {
    const std::string& host = settings.tunnel->target_host;
    const bool is_v6 = host.find(':') != std::string::npos;
    proxy.mutable_tunneling_config()->set_hostname((is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(settings.tunnel->target_port));
    proxy.mutable_tunneling_config()->set_use_post(settings.tunnel->protocol == "POST");
  }
  if (scope.options.access_log && settings.access_log) fill_access_log(*proxy.add_access_log());
  out.set_name("envoy.filters.network.tcp_proxy");
  xds::pack(proxy, *out.mutable_typed_config());
}

void fill_mongo_filter(listener_v3::Filter& out, const std::string& stat_prefix) {
  envoy::extensions::filters::network::mongo_proxy::v3::MongoProxy mongo;
  mongo.set_stat_prefix(stat_prefix);
  out.set_name("envoy.filters.network.mongo_proxy");
  xds::pack(mongo, *out.mutable_typed_config());
}

void add_listener_access_log(listener_v3::Listener& out, const Scope& scope) {
  if (!scope.options.access_log) return;
  AccessLog& log = *out.add_access_log();
  fill_access_log(log);
  log.mutable_filter()->mutable_response_flag_filter()->add_flags("NR");
}

}  // namespace lateen::translate
