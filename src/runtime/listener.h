// Listeners of a Snapshot: filter chains and what serves them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/route.h"
#include "runtime/tls.h"

namespace lateen::runtime {

enum class PathNormalization : std::uint8_t { kNone, kBase, kMergeSlashes, kDecodeAndMergeSlashes };
enum class UnderscoresInNames : std::uint8_t { kAllow, kReject, kDrop };   // of request header fields
enum class EscapedSlashes : std::uint8_t { kKeep, kReject, kUnescapeAndRedirect, kUnescapeAndForward };

// x-forwarded-client-cert: envoy's forward_client_cert_details, and which parts are set.
enum class ForwardClientCert : std::uint8_t { kSanitize, kForwardOnly, kAppendForward, kSanitizeSet, kAlwaysForwardOnly };

struct HttpConnectionSettings {
  std::string stat_prefix;
  std::string route_table;                      // name of a RouteTable of the same snapshot
  std::string server_name = "envoy";            // "istio-envoy" at gateways
  // kAuto: by ALPN, or else by the first bytes.
  enum class Codec : std::uint8_t { kAuto, kHttp1, kHttp2 } codec = Codec::kAuto;
  // http2_protocol_options; 0: our own value, which is smaller than Envoy's.
  std::uint32_t http2_streams_max = 0, http2_stream_window_bytes = 0, http2_connection_window_bytes = 0;
  bool connect_upgrades = false;                // upgrade_configs has CONNECT
  bool http2_extended_connect = false;          // allow_connect: WebSocket over HTTP/2 (RFC 8441)
  bool cors_filter = true;                      // the filter is in the chain
  bool grpc_web_filter = false;
  bool dynamic_forward_proxy_filter = false;    // the host is resolved by name before it is forwarded
  ForwardClientCert forward_client_cert = ForwardClientCert::kSanitize;
  bool client_cert_subject = false, client_cert_uri = false, client_cert_dns = false, client_cert_pem = false;
  Duration max_connection_duration{};                        // zero: none
  std::uint32_t requests_per_connection_max = 0;             // zero: no limit
  bool strips_port = false;                                  // strip_any_host_port
  bool use_remote_address = false;
  std::uint32_t trusted_hops = 0;
  bool normalize_path = true;
  bool merge_slashes = false;
  EscapedSlashes escaped_slashes = EscapedSlashes::kKeep;
  UnderscoresInNames underscores = UnderscoresInNames::kAllow;
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool websocket_upgrades = true;
  bool accepts_http_10 = false;
  std::uint32_t request_headers_bytes_max = 60 * 1024;
  std::uint32_t request_headers_count_max = 100;
  Duration stream_idle_timeout = std::chrono::minutes(5);   // zero: none
  Duration request_headers_timeout{};                        // zero: none
  Duration idle_timeout = std::chrono::hours(1);             // connection without a stream
  Duration request_timeout{};                                // whole request received; zero: none
  OptionalDuration stream_duration_max;                      // where the route sets none; zero: none
  bool fault_filter = true;                                  // the fault filter is in the chain
  bool names_operations = true;                              // `tracing` is set: x-envoy-decorator-operation is exchanged
  bool suppresses_envoy_headers = false;                     // of the router: no x-envoy- headers of its own
  bool proxies_100_continue = false;                         // else the proxy itself answers Expect: 100-continue
  bool accepts_absolute_url = true;
  std::optional<std::string> access_log_format;              // Envoy's format string; absent: no log
  std::string access_log_path;
};
struct TcpProxySettings {
  std::string stat_prefix;
  std::vector<WeightedCluster> clusters;
  std::uint64_t weight_total = 0;
  Duration idle_timeout = std::chrono::hours(1);             // zero: none
  std::uint32_t connect_attempts_max = 1;
  CompactList<HashPolicy> hash;                              // only kSourceAddress
  bool cluster_by_server_name = false;                       // envoy.filters.network.sni_cluster: the SNI names the cluster
  std::uint16_t forwards_by_server_name = 0;                 // sni_dynamic_forward_proxy: to the SNI's address and this port; 0: no
  Duration max_downstream_connection_duration{};             // zero: none
  // tunneling_config: the bytes go through a CONNECT (or POST) to `hostname`, over the cluster's HTTP.
  struct Tunnel {
    HeaderValue hostname;
    bool post = false;
    std::string post_path;
    CompactList<HeaderOperation> headers;
  };
  std::optional<Tunnel> tunnel;
  std::optional<std::string> access_log_format;
  std::string access_log_path;
};
struct FilterChain {
  std::string name;
  std::optional<std::uint16_t> destination_port;    // of the original destination; absent: any
  std::vector<std::string> destination_prefixes;    // CIDR text; empty: any
  std::vector<std::string> application_protocols;   // "http/1.1" ... as sniffed; empty: any
  std::string transport_protocol;                   // "raw_buffer", "tls" or ""
  std::vector<std::string> server_names;            // SNI: "a.example", "*.example"; empty: any
  std::vector<std::string> source_prefixes, direct_source_prefixes;   // CIDR text; empty: any
  std::vector<std::uint16_t> source_ports;
  enum class SourceType : std::uint8_t { kAny, kSameIpOrLoopback, kExternal } source_type = SourceType::kAny;
  std::shared_ptr<const DownstreamTls> tls;         // null: plain text
  Duration transport_timeout{};                     // transport_socket_connect_timeout; zero: none
  std::variant<HttpConnectionSettings, TcpProxySettings, Unsupported> handler;
};
struct Listener {
  std::string name;
  std::string address;                              // "0.0.0.0" ...
  std::uint16_t port = 0;
  bool bind_to_port = true;                         // false: reached only through a capture
  bool outbound = true;                             // traffic_direction
  bool sniffs_http = false;                         // http_inspector is among the listener filters
  bool sniffs_tls = false;                          // tls_inspector
  bool reads_proxy_protocol = false;                // proxy_protocol: a PROXY header, of version 1 or 2, stands first
  bool proxy_protocol_optional = false;             // allow_requests_without_proxy_protocol
  // Destination ports for which http_inspector is off: [first, second).
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sniffing_off_ports;
  bool uses_original_destination = false;           // hands connections to the listener of their original destination
  // How long to wait for the bytes that are sniffed; zero: for ever. After that, as if nothing was recognised.
  Duration sniffing_timeout = std::chrono::seconds(15);
  bool goes_on_after_sniffing_timeout = false;
  std::vector<FilterChain> filter_chains;
  std::optional<FilterChain> default_chain;
  std::string config;
  std::uint64_t content_hash = 0;
};

}  // namespace lateen::runtime
