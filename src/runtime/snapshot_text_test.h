// For tests: a Snapshot as text, every field of it, so that any difference between two snapshots shows. What is derived
// from other fields (indexes, ids, content hashes) is left out.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/snapshot.h"

namespace lateen::runtime::text {

struct Out {
  std::ostringstream stream;
};

inline void put(Out& out, const std::string& v) { out.stream << '"' << v << '"'; }
template <class T>
  requires std::is_arithmetic_v<T>
void put(Out& out, T v) { out.stream << +v; }
template <class T>
  requires std::is_enum_v<T>
void put(Out& out, T v) { out.stream << static_cast<int>(v); }
inline void put(Out& out, Duration v) { out.stream << v.count() << "ns"; }

inline void put(Out& out, const SharedText& v) { out.stream << '"' << v << '"'; }
template <class T> void put(Out& out, const Boxed<T>& v) { if (v) put(out, *v); else out.stream << '-'; }
inline void put(Out& out, OptionalDuration v) { if (v) put(out, *v); else out.stream << '-'; }
template <class T> void put_all(Out& out, const T& range);
template <class T> void put(Out& out, const CompactList<T>& v) { put_all(out, v); }
template <class T, std::size_t kAlignment> void put(Out& out, const InlineList<T, kAlignment>& v) { put_all(out, v); }
template <class T> void put(Out& out, const std::optional<T>& v) { if (v) put(out, *v); else out.stream << '-'; }
template <class T> void put(Out& out, const std::shared_ptr<const T>& v) { if (v != nullptr) put(out, *v); else out.stream << '-'; }
template <class A, class B> void put(Out& out, const std::pair<A, B>& v) { put(out, v.first); out.stream << ':'; put(out, v.second); }
template <class... T> void put(Out& out, const std::variant<T...>& v) {
  out.stream << '#' << v.index() << ' ';
  std::visit([&](const auto& value) { put(out, value); }, v);
}
template <class T> void put_all(Out& out, const T& range) {
  out.stream << '[';
  for (const auto& value : range) { put(out, value); out.stream << ' '; }
  out.stream << ']';
}
template <class T> void put(Out& out, const std::vector<T>& v) { put_all(out, v); }
template <class K, class T, class L> void put(Out& out, const std::map<K, T, L>& v) { put_all(out, v); }

template <class... T> void fields(Out& out, const T&... v) {
  out.stream << '{';
  ((put(out, v), out.stream << ", "), ...);
  out.stream << '}';
}

// ---- tls.h ----
inline void put(Out& o, const Regex& v) { put(o, v.pattern()); }
inline void put(Out& o, const StringMatcher& v) { fields(o, v.kind, v.ignore_case, v.text, v.regex); }
inline void put(Out& o, const DataSource& v) { fields(o, v.text, v.file); }
inline void put(Out& o, const TlsCertificate& v) { fields(o, v.chain, v.private_key, v.password); }
inline void put(Out& o, const SubjectAltName& v) { fields(o, v.kind, v.name); }
inline void put(Out& o, const TlsValidation& v) {
  fields(o, v.trusted_ca, v.crl, v.system_roots, v.accepts_untrusted, v.names, v.certificate_sha256, v.spki_sha256);
}
inline void put(Out& o, const Secret& v) { fields(o, v.name, v.value); }
inline void put(Out& o, const CommonTls& v) {
  fields(o, v.certificates, v.certificate_secrets, v.validation, v.validation_secret, v.version_min, v.version_max, v.cipher_suites,
         v.ecdh_curves, v.alpn);
}
inline void put(Out& o, const DownstreamTls& v) { fields(o, v.common, v.requires_client_certificate, v.session_tickets, v.session_cache); }
inline void put(Out& o, const UpstreamTls& v) {
  fields(o, v.common, v.sni, v.sni_from_host, v.sni_from_request, v.names_from_sni, v.sessions_max);
}

// ---- cluster.h ----
inline void put(Out& o, const Endpoint& v) {
  fields(o, v.host, v.port, v.weight, v.priority, v.region, v.zone, v.sub_zone, v.health, v.hostname, v.transport_metadata, v.locality, v.workload);
}
inline void put(Out& o, const Locality& v) { fields(o, v.region, v.zone, v.sub_zone, v.priority, v.weight); }
inline void put(Out& o, const EndpointSet& v) {
  fields(o, v.endpoints, v.localities, v.overprovisioning_percent, v.weighted_priority_health, v.drop_per_million, v.transport_metadata);
}
inline void put(Out& o, const CircuitBreakers::RetryBudget& v) { fields(o, v.percent, v.retries_min); }
inline void put(Out& o, const CircuitBreakers& v) {
  fields(o, v.connections_max, v.pending_requests_max, v.requests_max, v.retries_max, v.retry_budget);
}
inline void put(Out& o, const OutlierDetection& v) {
  fields(o, v.consecutive_5xx, v.enforcing_consecutive_5xx, v.consecutive_gateway_failure, v.enforcing_consecutive_gateway_failure,
         v.consecutive_local_origin_failure, v.enforcing_consecutive_local_origin_failure, v.split_external_local_origin_errors, v.interval,
         v.base_ejection_time, v.max_ejection_time, v.max_ejection_percent, v.always_eject_one_host, v.error_codes);
}
inline void put(Out& o, const Transport& v) { fields(o, v.tls, v.proxy_protocol); }
inline void put(Out& o, const Cluster::ZoneAware& v) { fields(o, v.routing_percent, v.cluster_size_min, v.fail_traffic_on_panic); }
inline void put(Out& o, const Cluster::SlowStart& v) { fields(o, v.window, v.aggression, v.weight_percent_min); }
inline void put(Out& o, const Cluster::TcpKeepalive& v) { fields(o, v.idle, v.interval, v.probes); }
inline void put(Out& o, const Cluster::Http2Keepalive& v) { fields(o, v.interval, v.timeout); }
inline void put(Out& o, const Cluster::Dns& v) { fields(o, v.family, v.refresh, v.respect_ttl, v.jitter); }
inline void put(Out& o, const Cluster::TransportMatch& v) { fields(o, v.criteria, v.plain, v.transport, v.unsupported); }
inline void put(Out& o, const Cluster& v) {
  fields(o, v.name, v.discovery, v.balancer, v.least_request_choices, v.hash_function, v.ring_size_min, v.ring_size_max, v.ring_points_per_host, v.maglev_table_size,
         v.hashes_hostname, v.hash_balance_percent, v.locality_weighted, v.zone_aware, v.slow_start, v.connect_timeout, v.limits, v.outlier,
         v.panic_threshold_percent, v.requests_per_connection_max, v.idle_timeout, v.connection_duration_max, v.keepalive, v.http2,
         v.alpn_decides, v.stream_duration_max, v.http2_keepalive, v.transport, v.same_protocol_as_downstream, v.http2_streams_max, v.dns,
         v.endpoints_name, v.transport_matches, v.bind_address, v.unsupported, v.service_host, v.service_name, v.service_namespace, v.subset,
         v.config);
}

// ---- route.h ----
inline void put(Out& o, const HeaderValue& v) {
  std::string value;
  RequestView request{"GET", "http", "a", "/p", nullptr};
  HeaderContext context;
  context.request = &request;
  v.evaluate(context, value);
  fields(o, v.text(), value);
}
inline void put(Out& o, const HeaderOperation& v) { fields(o, v.kind, v.name, v.value, v.keep_empty); }
inline void put(Out& o, const HeaderMatcher& v) {
  fields(o, v.name, v.kind, v.present, v.invert, v.missing_is_empty, v.string, v.range_start, v.range_end);
}
inline void put(Out& o, const QueryParameterMatcher& v) { fields(o, v.name, v.string); }
inline void put(Out& o, const Fraction& v) { fields(o, v.per_million); }
inline void put(Out& o, const RouteMatch& v) {
  fields(o, v.path_kind, v.path, v.case_sensitive, v.conditions().regex, v.conditions().headers, v.conditions().query_parameters, v.conditions().fraction,
         v.grpc_only, v.connect_only);
}
inline void put(Out& o, const RetryPolicy& v) {
  fields(o, v.retry_on, v.retriable_headers, v.retriable_request_headers, v.retries_max, v.retriable_status_codes, v.per_try_timeout,
         v.backoff_base, v.backoff_max, v.avoid_previous_hosts, v.host_selection_attempts_max, v.previous_priorities_update);
}
inline void put(Out& o, const Hedge& v) { fields(o, v.on_per_try_timeout); }
inline void put(Out& o, const HashPolicy& v) {
  fields(o, v.kind, v.name, v.regex, v.regex_substitution, v.cookie_ttl, v.cookie_path, v.cookie_attributes, v.terminal);
}
inline void put(Out& o, const Mirror& v) { fields(o, v.cluster, v.per_million, v.append_shadow_suffix, v.request_headers, v.host_rewrite); }
inline void put(Out& o, const Cors& v) {
  fields(o, v.allow_origins, v.allow_methods, v.allow_headers, v.expose_headers, v.max_age, v.allow_credentials, v.allow_private_network,
         v.forward_not_matching_preflights, v.enabled);
}
inline void put(Out& o, const Fault& v) { fields(o, v.delay, v.delay_per_million, v.abort_status, v.abort_grpc_status, v.abort_per_million); }
inline void put(Out& o, const Rewrite& v) {
  fields(o, v.prefix, v.regex, v.regex_substitution, v.host, v.host_from_header, v.host_from_path, v.host_from_path_substitution,
         v.host_from_endpoint, v.append_x_forwarded_host);
}
inline void put(Out& o, const WeightedCluster& v) { fields(o, v.name, v.weight, v.request_headers, v.response_headers, v.host_rewrite); }
inline void put(Out& o, const Forward& v) { fields(o, v.clusters, v.weight_total, v.policy); }
inline void put(Out& o, const ForwardPolicy& v) {
  fields(o, v.timeout, v.idle_timeout, v.retry, v.rewrite, v.cluster_header, v.hash, v.mirrors, v.hedge,
         v.stream_duration_max, v.upgrades_allowed, v.connect_allowed, v.ends_connect, v.ends_post, v.cluster_not_found_status, v.grpc_timeout_max,
         v.grpc_stream_duration_max);
}
inline void put(Out& o, const DirectResponse& v) { fields(o, v.status, v.body); }
inline void put(Out& o, const Redirect& v) {
  fields(o, v.status, v.scheme, v.host, v.path, v.prefix_rewrite, v.port, v.path_regex, v.path_regex_substitution, v.https_redirect, v.strip_query);
}
inline void put(Out& o, const Unsupported& v) { fields(o, v.what); }
inline void put(Out& o, const Route& v) {
  fields(o, v.name, v.match, v.action, v.request_headers, v.response_headers, v.fault, v.cors, v.delay_counts_against_timeout, v.operation,
         v.config, v.stat_prefix);
}
inline void put(Out& o, const VirtualHost& v) {
  fields(o, v.name, v.domains, v.routes, v.request_headers, v.response_headers, v.include_attempt_count_in_request,
         v.include_attempt_count_in_response, v.require_tls);
}
inline void put(Out& o, const RouteTable& v) { fields(o, v.name, v.virtual_hosts, v.ignore_port, v.request_headers, v.response_headers); }

// ---- listener.h ----
inline void put(Out& o, const HttpConnectionSettings& v) {
  fields(o, v.stat_prefix, v.route_table, v.server_name, v.codec, v.http2_streams_max, v.http2_stream_window_bytes,
         v.http2_connection_window_bytes, v.connect_upgrades, v.http2_extended_connect, v.cors_filter, v.grpc_web_filter,
         v.dynamic_forward_proxy_filter, v.forward_client_cert, v.client_cert_subject, v.client_cert_uri, v.client_cert_dns, v.client_cert_pem,
         v.max_connection_duration, v.requests_per_connection_max, v.strips_port, v.use_remote_address, v.trusted_hops, v.normalize_path,
         v.merge_slashes, v.escaped_slashes, v.underscores, v.generate_request_id, v.preserve_external_request_id, v.websocket_upgrades,
         v.accepts_http_10, v.request_headers_bytes_max, v.request_headers_count_max, v.stream_idle_timeout, v.request_headers_timeout,
         v.idle_timeout, v.request_timeout, v.fault_filter, v.proxies_100_continue, v.accepts_absolute_url, v.access_log_format,
         v.access_log_path, v.stream_duration_max, v.names_operations, v.suppresses_envoy_headers);
}
inline void put(Out& o, const TcpProxySettings::Tunnel& v) { fields(o, v.hostname, v.post, v.post_path, v.headers); }
inline void put(Out& o, const TcpProxySettings& v) {
  fields(o, v.stat_prefix, v.clusters, v.weight_total, v.idle_timeout, v.connect_attempts_max, v.hash, v.cluster_by_server_name,
         v.forwards_by_server_name, v.max_downstream_connection_duration, v.tunnel, v.access_log_format, v.access_log_path);
}
inline void put(Out& o, const FilterChain& v) {
  fields(o, v.name, v.destination_port, v.destination_prefixes, v.application_protocols, v.transport_protocol, v.server_names, v.source_prefixes,
         v.direct_source_prefixes, v.source_ports, v.source_type, v.tls, v.transport_timeout, v.handler);
}
inline void put(Out& o, const Listener& v) {
  fields(o, v.name, v.address, v.port, v.bind_to_port, v.outbound, v.sniffs_http, v.sniffs_tls, v.reads_proxy_protocol,
         v.proxy_protocol_optional, v.sniffing_off_ports, v.uses_original_destination, v.sniffing_timeout, v.goes_on_after_sniffing_timeout,
         v.filter_chains, v.default_chain, v.config);
}

inline std::string of(const Snapshot& v) {
  Out out;
  fields(out, v.route_tables, v.listeners, v.clusters, v.endpoints, v.secrets);
  return out.stream.str();
}

}  // namespace lateen::runtime::text
