// Reading Istio's ProxyConfig message: defaultConfig of MeshConfig, and PROXY_CONFIG of a node's metadata.
#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/mesh_config.h"
#include "model/read.h"

namespace lateen::model {

namespace {

struct Disabled {
  bool disabled = false;
};
struct Enabled {
  bool enabled = false;
};
struct ServerHeader {
  bool disabled = false;
  std::string value;
};
enum class Exchange : std::uint8_t { kUndefined, kInMesh };
struct MetadataExchange {
  Exchange mode = Exchange::kUndefined;
};

template <std::int32_t Least>
void at_least(Reader& reader, const std::int32_t& value) {
  if (value < Least) reader.error(kBadValue, std::to_string(value) + " is less than " + std::to_string(Least));
}

// A list of switches that each stand in a mapping of their own.
template <class Switch, auto Member, class T>
void nested(Reader& reader, const text::Node& node, T& out) {
  Switch read;
  if (!read_value(reader, node, read)) return;
  if constexpr (requires { read.disabled; }) out.*Member = read.disabled;
  else out.*Member = read.enabled;
}

}  // namespace

template <>
struct Shape<Disabled> : Table<Disabled> {
  static constexpr Field<Disabled> kFields[] = {{"disabled", at<&Disabled::disabled>}};
};
template <>
struct Shape<Enabled> : Table<Enabled> {
  static constexpr Field<Enabled> kFields[] = {{"enabled", at<&Enabled::enabled>}};
};
template <>
struct Shape<ServerHeader> : Table<ServerHeader> {
  static constexpr Field<ServerHeader> kFields[] = {{"disabled", at<&ServerHeader::disabled>}, {"value", at<&ServerHeader::value>}};
};
template <>
struct Words<Exchange> {
  static constexpr std::pair<std::string_view, Exchange> kWords[] = {{"UNDEFINED", Exchange::kUndefined}, {"IN_MESH", Exchange::kInMesh}};
};
template <>
struct Shape<MetadataExchange> : Table<MetadataExchange> {
  static constexpr Field<MetadataExchange> kFields[] = {{"mode", at<&MetadataExchange::mode>}};
};
template <>
struct Words<ForwardClientCert> {
  using E = ForwardClientCert;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"UNDEFINED", E::kUndefined},
                                                              {"SANITIZE", E::kSanitize},
                                                              {"FORWARD_ONLY", E::kForwardOnly},
                                                              {"APPEND_FORWARD", E::kAppendForward},
                                                              {"SANITIZE_SET", E::kSanitizeSet},
                                                              {"ALWAYS_FORWARD_ONLY", E::kAlwaysForwardOnly}};
};
template <>
struct Shape<ProxyHeaders::ClientCertDetails> : Table<ProxyHeaders::ClientCertDetails> {
  using T = ProxyHeaders::ClientCertDetails;
  static constexpr Field<T> kFields[] = {
      {"subject", at<&T::subject>}, {"cert", at<&T::cert>}, {"chain", at<&T::chain>}, {"dns", at<&T::dns>}, {"uri", at<&T::uri>}};
};
template <>
struct Shape<ProxyHeaders> : Table<ProxyHeaders> {
  using T = ProxyHeaders;
  static void server(Reader& reader, const text::Node& node, T& out) {
    ServerHeader read;
    if (!read_value(reader, node, read)) return;
    out.server_disabled = read.disabled;
    out.server_value = std::move(read.value);
  }
  static void exchange(Reader& reader, const text::Node& node, T& out) {
    MetadataExchange read;
    if (read_value(reader, node, read)) out.metadata_exchange_in_mesh = read.mode == Exchange::kInMesh;
  }
  // Said of requests by every proxy on their way, and not carried out here.
  static void only_false(Reader& reader, const text::Node& node, T&) {
    bool wanted = false;
    if (read_value(reader, node, wanted) && wanted) reader.error(kUnsupportedField, "is not supported yet", "take it out");
  }
  static constexpr Field<T> kFields[] = {{"forwardedClientCert", at<&T::forwarded_client_cert>},
                                         {"setCurrentClientCertDetails", at<&T::set_current_client_cert_details>},
                                         {"requestId", nested<Disabled, &T::request_id_disabled>},
                                         {"server", server},
                                         {"attemptCount", nested<Disabled, &T::attempt_count_disabled>},
                                         {"envoyDebugHeaders", nested<Disabled, &T::envoy_debug_headers_disabled>},
                                         {"metadataExchangeHeaders", exchange},
                                         {"preserveHttp1HeaderCase", only_false},
                                         {"xForwardedHost", nested<Enabled, &T::x_forwarded_host>},
                                         {"xForwardedPort", nested<Enabled, &T::x_forwarded_port>}};
};
template <>
struct Shape<GatewayTopology> : Table<GatewayTopology> {
  using T = GatewayTopology;
  static void proxy_protocol(Reader& reader, const text::Node& node, T& out) {
    out.proxy_protocol = reader.expect(node, text::Node::Type::kMapping);
  }
  static constexpr Field<T> kFields[] = {{"numTrustedProxies", at<&T::num_trusted_proxies>},
                                         {"forwardClientCertDetails", at<&T::forward_client_cert_details>},
                                         {"proxyProtocol", proxy_protocol}};
};

