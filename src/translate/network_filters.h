// The network filters of listeners: HTTP connection manager, TCP proxy, access loggers; with istiod's settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "translate/scope.h"

namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}
namespace envoy::config::listener::v3 {
class Filter;
class Listener;
}
namespace envoy::config::accesslog::v3 {
class AccessLog;
}

namespace lateen::translate {

// The one route of an inbound port: everything to the workload.
struct InboundRoute {
  std::string cluster;
  std::string operation;               // "reviews.default.svc.cluster.local:9080/*", for traces
  std::uint32_t port = 0;
};

struct HttpFilterSettings {
  std::string route_table;             // asked for by name; unused with `inbound`
  std::string stat_prefix;             // "outbound_0.0.0.0_9080;"
  bool gateway = false;                // faces clients outside the mesh
  bool forward_proxy = false;          // takes absolute-form requests
  Protocol protocol = Protocol::kUnsupported;
  const Service* dynamic = nullptr;    // whose names are looked up when requests come; null: none
  std::optional<InboundRoute> inbound;
};
void fill_http_filter(envoy::config::listener::v3::Filter& out, const Scope& scope, const HttpFilterSettings& settings);

struct TcpDestination {
  std::string cluster;
  std::uint32_t weight = 0;
};
struct TcpFilterSettings {
  std::vector<TcpDestination> destinations;   // one, or several with weights
  std::string stat_prefix;                    // "" = the cluster's name
  std::optional<Duration> idle_timeout, connection_duration_max;
  bool hash_source_ip = false;
  bool access_log = true;
  std::optional<model::TunnelSettings> tunnel; // through the destination, by CONNECT or POST
  const Service* dynamic = nullptr;            // whose names are resolved, as the handshake of TLS says them
  std::uint32_t dynamic_port = 0;
};
void fill_tcp_filter(envoy::config::listener::v3::Filter& out, const Scope& scope, const TcpFilterSettings& settings);
void fill_mongo_filter(envoy::config::listener::v3::Filter& out, const std::string& stat_prefix);

// Connections for which no filter chain is found.
void add_listener_access_log(envoy::config::listener::v3::Listener& out, const Scope& scope);

}  // namespace lateen::translate
