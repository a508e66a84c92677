// The kinds that are read: names, API groups, the reading function of each; and what happens to all other kinds.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "model/mesh.h"
#include "model/reader.h"

namespace lateen::model {

VirtualService read_virtual_service(Reader& reader, const text::Node& spec);
DestinationRule read_destination_rule(Reader& reader, const text::Node& spec);
Gateway read_gateway(Reader& reader, const text::Node& spec);
ServiceEntry read_service_entry(Reader& reader, const text::Node& spec);
// Beyond Istio: what the annotation of a DestinationRule may say.
void check_load_balancer_annotation(Reader& reader, const Metadata& meta);
Sidecar read_sidecar(Reader& reader, const text::Node& spec);
EnvoyFilter read_envoy_filter(Reader& reader, const text::Node& spec);
ProxyConfig read_proxy_config(Reader& reader, const text::Node& spec);
WorkloadGroup read_workload_group(Reader& reader, const text::Node& spec);
WorkloadEntry read_workload_entry(Reader& reader, const text::Node& spec);
// A retry policy alone, as MeshConfig holds one.
bool read_retry(Reader& reader, const text::Node& node, HttpRetry& out);
// Blocks that Sidecar shares with DestinationRule and Gateway. False: it was reported.
bool read_connection_pool(Reader& reader, const text::Node& node, ConnectionPool& out);
bool read_locality_lb_setting(Reader& reader, const text::Node& node, LocalityLbSetting& out);
bool read_zone_aware_lb_setting(Reader& reader, const text::Node& node, ZoneAwareLbSetting& out);
bool read_outlier_detection(Reader& reader, const text::Node& node, OutlierDetection& out);
bool read_tcp_keepalive(Reader& reader, const text::Node& node, TcpKeepaliveSettings& out);
bool read_proxy_settings(Reader& reader, const text::Node& node, ProxySettings& out);
bool read_server_tls(Reader& reader, const text::Node& node, ServerTls& out);
// Kubernetes' kinds get the whole document: some have no `spec`.
Service read_service(Reader& reader, const text::Node& document);
EndpointSlice read_endpoint_slice(Reader& reader, const text::Node& document);
EndpointSlice read_endpoints(Reader& reader, const text::Node& document);
Pod read_pod(Reader& reader, const text::Node& document);
Namespace read_namespace(Reader& reader, const text::Node& document);
Secret read_secret(Reader& reader, const text::Node& document);

struct KindReader {
  Kind kind;
  std::span<const std::string_view> versions;
  bool spec_only;                                            // strict: apiVersion, kind, metadata, spec, status
  Spec (*read)(Reader& reader, const text::Node& node);
};

// "networking.istio.io/v1" -> group and version; "v1" has the group "".
struct ApiVersion {
  std::string_view group, version;
};
ApiVersion split_api_version(std::string_view text);

// What a document of some kind is to us.
struct Classified {
  enum class As { kOurs, kRefused, kIgnored } as = As::kIgnored;
  const KindReader* reader = nullptr;                        // kOurs
  std::string_view code;                                     // kRefused
  std::string message, fix;                                  // kRefused
};
Classified classify(std::string_view api_version, std::string_view kind, const text::Node& document);

}  // namespace lateen::model
