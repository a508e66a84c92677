// Reading DestinationRule: the field tables and what istiod's validation says about them.
#include "model/destination_rule.h"

#include <algorithm>
#include <set>

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/locality_checks.h"
#include "model/names.h"

namespace lateen::model {

namespace {

constexpr std::uint64_t kMaxMaglevTable = 5'000'011;
constexpr std::size_t kMaxPortSettings = 4096;

bool is_prime(std::uint64_t x) {
  if (x < 4) return x > 1;
  if (x % 2 == 0) return false;
  for (std::uint64_t factor = 3; factor * factor <= x; factor += 2)
    if (x % factor == 0) return false;
  return true;
}

void maglev_table(Reader& reader, const std::uint64_t& value) {
  if (value == 0 || value >= kMaxMaglevTable || !is_prime(value))
    reader.error(kBadValue, std::to_string(value) + " is not a prime number below 5000011", "write tableSize: 65537");
}

void warmup_percent(Reader& reader, const double& value) {
  if (value < 0 || value > 100) reader.error(kBadValue, "is not in range 0..100");
}
void warmup_aggression(Reader& reader, const double& value) {
  if (value < 1) reader.error(kBadValue, "must be 1 or more");
}
void budget_percent(Reader& reader, const double& value) { percentage_0_100(reader, value); }

void error_code(Reader& reader, const std::uint32_t& value) {
  if (value < 100 || value > 599) reader.error(kBadValue, "the status " + std::to_string(value) + " is not in range 100..599");
}

void deprecated_errors(Reader& reader, const std::int32_t& value) {
  not_negative(reader, value);
  reader.warn(kDeprecatedField, "is deprecated", "write consecutive5xxErrors or consecutiveGatewayErrors");
}

struct RingHash {
  std::optional<std::uint64_t> minimum_ring_size;
};
struct MagLev {
  std::optional<std::uint64_t> table_size;
};
struct CookieAttribute {
  std::string name, value;
};
struct ProxyProtocol {
  ProxyProtocolVersion version = ProxyProtocolVersion::kV1;
};

}  // namespace

template <>
struct Words<ConnectionPoolHttp::H2Upgrade> {
  using E = ConnectionPoolHttp::H2Upgrade;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"DEFAULT", E::kDefault}, {"DO_NOT_UPGRADE", E::kDoNotUpgrade}, {"UPGRADE", E::kUpgrade}};
};
template <>
struct Words<LoadBalancer::Simple> {
  using E = LoadBalancer::Simple;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"ROUND_ROBIN", E::kRoundRobin}, {"LEAST_REQUEST", E::kLeastRequest}, {"RANDOM", E::kRandom},
                                                              {"PASSTHROUGH", E::kPassthrough}, {"LEAST_CONN", E::kLeastConn}, {"UNSPECIFIED", E::kUnspecified}};
};
template <>
struct Words<ClientTls::Mode> {
  using E = ClientTls::Mode;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"DISABLE", E::kDisable}, {"SIMPLE", E::kSimple}, {"MUTUAL", E::kMutual}, {"ISTIO_MUTUAL", E::kIstioMutual}};
};

template <>
struct Shape<TcpKeepaliveSettings> : Table<TcpKeepaliveSettings> {
  static constexpr Field<TcpKeepaliveSettings> kFields[] = {{"probes", at<&TcpKeepaliveSettings::probes>},
                                                            {"time", at<&TcpKeepaliveSettings::time, at_least_1ms>},
                                                            {"interval", at<&TcpKeepaliveSettings::interval, at_least_1ms>}};
};

template <>
struct Shape<ConnectionPoolTcp> : Table<ConnectionPoolTcp> {
  static constexpr Field<ConnectionPoolTcp> kFields[] = {{"maxConnections", at<&ConnectionPoolTcp::max_connections, not_negative<std::int32_t>>},
                                                         {"connectTimeout", at<&ConnectionPoolTcp::connect_timeout, at_least_1ms>},
                                                         {"tcpKeepalive", at<&ConnectionPoolTcp::tcp_keepalive>},
                                                         {"maxConnectionDuration", at<&ConnectionPoolTcp::max_connection_duration, at_least_1ms>},
                                                         {"idleTimeout", at<&ConnectionPoolTcp::idle_timeout, at_least_1ms_or_zero>}};
};

