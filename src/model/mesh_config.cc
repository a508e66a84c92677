// Reading Istio's MeshConfig. As in istiod a field of a later file replaces that field whole, but for defaultConfig,
// whose fields are replaced one by one.
#include "model/mesh_config.h"

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"
#include "model/read.h"
#include "text/yaml.h"

namespace lateen::model {

namespace {

enum class Outbound : std::uint8_t { kRegistryOnly, kAllowAny, kDynamicDns };
struct OutboundTrafficPolicy {
  Outbound mode = Outbound::kRegistryOnly;
};
enum class Inbound : std::uint8_t { kPassthrough, kLocalhost };
struct InboundTrafficPolicy {
  Inbound mode = Inbound::kPassthrough;
};
struct PathNormalization {
  std::string normalization = "DEFAULT";
};
enum class Upgrade : std::uint8_t { kDoNotUpgrade, kUpgrade };
enum class Encoding : std::uint8_t { kText, kJson };
struct ClusterLocal {
  bool cluster_local = false;
};
struct DefaultTrafficPolicy {
  std::optional<ConnectionPool> connection_pool;
  std::optional<OutlierDetection> outlier_detection;
};

void normalization_word(Reader& reader, const std::string& value) {
  if (value != "DEFAULT" && value != "NONE" && value != "BASE" && value != "MERGE_SLASHES" && value != "DECODE_AND_MERGE_SLASHES")
    reader.error(kBadValue, "\"" + value + "\" is not one of DEFAULT, NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES");
}

// istiod's own bounds.
void connect_timeout(Reader& reader, const Duration& value) {
  at_least_1ms(reader, value);
  if (value > std::chrono::hours(1)) reader.error(kBadValue, "is longer than an hour");
}

void whole_milliseconds(Reader& reader, const Duration& value) {
  if (value % std::chrono::milliseconds(1) != Duration{}) reader.error(kBadValue, "is no whole number of milliseconds");
}

void trust_domain_name(Reader& reader, const std::string& value) {
  std::string_view rest = value;
  if (rest.ends_with('.')) rest.remove_suffix(1);
  if (rest.empty() || !fqdn_problem(rest).empty()) reader.error(kBadValue, "\"" + value + "\" is no trust domain", "write a name such as cluster.local");
}

void wildcard_host(Reader& reader, const std::string& value) {
  if (const std::string problem = wildcard_host_problem(value); !problem.empty()) reader.error(kBadValue, "the host \"" + value + "\" " + problem);
}

void tls_version(Reader& reader, const std::string& value) {
  if (value != "TLS_AUTO" && value != "TLSV1_2" && value != "TLSV1_3")
    reader.error(kBadValue, "\"" + value + "\" is not one of TLS_AUTO, TLSV1_2, TLSV1_3");
}

void requirement_operator(Reader& reader, const std::string& value) {
  if (value != "In" && value != "NotIn" && value != "Exists" && value != "DoesNotExist")
    reader.error(kBadValue, "\"" + value + "\" is not one of In, NotIn, Exists, DoesNotExist");
}

}  // namespace

template <>
struct Words<Outbound> {
  using E = Outbound;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"REGISTRY_ONLY", E::kRegistryOnly}, {"ALLOW_ANY", E::kAllowAny}, {"ALLOW_ANY_DYNAMIC_DNS", E::kDynamicDns}};
};
template <>
struct Words<Inbound> {
  using E = Inbound;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"PASSTHROUGH", E::kPassthrough}, {"LOCALHOST", E::kLocalhost}};
};
template <>
struct Words<Upgrade> {
  using E = Upgrade;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"DO_NOT_UPGRADE", E::kDoNotUpgrade}, {"UPGRADE", E::kUpgrade}};
};
template <>
struct Words<Encoding> {
  using E = Encoding;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"TEXT", E::kText}, {"JSON", E::kJson}};
};

