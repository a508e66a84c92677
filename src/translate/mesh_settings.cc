#include "translate/mesh_settings.h"

#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>

#include "translate/access_log_format.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace listener_v3 = envoy::config::listener::v3;
namespace route_v3 = envoy::config::route::v3;
using FileAccessLog = envoy::extensions::access_loggers::file::v3::FileAccessLog;
using Hcm = envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using Router = envoy::extensions::filters::http::router::v3::Router;
using TcpProxy = envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using AccessLogs = google::protobuf::RepeatedPtrField<envoy::config::accesslog::v3::AccessLog>;
using model::ForwardClientCert;

enum class Side : std::uint8_t { kInbound, kOutbound, kGateway };

Hcm::ForwardClientCertDetails details_of(ForwardClientCert wanted) {
  switch (wanted) {
    case ForwardClientCert::kForwardOnly: return Hcm::FORWARD_ONLY;
    case ForwardClientCert::kAppendForward: return Hcm::APPEND_FORWARD;
    case ForwardClientCert::kSanitizeSet: return Hcm::SANITIZE_SET;
    case ForwardClientCert::kAlwaysForwardOnly: return Hcm::ALWAYS_FORWARD_ONLY;
    case ForwardClientCert::kUndefined:
    case ForwardClientCert::kSanitize: break;
  }
  return Hcm::SANITIZE;
}

class Settings {
 public:
  explicit Settings(const Scope& scope)
      : scope_(scope), config_(scope.mesh.config), connections_(config_.connection_settings), logs_(scope.options.access_log && has_own_access_log(config_)) {
    if (scope.view.kind == View::Kind::kRouter) connections_ = model::effective(connections_);
  }

  bool of_listeners() const {
    const model::ConnectionSettings& c = connections_;
    return logs_ || config_.disable_listener_log || config_.proxy.headers || config_.proxy.topology || c.http_max_connection_duration ||
           c.http_drain_timeout || c.http_max_stream_duration || c.http_max_concurrent_streams || c.http2_initial_stream_window_size ||
           c.http2_initial_connection_window_size || c.listener_per_connection_buffer_limit_bytes;
  }

  void apply(listener_v3::Listener& listener) const {
    const bool gateway = scope_.view.kind == View::Kind::kRouter;
    const Side side = gateway ? Side::kGateway : listener.traffic_direction() == envoy::config::core::v3::INBOUND ? Side::kInbound : Side::kOutbound;
    if (config_.disable_listener_log) listener.clear_access_log();
    apply_logs(*listener.mutable_access_log());
    for (auto& chain : *listener.mutable_filter_chains()) apply(chain, side);
    if (listener.has_default_filter_chain()) apply(*listener.mutable_default_filter_chain(), side);
    if (!gateway) return;
    if (connections_.listener_per_connection_buffer_limit_bytes)
      listener.mutable_per_connection_buffer_limit_bytes()->set_value(static_cast<std::uint32_t>(*connections_.listener_per_connection_buffer_limit_bytes));
    if (config_.proxy.topology && config_.proxy.topology->proxy_protocol) add_proxy_protocol(listener);
  }

 private:
  void apply(listener_v3::FilterChain& chain, Side side) const {
    for (auto& filter : *chain.mutable_filters()) {
      Hcm manager;
      TcpProxy proxy;
      if (filter.typed_config().UnpackTo(&manager)) {
        apply_logs(*manager.mutable_access_log());
        apply_connections(manager);
        if (config_.proxy.headers) apply_headers(manager, *config_.proxy.headers, side);
        if (config_.proxy.topology && side == Side::kGateway) apply_topology(manager, *config_.proxy.topology);
        xds::pack(manager, *filter.mutable_typed_config());
      } else if (logs_ && filter.typed_config().UnpackTo(&proxy)) {
        apply_logs(*proxy.mutable_access_log());
        xds::pack(proxy, *filter.mutable_typed_config());
      }
    }
  }

  void apply_logs(AccessLogs& logs) const {
    if (!logs_) return;
    for (auto& log : logs) {
      FileAccessLog file;
      if (!log.typed_config().UnpackTo(&file)) continue;
      fill_file_access_log(file, config_);
      xds::pack(file, *log.mutable_typed_config());
    }
  }