template <>
struct Shape<ConnectionPoolHttp::Http2Keepalive> : Table<ConnectionPoolHttp::Http2Keepalive> {
  using T = ConnectionPoolHttp::Http2Keepalive;
  static constexpr Field<T> kFields[] = {{"interval", at<&T::interval, at_least_1ms>}, {"timeout", at<&T::timeout, at_least_1ms>}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    if (!has(node, "interval") || !has(node, "timeout")) reader.error(kMissingField, "needs both interval and timeout");
  }
};

template <>
struct Shape<ConnectionPoolHttp> : Table<ConnectionPoolHttp> {
  using T = ConnectionPoolHttp;
  static constexpr Field<T> kFields[] = {{"http1MaxPendingRequests", at<&T::http1_max_pending_requests, not_negative<std::int32_t>>},
                                         {"http2MaxRequests", at<&T::http2_max_requests, not_negative<std::int32_t>>},
                                         {"maxRequestsPerConnection", at<&T::max_requests_per_connection, not_negative<std::int32_t>>},
                                         {"maxRetries", at<&T::max_retries, not_negative<std::int32_t>>},
                                         {"idleTimeout", at<&T::idle_timeout, at_least_1ms>},
                                         {"h2UpgradePolicy", at<&T::h2_upgrade_policy>},
                                         {"useClientProtocol", at<&T::use_client_protocol>},
                                         {"maxConcurrentStreams", at<&T::max_concurrent_streams, not_negative<std::int32_t>>},
                                         {"http2KeepAlive", at<&T::http2_keepalive>}};
  static void check(Reader& reader, const T& http, const text::Node&) {
    if (http.use_client_protocol && http.h2_upgrade_policy == T::H2Upgrade::kUpgrade)
      reader.error(kConflictingFields, "useClientProtocol and h2UpgradePolicy: UPGRADE exclude each other", "take one of them out");
  }
};

template <>
struct Shape<ConnectionPool> : Table<ConnectionPool> {
  static constexpr Field<ConnectionPool> kFields[] = {{"tcp", at<&ConnectionPool::tcp>}, {"http", at<&ConnectionPool::http>}};
  static void check(Reader& reader, const ConnectionPool&, const text::Node& node) {
    if (!has(node, "tcp") && !has(node, "http")) reader.error(kMissingField, "the connectionPool is empty", "give it tcp or http settings, or take it out");
  }
};

template <>
struct Shape<OutlierDetection> : Table<OutlierDetection> {
  using T = OutlierDetection;
  static constexpr Field<T> kFields[] = {{"consecutive5xxErrors", at<&T::consecutive_5xx_errors>},
                                         {"consecutiveGatewayErrors", at<&T::consecutive_gateway_errors>},
                                         {"consecutiveLocalOriginFailures", at<&T::consecutive_local_origin_failures>},
                                         {"consecutiveErrors", at<&T::consecutive_errors, deprecated_errors>},
                                         {"splitExternalLocalOriginErrors", at<&T::split_external_local_origin_errors>},
                                         {"interval", at<&T::interval, at_least_1ms>},
                                         {"baseEjectionTime", at<&T::base_ejection_time, at_least_1ms>},
                                         {"maxEjectionPercent", at<&T::max_ejection_percent, percent_0_100>},
                                         {"minHealthPercent", at<&T::min_health_percent, percent_0_100>},
                                         {"outlierDetectionHttpErrorCodes", each<&T::http_error_codes, error_code>}};
  static void check(Reader& reader, const T& outlier, const text::Node&) {
    if (!outlier.split_external_local_origin_errors && outlier.consecutive_local_origin_failures.value_or(0) > 0)
      reader.error_below("consecutiveLocalOriginFailures", kConflictingFields, "counts only with splitExternalLocalOriginErrors: true", "set splitExternalLocalOriginErrors: true, or take it out");
  }
};

template <>
struct Shape<CookieAttribute> : Table<CookieAttribute> {
  static constexpr Field<CookieAttribute> kFields[] = {{"name", at<&CookieAttribute::name, not_empty>}, {"value", at<&CookieAttribute::value>}};
};