template <>
struct Shape<OutboundTrafficPolicy> : Table<OutboundTrafficPolicy> {
  using T = OutboundTrafficPolicy;
  static constexpr Field<T> kFields[] = {{"mode", at<&T::mode>}, {"tls", unsupported}};
  static void check(Reader& reader, const T& policy, const text::Node&) {
    if (policy.mode == Outbound::kDynamicDns)
      reader.error_below("mode", kUnsupportedField, "ALLOW_ANY_DYNAMIC_DNS is not supported yet", "write ALLOW_ANY or REGISTRY_ONLY");
  }
};
template <>
struct Shape<InboundTrafficPolicy> : Table<InboundTrafficPolicy> {
  static constexpr Field<InboundTrafficPolicy> kFields[] = {{"mode", at<&InboundTrafficPolicy::mode>}};
};
template <>
struct Shape<PathNormalization> : Table<PathNormalization> {
  static constexpr Field<PathNormalization> kFields[] = {{"normalization", at<&PathNormalization::normalization, normalization_word>}};
};
template <>
struct Shape<ClusterLocal> : Table<ClusterLocal> {
  static constexpr Field<ClusterLocal> kFields[] = {{"clusterLocal", at<&ClusterLocal::cluster_local>}};
};
template <>
struct Shape<ServiceSettings> : Table<ServiceSettings> {
  using T = ServiceSettings;
  static void settings(Reader& reader, const text::Node& node, T& out) {
    ClusterLocal read;
    if (read_value(reader, node, read)) out.cluster_local = read.cluster_local;
  }
  static constexpr Field<T> kFields[] = {{"settings", settings}, {"hosts", each<&T::hosts, wildcard_host>}};
};
template <>
struct Shape<DiscoverySelector::Requirement> : Table<DiscoverySelector::Requirement> {
  using T = DiscoverySelector::Requirement;
  static constexpr Field<T> kFields[] = {
      {"key", at<&T::key, not_empty>}, {"operator", at<&T::op, requirement_operator>}, {"values", at<&T::values>}};
};
template <>
struct Shape<DiscoverySelector> : Table<DiscoverySelector> {
  using T = DiscoverySelector;
  static constexpr Field<T> kFields[] = {{"matchLabels", at<&T::match_labels>}, {"matchExpressions", at<&T::match_expressions>}};
};
template <>
struct Shape<MeshTls> : Table<MeshTls> {
  using T = MeshTls;
  static constexpr Field<T> kFields[] = {{"minProtocolVersion", at<&T::min_protocol_version, tls_version>},
                                         {"ecdhCurves", at<&T::ecdh_curves>},
                                         {"cipherSuites", at<&T::cipher_suites>}};
};
template <>
struct Shape<DefaultTrafficPolicy> : Table<DefaultTrafficPolicy> {
  using T = DefaultTrafficPolicy;
  static void pool(Reader& reader, const text::Node& node, T& out) { read_connection_pool(reader, node, out.connection_pool.emplace()); }
  static void outliers(Reader& reader, const text::Node& node, T& out) {
    read_outlier_detection(reader, node, out.outlier_detection.emplace());
  }
  static constexpr Field<T> kFields[] = {{"connectionPool", pool}, {"outlierDetection", outliers}};
};

template <>
struct Shape<MeshConfig> : Table<MeshConfig> {
  using T = MeshConfig;

  // The field anew, not over what an earlier file said.
  template <auto Member, auto... Checks>
  static void fresh(Reader& reader, const text::Node& node, T& out) {
    out.*Member = {};
    at<Member, Checks...>(reader, node, out);
  }
  static void outbound(Reader& reader, const text::Node& node, T& out) {
    OutboundTrafficPolicy policy;
    if (read_value(reader, node, policy)) out.allow_any_outbound = policy.mode == Outbound::kAllowAny;
  }
  static void inbound(Reader& reader, const text::Node& node, T& out) {
    InboundTrafficPolicy policy;
    if (read_value(reader, node, policy)) out.inbound_passthrough = policy.mode == Inbound::kPassthrough;
  }
  static void normalization(Reader& reader, const text::Node& node, T& out) {
    PathNormalization read;
    if (read_value(reader, node, read)) out.path_normalization = read.normalization;
  }
  static void retries(Reader& reader, const text::Node& node, T& out) {
    HttpRetry retry;
    if (read_retry(reader, node, retry)) out.default_http_retry_policy = retry;
  }
  static void keepalive(Reader& reader, const text::Node& node, T& out) { read_tcp_keepalive(reader, node, out.tcp_keepalive.emplace()); }
  static void locality(Reader& reader, const text::Node& node, T& out) {
    out.locality_lb_setting = {};
    read_locality_lb_setting(reader, node, out.locality_lb_setting);
  }
  static void zone_aware(Reader& reader, const text::Node& node, T& out) {
    read_zone_aware_lb_setting(reader, node, out.zone_aware_lb_setting.emplace());
  }
  static void upgrade(Reader& reader, const text::Node& node, T& out) {
    Upgrade read{};
    if (read_value(reader, node, read)) out.h2_upgrade = read == Upgrade::kUpgrade;
  }
  static void encoding(Reader& reader, const text::Node& node, T& out) {
    Encoding read{};
    if (read_value(reader, node, read)) out.access_log_json = read == Encoding::kJson;
  }
  static void traffic_policy(Reader& reader, const text::Node& node, T& out) {
    DefaultTrafficPolicy policy;
    if (!read_value(reader, node, policy)) return;
    out.default_connection_pool = std::move(policy.connection_pool);
    out.default_outlier_detection = std::move(policy.outlier_detection);
  }
  template <auto Member>
  static void port(Reader& reader, const text::Node& node, T& out) {
    std::uint32_t read = 0;
    if (!read_value(reader, node, read)) return;
    port_number(reader, read);
    out.*Member = static_cast<std::uint16_t>(read);
  }
  // 0 turns the listener off.
  static void http_port(Reader& reader, const text::Node& node, T& out) {
    std::uint32_t read = 0;
    if (!read_value(reader, node, read)) return;
    if (read != 0) port_number(reader, read);
    out.proxy_http_port = static_cast<std::uint16_t>(read);
  }
  template <auto Member>
  static void tls(Reader& reader, const text::Node& node, T& out) {
    MeshTls read;
    if (!read_value(reader, node, read)) return;
    if (read.min_protocol_version == "TLS_AUTO") read.min_protocol_version.clear();
    out.*Member = std::move(read);
  }
  static void default_config(Reader& reader, const text::Node& node, T& out) {
    ProxySettings read;
    if (!read_proxy_settings(reader, node, read)) return;
    if (read.connection_settings) out.connection_settings = *read.connection_settings;
    if (read.topology) out.proxy.topology = read.topology;
    if (read.headers) out.proxy.headers = read.headers;
  }

