// Metrics: the sums over all workers, put into Prometheus' and Envoy's forms.
#include <array>
#include <optional>
#include <utility>

#include "proxy/access_log_format.h"
#include "proxy/metrics_text.h"

namespace lateen::proxy {

namespace {

constexpr std::string_view kUnknown = "unknown";

std::string_view or_unknown(std::string_view text) { return text.empty() ? kUnknown : text; }

// "name;namespace;service;version;cluster", the last parts may be missing.
struct Workload {
  std::array<std::string_view, 5> parts;
  std::string_view name() const { return parts[0]; }
  std::string_view namespace_() const { return parts[1]; }
  std::string_view service() const { return parts[2]; }
  std::string_view version() const { return parts[3]; }
  std::string_view cluster() const { return parts[4]; }
};

Workload workload_of(std::string_view text) {
  Workload workload;
  for (std::string_view& part : workload.parts) {
    const std::size_t end = text.find(';');
    part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return workload;
}

std::string_view protocol_word(SeriesKey::Protocol protocol) {
  switch (protocol) {
    case SeriesKey::Protocol::kHttp: return "http";
    case SeriesKey::Protocol::kGrpc: return "grpc";
    case SeriesKey::Protocol::kTcp: return "tcp";
  }
  return kUnknown;
}

void append_source(std::string& labels, const ViewInfo& view) {
  const std::string_view name = or_unknown(view.name);
  append_label(labels, "reporter", "source");
  append_label(labels, "source_workload", name);
  append_label(labels, "source_canonical_service", view.app.empty() ? name : view.app);
  append_label(labels, "source_canonical_revision", view.version.empty() ? "latest" : view.version);
  append_label(labels, "source_workload_namespace", or_unknown(view.namespace_));
  append_label(labels, "source_principal", kUnknown);   // no mutual TLS: nobody vouches for it
  append_label(labels, "source_app", or_unknown(view.app));
  append_label(labels, "source_version", or_unknown(view.version));
  append_label(labels, "source_cluster", "Kubernetes");
}

void append_destination(std::string& labels, const SeriesKey& key) {
  const Workload to = workload_of(key.workload);
  const std::string_view host = key.service_host;
  std::string_view name = key.service_name;
  if (name.empty()) name = host.substr(0, host.find('.'));
  append_label(labels, "destination_workload", or_unknown(to.name()));
  append_label(labels, "destination_workload_namespace", or_unknown(to.namespace_()));
  append_label(labels, "destination_principal", kUnknown);
  append_label(labels, "destination_app", or_unknown(to.service()));
  append_label(labels, "destination_version", or_unknown(to.version()));
  append_label(labels, "destination_service", or_unknown(host));
  append_label(labels, "destination_canonical_service", or_unknown(to.service()));
  const bool latest = to.version().empty() && !to.service().empty();
  append_label(labels, "destination_canonical_revision", latest ? "latest" : or_unknown(to.version()));
  append_label(labels, "destination_service_name", or_unknown(name));
  append_label(labels, "destination_service_namespace", or_unknown(key.service_namespace));
  append_label(labels, "destination_cluster", key.workload.empty() ? kUnknown : to.cluster().empty() ? "Kubernetes" : to.cluster());
}

// The labels of Istio's standard metrics, in Istio's order.
std::string istio_labels(const ViewInfo& view, const SeriesKey& key) {
  std::string labels;
  append_source(labels, view);
  append_destination(labels, key);
  append_label(labels, "request_protocol", protocol_word(key.protocol));
  if (key.protocol != SeriesKey::Protocol::kTcp) {
    append_label(labels, "response_code", std::to_string(key.status));
    append_label(labels, "grpc_response_status", key.grpc_status < 0 ? "" : std::to_string(key.grpc_status));
  }
  std::string flags;
  append_response_flags(flags, key.flags);
  append_label(labels, "response_flags", flags);
  append_label(labels, "connection_security_policy", kUnknown);
  return labels;
}

void add_series(PrometheusText& text, const std::string& labels, const Series& series) {
  if (series.key.protocol == SeriesKey::Protocol::kTcp) {
    text.counter("istio_tcp_connections_opened_total", labels, series.tcp_opened.get());
    text.counter("istio_tcp_connections_closed_total", labels, series.tcp_closed.get());
    text.counter("istio_tcp_received_bytes_total", labels, series.tcp_received.get());
    text.counter("istio_tcp_sent_bytes_total", labels, series.tcp_sent.get());
    return;
  }
  text.counter("istio_requests_total", labels, series.requests.get());
  text.histogram("istio_request_duration_milliseconds", labels).add(series.duration_ms);
  text.histogram("istio_request_bytes", labels).add(series.request_bytes);
  text.histogram("istio_response_bytes", labels).add(series.response_bytes);
}

void add_cluster(std::vector<Sample>& samples, const ClusterStatus& cluster) {
  const auto gauge = [&](std::string name, std::uint64_t value) {
    samples.push_back({"cluster", cluster.name, std::move(name), value, true});
  };
  for (const auto& [name, value] : cluster.counters) {
    samples.push_back({"cluster", cluster.name, name, value, name.ends_with("_active")});
  }
  std::uint64_t healthy = 0, degraded = 0;
  for (const EndpointStatus& endpoint : cluster.endpoints) {
    healthy += endpoint.healthy ? 1 : 0;
    degraded += endpoint.endpoint.health == runtime::Endpoint::Health::kDegraded ? 1 : 0;
  }
  gauge("membership_total", cluster.endpoints.size());
  gauge("membership_healthy", healthy);
  gauge("membership_degraded", degraded);
  gauge("upstream_cx_active", cluster.connections_active);
  gauge("upstream_rq_active", cluster.requests_active);
  gauge("upstream_rq_pending_active", cluster.pending_active);
  if (cluster.policy == nullptr) return;
  const runtime::CircuitBreakers& limits = cluster.policy->limits;
  const auto open = [](std::uint64_t taken, const std::optional<std::uint32_t>& max) { return max && taken >= *max ? 1u : 0u; };
  gauge("circuit_breakers.default.cx_open", open(cluster.connections_active, limits.connections_max));
  gauge("circuit_breakers.default.rq_open", open(cluster.requests_active, limits.requests_max));
  gauge("circuit_breakers.default.rq_pending_open", open(cluster.pending_active, limits.pending_requests_max));
  gauge("circuit_breakers.default.rq_retry_open", open(cluster.retries_active, limits.retries_max));
}

void add_listener(std::vector<Sample>& samples, const ListenerSlot& slot) {
  const auto listener = [&](std::string name, std::uint64_t value, bool is_gauge = false) {
    samples.push_back({"listener", slot.name, std::move(name), value, is_gauge});
  };
  listener("downstream_cx_total", slot.cx_total.get());
  listener("downstream_cx_destroy", slot.cx_destroy.get());
  listener("downstream_cx_active", slot.cx_active.get(), true);
  listener("no_filter_chain_match", slot.no_filter_chain_match.get());
  listener("ssl.handshake", slot.ssl_handshake.get());
  listener("ssl.session_reused", slot.ssl_session_reused.get());
  listener("ssl.no_certificate", slot.ssl_no_certificate.get());
  listener("ssl.connection_error", slot.ssl_connection_error.get());
  listener("ssl.fail_verify_no_cert", slot.ssl_fail_verify_no_cert.get());
  listener("ssl.fail_verify_error", slot.ssl_fail_verify_error.get());
  listener("ssl.fail_verify_san", slot.ssl_fail_verify_san.get());
  listener("ssl.fail_verify_cert_hash", slot.ssl_fail_verify_cert_hash.get());
  listener("downstream_cx_transport_socket_connect_timeout", slot.ssl_timeout.get());
  listener("server_ssl_socket_factory.downstream_context_secrets_not_ready", slot.ssl_context_not_ready.get());
  listener("proxy_proto.downstream_cx_proxy_proto_error", slot.proxy_protocol_error.get());
  if (slot.stat_prefix.empty()) return;

  const auto http = [&](std::string name, std::uint64_t value, bool is_gauge = false) {
    samples.push_back({"http", slot.stat_prefix, std::move(name), value, is_gauge});
  };
  http("downstream_cx_total", slot.cx_total.get());
  http("downstream_cx_destroy", slot.cx_destroy.get());
  http("downstream_cx_active", slot.cx_active.get(), true);
  http("downstream_cx_http1_total", slot.cx_http1_total.get());
  http("downstream_cx_http2_total", slot.cx_http2_total.get());
  http("downstream_cx_protocol_error", slot.cx_protocol_error.get());
  http("downstream_rq_total", slot.rq_total.get());
  http("downstream_rq_completed", slot.rq_completed.get());
  http("downstream_rq_active", slot.rq_active.get(), true);
  http("downstream_rq_1xx", slot.rq_1xx.get());
  http("downstream_rq_2xx", slot.rq_2xx.get());
  http("downstream_rq_3xx", slot.rq_3xx.get());
  http("downstream_rq_4xx", slot.rq_4xx.get());
  http("downstream_rq_5xx", slot.rq_5xx.get());
  http("downstream_rq_rx_reset", slot.rq_rx_reset.get());
  http("downstream_rq_timeout", slot.rq_timeout.get());
  http("fault.aborts_injected", slot.fault_aborts.get());
  http("fault.delays_injected", slot.fault_delays.get());
  http("no_route", slot.no_route.get());
  http("no_cluster", slot.no_cluster.get());
  http("cors.origin_valid", slot.cors_origin_valid.get());
  http("cors.origin_invalid", slot.cors_origin_invalid.get());
  http("shadow.sent", slot.shadows_sent.get());
  http("shadow.dropped", slot.shadows_dropped.get());
}

void add_server(std::vector<Sample>& samples, const ServerFacts& server, std::size_t clusters) {
  const auto gauge = [&](std::string_view scope, std::string name, std::uint64_t value) {
    samples.push_back({scope, "", std::move(name), value, true});
  };
  gauge("server", "uptime", static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(server.uptime).count()));
  gauge("server", "concurrency", server.concurrency);
  gauge("server", "live", server.live ? 1 : 0);
  // 0 live, 1 draining, 3 initialising (envoy.admin.v3.ServerInfo.State).
  gauge("server", "state", server.draining ? 1 : server.live ? 0 : 3);
  if (server.memory_bytes > 0) gauge("server", "memory_allocated", server.memory_bytes);
  gauge("cluster_manager", "active_clusters", clusters);
}

}  // namespace

std::vector<Sample> Metrics::samples(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const {
  std::vector<Sample> samples;
  for (const ClusterStatus& cluster : clusters) add_cluster(samples, cluster);
  std::uint64_t connections = 0;
  for (const auto& worker : workers_) {
    const auto& listeners = worker->listeners();
    const std::size_t count = listeners.size();
    for (std::size_t i = 0; i < count; ++i) {
      add_listener(samples, listeners[i]);
      connections += listeners[i].cx_active.get();
    }
  }
  add_server(samples, server, clusters.size());
  samples.push_back({"server", "", "total_connections", connections, true});
  return samples;
}

std::string Metrics::prometheus(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const {
  PrometheusText text;
  const ViewInfo nobody{.name = "", .namespace_ = "", .app = "", .version = "", .service_account = ""};
  for (const auto& worker : workers_) {
    const auto& all = worker->series();
    const std::size_t count = all.size();
    for (std::size_t i = 0; i < count; ++i) {
      const auto view = views_.find(all[i].key.view);
      add_series(text, istio_labels(view == views_.end() ? nobody : view->second, all[i].key), all[i]);
    }
  }
  for (const Sample& sample : samples(clusters, server)) add_sample(text, sample);
  text.counter("lateen_access_log_dropped_lines_total", "", server.access_log_dropped);
  return text.text();
}

std::map<std::string, std::uint64_t> Metrics::stats(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const {
  std::map<std::string, std::uint64_t> stats;
  for (const Sample& sample : samples(clusters, server)) stats[stat_name(sample)] += sample.value;
  return stats;
}

}  // namespace lateen::proxy