template <>
struct Shape<HashCookie> : Table<HashCookie> {
  static void attributes(Reader& reader, const text::Node& node, HashCookie& out) {
    std::vector<CookieAttribute> read;
    read_value(reader, node, read);
    for (CookieAttribute& attribute : read) out.attributes.emplace_back(std::move(attribute.name), std::move(attribute.value));
  }
  static constexpr Field<HashCookie> kFields[] = {{"name", at<&HashCookie::name>},
                                                  {"path", at<&HashCookie::path>},
                                                  {"ttl", at<&HashCookie::ttl, not_negative_duration>},
                                                  {"attributes", attributes}};
  static void check(Reader& reader, const HashCookie& cookie, const text::Node&) {
    if (cookie.name.empty()) reader.error(kMissingField, "the cookie has no name");
    std::set<std::string_view> names;
    for (const auto& [name, value] : cookie.attributes)
      if (!names.insert(name).second) reader.error(kBadValue, "the cookie's attribute " + name + " is given twice");
  }
};

template <>
struct Shape<RingHash> : Table<RingHash> {
  static constexpr Field<RingHash> kFields[] = {{"minimumRingSize", at<&RingHash::minimum_ring_size>}};
};
template <>
struct Shape<MagLev> : Table<MagLev> {
  static constexpr Field<MagLev> kFields[] = {{"tableSize", at<&MagLev::table_size, maglev_table>}};
  static void check(Reader& reader, const MagLev&, const text::Node& node) {
    if (!has(node, "tableSize")) reader.error(kMissingField, "maglev has no tableSize", "write tableSize: 65537");
  }
};

template <>
struct Shape<ConsistentHash> : Table<ConsistentHash> {
  static void ring_hash(Reader& reader, const text::Node& node, ConsistentHash& out) {
    RingHash ring;
    out.ring_hash = true;
    if (read_value(reader, node, ring)) out.ring_hash_minimum_ring_size = ring.minimum_ring_size;
  }
  static void maglev(Reader& reader, const text::Node& node, ConsistentHash& out) {
    MagLev table;
    out.maglev = true;
    if (read_value(reader, node, table)) out.maglev_table_size = table.table_size;
  }
  static constexpr Field<ConsistentHash> kFields[] = {{"httpHeaderName", at<&ConsistentHash::http_header_name>},
                                                      {"httpCookie", at<&ConsistentHash::http_cookie>},
                                                      {"useSourceIp", at<&ConsistentHash::use_source_ip>},
                                                      {"httpQueryParameterName", at<&ConsistentHash::http_query_parameter_name>},
                                                      {"minimumRingSize", at<&ConsistentHash::minimum_ring_size>},
                                                      {"ringHash", ring_hash},
                                                      {"maglev", maglev}};
  static void check(Reader& reader, const ConsistentHash& hash, const text::Node& node) {
    if (has(node, "httpHeaderName") + has(node, "httpCookie") + has(node, "useSourceIp") + has(node, "httpQueryParameterName") > 1)
      reader.error(kConflictingFields, "hashes by one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName, not by several");
    if (hash.ring_hash && hash.maglev) reader.error(kConflictingFields, "takes ringHash or maglev, not both");
    if (has(node, "minimumRingSize")) {
      reader.warn(kDeprecatedField, "minimumRingSize is deprecated here", "write ringHash: {minimumRingSize: ...}");
      if (hash.ring_hash || hash.maglev) reader.error(kConflictingFields, "takes minimumRingSize or ringHash or maglev, not several");
    }
  }
};

template <>
struct Shape<LocalityLbSetting::Distribute> : Table<LocalityLbSetting::Distribute> {
  using T = LocalityLbSetting::Distribute;
  static constexpr Field<T> kFields[] = {{"from", at<&T::from, not_empty>}, {"to", at<&T::to>}};
  static void check(Reader& reader, const T& distribute, const text::Node&) { check_distribute(reader, distribute); }
};
template <>
struct Shape<LocalityLbSetting::Failover> : Table<LocalityLbSetting::Failover> {
  using T = LocalityLbSetting::Failover;
  static constexpr Field<T> kFields[] = {{"from", at<&T::from, not_empty>}, {"to", at<&T::to, not_empty>}};
  static void check(Reader& reader, const T& failover, const text::Node&) { check_failover(reader, failover); }
};
template <>
struct Shape<LocalityLbSetting> : Table<LocalityLbSetting> {
  using T = LocalityLbSetting;
  static constexpr Field<T> kFields[] = {{"distribute", at<&T::distribute>},
                                         {"failover", at<&T::failover>},
                                         {"failoverPriority", at<&T::failover_priority>},
                                         {"enabled", at<&T::enabled>}};
  static void check(Reader& reader, const T& setting, const text::Node&) { check_locality_setting(reader, setting); }
};
template <>
struct Shape<ZoneAwareLbSetting> : Table<ZoneAwareLbSetting> {
  using T = ZoneAwareLbSetting;
  static constexpr Field<T> kFields[] = {{"enabled", at<&T::enabled>},
                                         {"failover", at<&T::failover>},
                                         {"failoverPriority", at<&T::failover_priority>},
                                         {"minClusterSize", at<&T::min_cluster_size>}};
  static void check(Reader& reader, const T& setting, const text::Node&) { check_zone_aware_setting(reader, setting); }
};