  static constexpr Field<T> kFields[] = {
      {"outboundTrafficPolicy", outbound},
      {"inboundTrafficPolicy", inbound},
      {"rootNamespace", at<&T::root_namespace, namespace_name>},
      {"trustDomain", at<&T::trust_domain, trust_domain_name>},
      {"trustDomainAliases", each<&T::trust_domain_aliases, trust_domain_name>},
      {"connectTimeout", at<&T::connect_timeout, connect_timeout>},
      {"tcpKeepalive", keepalive},
      {"protocolDetectionTimeout", at<&T::protocol_detection_timeout, whole_milliseconds>},
      {"dnsRefreshRate", at<&T::dns_refresh_rate, at_least_1ms>},
      {"h2UpgradePolicy", upgrade},
      {"enableAutoMtls", at<&T::auto_mtls>},
      {"enableTracing", at<&T::enable_tracing>},
      {"localityLbSetting", locality},
      {"zoneAwareLbSetting", zone_aware},
      {"pathNormalization", normalization},
      {"defaultHttpRetryPolicy", retries},
      {"defaultTrafficPolicy", traffic_policy},
      {"defaultServiceExportTo", fresh<&T::service_export_to>},
      {"defaultVirtualServiceExportTo", fresh<&T::virtual_service_export_to>},
      {"defaultDestinationRuleExportTo", fresh<&T::destination_rule_export_to>},
      {"serviceSettings", fresh<&T::service_settings>},
      {"discoverySelectors", fresh<&T::discovery_selectors>},
      {"proxyListenPort", port<&T::proxy_listen_port>},
      {"proxyInboundListenPort", port<&T::proxy_inbound_listen_port>},
      {"proxyHttpPort", http_port},
      {"accessLogFile", at<&T::access_log_file>},
      {"accessLogFormat", at<&T::access_log_format>},
      {"accessLogEncoding", encoding},
      {"disableEnvoyListenerLog", at<&T::disable_listener_log>},
      {"tlsDefaults", tls<&T::tls_defaults>},
      {"meshMTLS", tls<&T::mesh_mtls>},
      {"inboundClusterStatName", at<&T::inbound_cluster_stat_name>},
      {"outboundClusterStatName", at<&T::outbound_cluster_stat_name>},
      {"defaultConfig", default_config},
      // Traffic of kinds that are not carried out: refused rather than ignored.
      {"serviceEntryVisibility", unsupported},
      {"serviceScopeConfigs", unsupported},
      {"enableEnvoyAccessLogService", unsupported},
      // Traces, metrics, providers that other objects must name, certificates and Ingress: no traffic of the mesh.
      {"enablePrometheusMerge", skip},
      {"extensionProviders", skip},
      {"defaultProviders", skip},
      {"ingressService", skip},
      {"ingressSelector", skip},
      {"ingressClass", skip},
      {"ingressControllerMode", skip},
      {"caCertificates", skip},
      {"certificates", skip},
      {"ca", skip},
      {"configSources", skip},
      {"hboneIdleTimeout", skip},
      {"verifyCertificateAtClient", skip}};

  static void check(Reader& reader, const T& config, const text::Node&) {
    if (!config.mesh_mtls.ecdh_curves.empty())
      reader.error_below("meshMTLS.ecdhCurves", kConflictingFields, "curves are for tlsDefaults alone");
  }
};

ReadMeshConfig read_mesh_config(std::string_view text, std::string_view file, const MeshConfig& base) {
  ReadMeshConfig result{base, {}};
  const text::YamlStream stream = text::read_yaml(text, file);
  for (const text::YamlBadDocument& bad : stream.bad)
    result.problems.push_back({std::string(kSyntax), Severity::kError, bad.error.origin, bad.error.message, ""});
  for (const text::YamlDocument& document : stream.documents) {
    Reader reader(file, "MeshConfig", Reader::Mode::kStrict);
    reader.start_at({document.root.line, document.root.column});
    MeshConfig config = result.config;
    if (read_value(reader, document.root, config)) result.config = std::move(config);
    std::vector<Diagnostic> problems = reader.take_problems();
    result.problems.insert(result.problems.end(), problems.begin(), problems.end());
  }
  return result;
}

}  // namespace lateen::model