template <>
struct Words<ConnectionSettings::Profile> {
  using E = ConnectionSettings::Profile;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"SIDECAR", E::kSidecar}, {"EDGE", E::kEdge}};
};
template <>
struct Words<ConnectionSettings::EscapedSlashes> {
  using E = ConnectionSettings::EscapedSlashes;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"KEEP_UNCHANGED", E::kKeepUnchanged}, {"REJECT_REQUEST", E::kRejectRequest},
                                                              {"UNESCAPE_AND_REDIRECT", E::kUnescapeAndRedirect},
                                                              {"UNESCAPE_AND_FORWARD", E::kUnescapeAndForward}};
};
template <>
struct Words<ConnectionSettings::Underscores> {
  using E = ConnectionSettings::Underscores;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"HEADERS_WITH_UNDERSCORES_ALLOW", E::kAllow},
                                                              {"HEADERS_WITH_UNDERSCORES_REJECT_REQUEST", E::kRejectRequest},
                                                              {"HEADERS_WITH_UNDERSCORES_DROP_HEADER", E::kDropHeader}};
};
template <>
struct Shape<ConnectionSettings> : Table<ConnectionSettings> {
  using S = ConnectionSettings;
  static constexpr std::int32_t kWindowLeast = 65535;  // of HTTP/2 itself
  static constexpr Field<S> kFields[] = {
      {"profile", at<&S::profile>},
      {"listenerPerConnectionBufferLimitBytes", at<&S::listener_per_connection_buffer_limit_bytes, at_least<0>>},
      {"clusterPerConnectionBufferLimitBytes", at<&S::cluster_per_connection_buffer_limit_bytes, at_least<0>>},
      {"httpIdleTimeout", at<&S::http_idle_timeout, not_negative_duration>},
      {"httpMaxConnectionDuration", at<&S::http_max_connection_duration, not_negative_duration>},
      {"httpDrainTimeout", at<&S::http_drain_timeout, not_negative_duration>},
      {"httpRequestTimeout", at<&S::http_request_timeout, not_negative_duration>},
      {"httpRequestHeadersTimeout", at<&S::http_request_headers_timeout, not_negative_duration>},
      {"httpStreamIdleTimeout", at<&S::http_stream_idle_timeout, not_negative_duration>},
      {"httpMaxStreamDuration", at<&S::http_max_stream_duration, not_negative_duration>},
      {"httpMaxConcurrentStreams", at<&S::http_max_concurrent_streams, at_least<1>>},
      {"http2InitialStreamWindowSize", at<&S::http2_initial_stream_window_size, at_least<kWindowLeast>>},
      {"http2InitialConnectionWindowSize", at<&S::http2_initial_connection_window_size, at_least<kWindowLeast>>},
      {"httpMergeSlashes", at<&S::http_merge_slashes>},
      {"httpPathWithEscapedSlashesAction", at<&S::http_path_with_escaped_slashes_action>},
      {"httpHeadersWithUnderscoresAction", at<&S::http_headers_with_underscores_action>},
      {"listenerConnectionLimit", unsupported},  // in Istio's API, and not yet carried out there either
      {"globalDownstreamConnectionLimit", unsupported}};
};

template <>
struct Shape<ProxySettings> : Table<ProxySettings> {
  using T = ProxySettings;
  static constexpr Field<T> kFields[] = {{"proxyHeaders", at<&T::headers>},
                                         {"gatewayTopology", at<&T::topology>},
                                         {"connectionSettings", at<&T::connection_settings>},
                                         // How Istio's agent starts and watches its proxy: nothing that a control plane sends.
                                         {"configPath", skip},
                                         {"binaryPath", skip},
                                         {"serviceCluster", skip},
                                         {"drainDuration", skip},
                                         {"terminationDrainDuration", skip},
                                         {"discoveryAddress", skip},
                                         {"discoveryRefreshDelay", skip},
                                         {"proxyAdminPort", skip},
                                         {"availabilityZone", skip},
                                         {"controlPlaneAuthPolicy", skip},
                                         {"customConfigFile", skip},
                                         {"statNameLength", skip},
                                         {"concurrency", skip},
                                         {"proxyBootstrapTemplatePath", skip},
                                         {"interceptionMode", skip},  // the node's metadata says it again
                                         {"sds", skip},
                                         {"proxyMetadata", skip},
                                         {"runtimeValues", skip},
                                         {"statusPort", skip},
                                         {"meshId", skip},
                                         {"readinessProbe", skip},
                                         {"holdApplicationUntilProxyStarts", skip},
                                         {"caCertificatesPem", skip},
                                         {"image", skip},
                                         {"privateKeyProvider", skip},
                                         {"fileFlushInterval", skip},
                                         {"fileFlushMinSizeKb", skip},
                                         // Metrics, traces and logs: no traffic.
                                         {"tracingServiceName", skip},
                                         {"zipkinAddress", skip},
                                         {"statsdUdpAddress", skip},
                                         {"envoyMetricsServiceAddress", skip},
                                         {"tracing", skip},
                                         {"envoyAccessLogService", skip},
                                         {"envoyMetricsService", skip},
                                         {"extraStatTags", skip},
                                         {"proxyStatsMatcher", skip},
                                         {"statsCompression", skip}};
};

bool read_proxy_settings(Reader& reader, const text::Node& node, ProxySettings& out) { return read_value(reader, node, out); }

ReadMeshConfig with_proxy_config(const text::Node& proxy_config, std::string_view file, const MeshConfig& base) {
  ReadMeshConfig out{base, {}};
  Reader reader(file, "PROXY_CONFIG", Reader::Mode::kTolerant);
  reader.start_at({proxy_config.line, proxy_config.column});
  ProxySettings settings;
  if (read_value(reader, proxy_config, settings)) {
    out.config.proxy.headers = settings.headers;
    out.config.proxy.topology = settings.topology;
    if (settings.connection_settings) out.config.connection_settings = *settings.connection_settings;
  }
  out.problems = reader.take_problems();
  return out;
}

}  // namespace lateen::model