template <>
struct Shape<Warmup> : Table<Warmup> {
  static constexpr Field<Warmup> kFields[] = {{"duration", at<&Warmup::duration, at_least_1ms>},
                                              {"minimumPercent", at<&Warmup::minimum_percent, warmup_percent>},
                                              {"aggression", at<&Warmup::aggression, warmup_aggression>}};
  static void check(Reader& reader, const Warmup&, const text::Node& node) {
    if (!has(node, "duration")) reader.error(kMissingField, "the warmup has no duration");
  }
};

template <>
struct Shape<LoadBalancer> : Table<LoadBalancer> {
  static constexpr Field<LoadBalancer> kFields[] = {{"simple", at<&LoadBalancer::simple>},
                                                    {"consistentHash", at<&LoadBalancer::consistent_hash>},
                                                    {"localityLbSetting", at<&LoadBalancer::locality_lb_setting>},
                                                    {"zoneAwareLbSetting", at<&LoadBalancer::zone_aware_lb_setting>},
                                                    {"warmup", at<&LoadBalancer::warmup>},
                                                    {"warmupDurationSecs", at<&LoadBalancer::warmup_duration_secs, at_least_1ms>}};
  static void check(Reader& reader, const LoadBalancer&, const text::Node& node) {
    if (has(node, "simple") && has(node, "consistentHash")) reader.error(kConflictingFields, "takes simple or consistentHash, not both");
    if (has(node, "localityLbSetting") && has(node, "zoneAwareLbSetting"))
      reader.error(kConflictingFields, "takes localityLbSetting or zoneAwareLbSetting, not both");
  }
};

template <>
struct Shape<ClientTls> : Table<ClientTls> {
  using T = ClientTls;
  static constexpr Field<T> kFields[] = {{"mode", at<&T::mode>},
                                         {"clientCertificate", at<&T::client_certificate>},
                                         {"privateKey", at<&T::private_key>},
                                         {"caCertificates", at<&T::ca_certificates>},
                                         {"caCrl", at<&T::ca_crl>},
                                         {"credentialName", at<&T::credential_name>},
                                         {"subjectAltNames", at<&T::subject_alt_names>},
                                         {"sni", at<&T::sni>},
                                         {"insecureSkipVerify", at<&T::insecure_skip_verify>}};
  static void check(Reader& reader, const T& tls, const text::Node& node) {
    const bool files = !tls.client_certificate.empty() || !tls.private_key.empty() || !tls.ca_certificates.empty() || !tls.ca_crl.empty();
    const bool plain = tls.mode == T::Mode::kSimple || tls.mode == T::Mode::kMutual;
    check_config_map(reader, tls);
    if (tls.insecure_skip_verify.value_or(false) && plain) {
      const bool by_secret = tls.mode == T::Mode::kSimple && !tls.credential_name.empty();
      if (!tls.ca_certificates.empty() || by_secret || has(node, "subjectAltNames"))
        reader.error(kConflictingFields, "insecureSkipVerify leaves nothing to verify by caCertificates, credentialName or subjectAltNames", "take them out, or insecureSkipVerify");
    }
    if (plain && !tls.credential_name.empty()) {
      if (files) reader.error(kConflictingFields, "takes credentialName or files, not both");
      return;
    }
    if (tls.mode == T::Mode::kMutual && (tls.client_certificate.empty() || tls.private_key.empty()))
      reader.error(kMissingField, "mode MUTUAL needs clientCertificate and privateKey, or credentialName");
  }
  // A ConfigMap holds what everybody may know; it must be the rule's own namespace's.
  static void check_config_map(Reader& reader, const T& tls) {
    constexpr std::string_view kConfigMap = "configmap://";
    if (!tls.credential_name.starts_with(kConfigMap)) return;
    const std::string_view rest = std::string_view(tls.credential_name).substr(kConfigMap.size());
    const auto slash = rest.find('/');
    const bool named = slash != std::string_view::npos && slash > 0 && slash + 1 < rest.size() && rest[slash + 1] != '/';
    if (!named) reader.error_below("credentialName", kBadValue, "\"" + tls.credential_name + "\" does not name a ConfigMap", "write configmap://NAMESPACE/NAME");
    else if (rest.substr(0, slash) != reader.own_namespace())
      reader.error_below("credentialName", kBadValue, "the ConfigMap is not in the rule's own namespace", "write configmap://" + reader.own_namespace() + "/NAME");
  }
};