  void apply_connections(Hcm& out) const {
    const model::ConnectionSettings& c = connections_;
    if (c.http_max_connection_duration)
      set_duration(*out.mutable_common_http_protocol_options()->mutable_max_connection_duration(), *c.http_max_connection_duration);
    if (c.http_max_stream_duration)
      set_duration(*out.mutable_common_http_protocol_options()->mutable_max_stream_duration(), *c.http_max_stream_duration);
    if (c.http_drain_timeout) set_duration(*out.mutable_drain_timeout(), *c.http_drain_timeout);
    const auto set = [&](const std::optional<std::int32_t>& value, auto mutable_field) {
      if (value) mutable_field(*out.mutable_http2_protocol_options())->set_value(static_cast<std::uint32_t>(*value));
    };
    set(c.http_max_concurrent_streams, [](auto& http2) { return http2.mutable_max_concurrent_streams(); });
    set(c.http2_initial_stream_window_size, [](auto& http2) { return http2.mutable_initial_stream_window_size(); });
    set(c.http2_initial_connection_window_size, [](auto& http2) { return http2.mutable_initial_connection_window_size(); });
  }

  static void apply_headers(Hcm& out, const model::ProxyHeaders& headers, Side side) {
    if (headers.request_id_disabled) out.mutable_generate_request_id()->set_value(false);
    if (headers.x_forwarded_port) out.set_append_x_forwarded_port(true);
    if (headers.server_disabled) {
      out.clear_server_name();
      out.set_server_header_transformation(Hcm::PASS_THROUGH);
    } else if (!headers.server_value.empty()) {
      out.set_server_name(headers.server_value);
    }
    if (headers.envoy_debug_headers_disabled) suppress_debug_headers(out);
    if (side != Side::kInbound) return;  // gateways have their topology for it
    if (headers.forwarded_client_cert != ForwardClientCert::kUndefined) out.set_forward_client_cert_details(details_of(headers.forwarded_client_cert));
    if (!headers.set_current_client_cert_details) return;
    const auto& wanted = *headers.set_current_client_cert_details;
    auto& details = *out.mutable_set_current_client_cert_details();
    details.mutable_subject()->set_value(wanted.subject.value_or(true));
    details.set_uri(wanted.uri.value_or(true));
    details.set_dns(wanted.dns.value_or(true));
    details.set_cert(wanted.cert.value_or(false));
    details.set_chain(wanted.chain.value_or(false));
  }

  static void suppress_debug_headers(Hcm& out) {
    for (auto& filter : *out.mutable_http_filters()) {
      Router router;
      if (!filter.typed_config().UnpackTo(&router)) continue;
      router.set_suppress_envoy_headers(true);
      xds::pack(router, *filter.mutable_typed_config());
    }
  }

  static void apply_topology(Hcm& out, const model::GatewayTopology& topology) {
    out.set_xff_num_trusted_hops(topology.num_trusted_proxies);
    if (topology.forward_client_cert_details == ForwardClientCert::kUndefined) return;
    out.set_forward_client_cert_details(details_of(topology.forward_client_cert_details));
    const auto details = out.forward_client_cert_details();
    if (details != Hcm::APPEND_FORWARD && details != Hcm::SANITIZE_SET) out.clear_set_current_client_cert_details();
  }

  static void add_proxy_protocol(listener_v3::Listener& listener) {
    auto& filters = *listener.mutable_listener_filters();
    listener_v3::ListenerFilter& added = *filters.Add();
    added.set_name("envoy.filters.listener.proxy_protocol");
    xds::pack(envoy::extensions::filters::listener::proxy_protocol::v3::ProxyProtocol(), *added.mutable_typed_config());
    for (int i = filters.size() - 1; i > 0; --i) filters.SwapElements(i, i - 1);  // it reads the first bytes
  }

  const Scope& scope_;
  const model::MeshConfig& config_;
  model::ConnectionSettings connections_;
  const bool logs_;
};

// The count of attempts is a header of every virtual host.
void hide_attempt_count(xds::Resources& resources) {
  for (auto& [name, parts] : resources.routes)
    for (xds::ResourcePtr& resource : parts.virtual_hosts) {
      route_v3::VirtualHost host;
      LATEEN_CHECK(host.ParseFromString(resource->bytes));
      host.set_include_request_attempt_count(false);
      resource = xds::make_resource(resource->name, host);
    }
}

}  // namespace

void apply_mesh_settings(const Scope& scope, xds::Resources& resources) {
  if (scope.view.generator == "grpc") return;
  const Settings settings(scope);
  if (settings.of_listeners())
    for (auto& [name, resource] : resources.listeners) {
      listener_v3::Listener listener;
      LATEEN_CHECK(listener.ParseFromString(resource->bytes));
      settings.apply(listener);
      resource = xds::make_resource(name, listener);
    }
  if (const auto& headers = scope.mesh.config.proxy.headers; headers && headers->attempt_count_disabled) hide_attempt_count(resources);
}

}  // namespace lateen::translate
