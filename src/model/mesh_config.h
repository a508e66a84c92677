// Istio's MeshConfig (mesh.yaml), as far as it changes what traffic does. Defaults are Istio's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"
#include "model/connection_settings.h"
#include "model/destination_rule.h"
#include "model/virtual_service.h"

namespace lateen::model {

enum class ForwardClientCert : std::uint8_t { kUndefined, kSanitize, kForwardOnly, kAppendForward, kSanitizeSet, kAlwaysForwardOnly };

// defaultConfig.proxyHeaders: what proxies say about themselves.
struct ProxyHeaders {
  struct ClientCertDetails {
    std::optional<bool> subject, cert, chain, dns, uri;
    bool operator==(const ClientCertDetails&) const = default;
  };
  ForwardClientCert forwarded_client_cert = ForwardClientCert::kUndefined;
  std::optional<ClientCertDetails> set_current_client_cert_details;
  bool request_id_disabled = false;
  bool server_disabled = false;
  std::string server_value;
  bool attempt_count_disabled = false;
  bool envoy_debug_headers_disabled = false;
  bool metadata_exchange_in_mesh = false;
  bool x_forwarded_port = false, x_forwarded_host = false;
  bool operator==(const ProxyHeaders&) const = default;
};

// defaultConfig.gatewayTopology.
struct GatewayTopology {
  std::uint32_t num_trusted_proxies = 0;
  ForwardClientCert forward_client_cert_details = ForwardClientCert::kUndefined;
  bool proxy_protocol = false;
  bool operator==(const GatewayTopology&) const = default;
};

// defaultConfig, or what a proxy says of itself in its node's PROXY_CONFIG.
struct ProxySettings {
  std::optional<ProxyHeaders> headers;
  std::optional<GatewayTopology> topology;
  std::optional<ConnectionSettings> connection_settings;
  bool operator==(const ProxySettings&) const = default;
};

struct ServiceSettings {
  bool cluster_local = false;
  std::vector<std::string> hosts;
  bool operator==(const ServiceSettings&) const = default;
};

// A label selector of Kubernetes.
struct DiscoverySelector {
  struct Requirement {
    std::string key, op;                         // In, NotIn, Exists, DoesNotExist
    std::vector<std::string> values;
    bool operator==(const Requirement&) const = default;
  };
  std::map<std::string, std::string> match_labels;
  std::vector<Requirement> match_expressions;
  bool operator==(const DiscoverySelector&) const = default;
};

struct MeshTls {
  std::string min_protocol_version;              // TLSV1_2, TLSV1_3; "" for TLS_AUTO
  std::vector<std::string> ecdh_curves, cipher_suites;
  bool operator==(const MeshTls&) const = default;
};

struct MeshConfig {
  bool allow_any_outbound = true;                // outboundTrafficPolicy.mode
  bool inbound_passthrough = true;               // inboundTrafficPolicy.mode; false: to localhost
  std::string root_namespace = "istio-system";
  std::string trust_domain = "cluster.local";
  std::vector<std::string> trust_domain_aliases;
  std::string cluster_domain = "cluster.local";
  Duration connect_timeout = std::chrono::seconds(10);
  std::optional<TcpKeepaliveSettings> tcp_keepalive;
  Duration protocol_detection_timeout{};         // 0: no limit
  Duration dns_refresh_rate = std::chrono::seconds(60);  // after a failed look-up
  bool h2_upgrade = false;                       // h2UpgradePolicy UPGRADE
  bool auto_mtls = true;
  bool enable_tracing = true;
  LocalityLbSetting locality_lb_setting{.distribute = {}, .failover = {}, .failover_priority = {}, .enabled = true};
  std::optional<ZoneAwareLbSetting> zone_aware_lb_setting;      // goes before locality_lb_setting
  std::string path_normalization = "DEFAULT";
  std::optional<HttpRetry> default_http_retry_policy;
  std::optional<ConnectionPool> default_connection_pool;        // defaultTrafficPolicy
  std::optional<OutlierDetection> default_outlier_detection;
  std::vector<std::string> service_export_to = {"*"}, virtual_service_export_to = {"*"}, destination_rule_export_to = {"*"};
  std::vector<ServiceSettings> service_settings;
  std::vector<DiscoverySelector> discovery_selectors;           // of namespaces; empty: all
  std::uint16_t proxy_listen_port = 15001, proxy_inbound_listen_port = 15006;
  std::uint16_t proxy_http_port = 0;             // 0: no listener for HTTP proxy clients
  std::string access_log_file, access_log_format;
  bool access_log_json = false;                  // accessLogEncoding
  bool disable_listener_log = false;             // disableEnvoyListenerLog
  MeshTls tls_defaults, mesh_mtls;
  std::string inbound_cluster_stat_name, outbound_cluster_stat_name;
  ConnectionSettings connection_settings;        // defaultConfig.connectionSettings
  ProxySettings proxy;                           // the rest of defaultConfig
  bool operator==(const MeshConfig&) const = default;
};

}  // namespace lateen::model