template <>
struct Shape<RetryBudget> : Table<RetryBudget> {
  static constexpr Field<RetryBudget> kFields[] = {{"percent", at<&RetryBudget::percent, budget_percent>},
                                                   {"minRetryConcurrency", at<&RetryBudget::min_retry_concurrency>},
                                                   {"budgetInterval", at<&RetryBudget::budget_interval, not_negative_duration>}};
};

template <>
struct Shape<TunnelSettings> : Table<TunnelSettings> {
  using T = TunnelSettings;
  static void protocol_word(Reader& reader, const std::string& value) {
    if (!value.empty() && value != "CONNECT" && value != "POST") reader.error(kBadValue, "\"" + value + "\" is not one of CONNECT, POST");
  }
  static constexpr Field<T> kFields[] = {{"protocol", at<&T::protocol, protocol_word>},
                                         {"targetHost", at<&T::target_host>},
                                         {"targetPort", at<&T::target_port, port_number>}};
  static void check(Reader& reader, const T& tunnel, const text::Node& node) {
    if (!has(node, "targetPort")) reader.error(kMissingField, "the tunnel names no targetPort", "write targetPort: 443");
    if (tunnel.target_host.empty()) reader.error(kMissingField, "the tunnel names no targetHost", "write targetHost: NAME");
    else if (!is_ip_address(tunnel.target_host))
      if (const std::string problem = fqdn_problem(tunnel.target_host); !problem.empty())
        reader.error_below("targetHost", kBadValue, "the host \"" + tunnel.target_host + "\" " + problem);
  }
};

template <>
struct Words<ProxyProtocolVersion> {
  using E = ProxyProtocolVersion;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"V1", E::kV1}, {"V2", E::kV2}};
};
template <>
struct Shape<ProxyProtocol> : Table<ProxyProtocol> {
  static constexpr Field<ProxyProtocol> kFields[] = {{"version", at<&ProxyProtocol::version>}};
};

template <>
struct Shape<PortTrafficPolicy> : Table<PortTrafficPolicy> {
  using T = PortTrafficPolicy;
  static constexpr Field<T> kFields[] = {{"port", port_selector<T, &T::port>},
                                         {"loadBalancer", at<&T::load_balancer>},
                                         {"connectionPool", at<&T::connection_pool>},
                                         {"outlierDetection", at<&T::outlier_detection>},
                                         {"tls", at<&T::tls>}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    if (!has(node, "port")) reader.error(kMissingField, "the port settings name no port", "write port: {number: 9080}");
    if (!has(node, "loadBalancer") && !has(node, "connectionPool") && !has(node, "outlierDetection") && !has(node, "tls"))
      reader.error(kMissingField, "the port settings are empty", "give them loadBalancer, connectionPool, outlierDetection or tls");
  }
};

template <>
struct Shape<TrafficPolicy> : Table<TrafficPolicy> {
  using T = TrafficPolicy;
  static void proxy_protocol(Reader& reader, const text::Node& node, T& out) {
    ProxyProtocol read;
    if (read_value(reader, node, read)) out.proxy_protocol = read.version;
  }
  static constexpr Field<T> kFields[] = {{"loadBalancer", at<&T::load_balancer>},
                                         {"connectionPool", at<&T::connection_pool>},
                                         {"outlierDetection", at<&T::outlier_detection>},
                                         {"tls", at<&T::tls>},
                                         {"portLevelSettings", at<&T::port_level_settings>},
                                         {"tunnel", at<&T::tunnel>},
                                         {"proxyProtocol", proxy_protocol},
                                         {"retryBudget", at<&T::retry_budget>}};
  static void check(Reader& reader, const T& policy, const text::Node& node) {
    if (has(node, "tunnel") && has(node, "proxyProtocol")) reader.error(kConflictingFields, "takes tunnel or proxyProtocol, not both");
    bool empty = true;
    for (const text::Member& member : node.members) empty = empty && member.value.is_null();
    if (empty) reader.error(kMissingField, "the trafficPolicy is empty", "give it loadBalancer, connectionPool, outlierDetection, tls or portLevelSettings, or take it out");
    if (policy.port_level_settings.size() > kMaxPortSettings) reader.error(kBadValue, "has more than 4096 portLevelSettings");
  }
};

template <>
struct Shape<Subset> : Table<Subset> {
  static constexpr Field<Subset> kFields[] = {{"name", at<&Subset::name, subset_name>},
                                              {"labels", at<&Subset::labels, selector_labels>},
                                              {"trafficPolicy", at<&Subset::traffic_policy>}};
  static void check(Reader& reader, const Subset&, const text::Node& node) {
    if (!has(node, "name")) reader.error(kMissingField, "the subset has no name", "give it a name such as v1");
  }
};

template <>
struct Shape<DestinationRule> : Table<DestinationRule> {
  using T = DestinationRule;
  static void selector(Reader& reader, const text::Node& node, T& out) {
    MatchLabels labels;
    out.has_workload_selector = true;
    if (read_value(reader, node, labels)) out.workload_selector = std::move(labels.labels);
  }
  static constexpr Field<T> kFields[] = {{"host", at<&T::host, rule_host>},
                                         {"trafficPolicy", at<&T::traffic_policy>},
                                         {"subsets", at<&T::subsets>},
                                         {"exportTo", at<&T::export_to>},
                                         {"workloadSelector", selector}};
  static void check(Reader& reader, const T& rule, const text::Node& node) {
    if (!has(node, "host")) reader.error(kMissingField, "the DestinationRule names no host", "write host: NAME");
    check_export_to(reader, rule.export_to, reader.own_namespace(), false);
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < rule.subsets.size(); ++i)
      if (!names.insert(rule.subsets[i].name).second && !rule.subsets[i].name.empty())
        reader.error_below("subsets[" + std::to_string(i) + "].name", kBadValue, "the subset " + rule.subsets[i].name + " is defined twice", "give each subset a name of its own");
    if (rule.has_workload_selector)
      for (const std::string& entry : rule.export_to)
        if (entry != "." && entry != reader.own_namespace())
          reader.error_below("exportTo", kConflictingFields, "a rule with a workloadSelector is for its own namespace only", "write exportTo: [.] or take it out");
  }
};

bool read_connection_pool(Reader& reader, const text::Node& node, ConnectionPool& out) { return read_value(reader, node, out); }
bool read_locality_lb_setting(Reader& reader, const text::Node& node, LocalityLbSetting& out) { return read_value(reader, node, out); }
bool read_zone_aware_lb_setting(Reader& reader, const text::Node& node, ZoneAwareLbSetting& out) { return read_value(reader, node, out); }
bool read_outlier_detection(Reader& reader, const text::Node& node, OutlierDetection& out) { return read_value(reader, node, out); }
bool read_tcp_keepalive(Reader& reader, const text::Node& node, TcpKeepaliveSettings& out) { return read_value(reader, node, out); }

void check_load_balancer_annotation(Reader& reader, const Metadata& meta) {
  const auto it = meta.annotations.find(std::string(kLoadBalancerAnnotation));
  if (it == meta.annotations.end() || it->second == kPeakEwma) return;
  reader.error_below("metadata.annotations." + it->first, kBadValue, "\"" + it->second + "\" is no load balancer of this annotation", "write PEAK_EWMA, or take it out");
}

DestinationRule read_destination_rule(Reader& reader, const text::Node& spec) {
  DestinationRule rule;
  read_value(reader, spec, rule);
  return rule;
}

}  // namespace lateen::model
