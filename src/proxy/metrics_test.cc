#include "proxy/metrics.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "proxy/metrics_text.h"

namespace lateen::proxy {
namespace {

runtime::Cluster reviews() {
  runtime::Cluster cluster;
  cluster.name = "outbound|9080|v1|reviews.default.svc.cluster.local";
  cluster.service_host = "reviews.default.svc.cluster.local";
  cluster.service_name = "reviews";
  cluster.service_namespace = "default";
  return cluster;
}

runtime::Endpoint reviews_v1() {
  runtime::Endpoint endpoint;
  endpoint.workload = "reviews-v1;default;reviews;v1;Kubernetes";
  return endpoint;
}

const ViewInfo kSleep{.name = "sleep", .namespace_ = "default", .app = "sleep", .version = "", .service_account = ""};

// The value behind a whole line's name and labels; -1 if there is no such line.
double value_of(const std::string& text, const std::string& series) {
  const std::size_t at = ("\n" + text).find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 1));
}

TEST(Metrics, IstiosStandardMetricsWithIstiosLabels) {
  Metrics metrics(2);
  metrics.set_view(7, kSleep);
  const runtime::Cluster cluster = reviews();
  const runtime::Endpoint endpoint = reviews_v1();
  RequestRecord record;
  record.status = 200;
  record.cluster = &cluster;
  record.endpoint = &endpoint;
  record.duration = std::chrono::milliseconds(12);
  record.bytes_sent = 370;
  metrics.worker(0).record(7, record);
  metrics.worker(1).record(7, record);
  const std::string text = metrics.prometheus({}, {});
  const std::string labels =
      "reporter=\"source\",source_workload=\"sleep\",source_canonical_service=\"sleep\",source_canonical_revision=\"latest\","
      "source_workload_namespace=\"default\",source_principal=\"unknown\",source_app=\"sleep\",source_version=\"unknown\","
      "source_cluster=\"Kubernetes\",destination_workload=\"reviews-v1\",destination_workload_namespace=\"default\","
      "destination_principal=\"unknown\",destination_app=\"reviews\",destination_version=\"v1\","
      "destination_service=\"reviews.default.svc.cluster.local\",destination_canonical_service=\"reviews\","
      "destination_canonical_revision=\"v1\",destination_service_name=\"reviews\",destination_service_namespace=\"default\","
      "destination_cluster=\"Kubernetes\",request_protocol=\"http\",response_code=\"200\",grpc_response_status=\"\","
      "response_flags=\"-\",connection_security_policy=\"unknown\"";
  EXPECT_NE(text.find("# TYPE istio_requests_total counter\n"), std::string::npos);
  EXPECT_EQ(value_of(text, "istio_requests_total{" + labels + "}"), 2) << text;
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_bucket{" + labels + ",le=\"10\"}"), 0);
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_bucket{" + labels + ",le=\"25\"}"), 2);
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_bucket{" + labels + ",le=\"3600000\"}"), 2);
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_bucket{" + labels + ",le=\"+Inf\"}"), 2);
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_sum{" + labels + "}"), 24);
  EXPECT_EQ(value_of(text, "istio_request_duration_milliseconds_count{" + labels + "}"), 2);
  EXPECT_EQ(value_of(text, "istio_response_bytes_sum{" + labels + "}"), 740);
  EXPECT_EQ(value_of(text, "istio_request_bytes_bucket{" + labels + ",le=\"0.5\"}"), 2);
}

TEST(Metrics, TellsStatusesFlagsViewsAndWorkloadsApart) {
  Metrics metrics(1);
  const runtime::Cluster cluster = reviews();
  runtime::Endpoint endpoint = reviews_v1();
  RequestRecord record;
  record.cluster = &cluster;
  record.endpoint = &endpoint;
  record.status = 200;
  WorkerMetrics& worker = metrics.worker(0);
  for (int i = 0; i < 3; ++i) worker.record(0, record);
  EXPECT_EQ(worker.series().size(), 1u);
  record.status = 503;
  worker.record(0, record);
  record.flags = kUpstreamOverflow;
  worker.record(0, record);
  record.endpoint = nullptr;
  worker.record(0, record);
  worker.record(1, record);
  record.grpc_status = 14;
  worker.record(1, record);
  EXPECT_EQ(worker.series().size(), 6u);
  // Another object with the same content is the same series.
  const runtime::Cluster again = reviews();
  record.cluster = &again;
  worker.record(1, record);
  EXPECT_EQ(worker.series().size(), 6u);
  const std::string text = metrics.prometheus({}, {});
  EXPECT_NE(text.find("response_code=\"503\",grpc_response_status=\"14\",response_flags=\"UO\""), std::string::npos) << text;
  EXPECT_NE(text.find("request_protocol=\"grpc\""), std::string::npos);
}

TEST(Metrics, KeepsItsOwnCopyOfTheNames) {
  Metrics metrics(1);
  {
    const runtime::Cluster cluster = reviews();
    RequestRecord record;
    record.cluster = &cluster;
    record.status = 200;
    metrics.worker(0).record(0, record);
  }
  EXPECT_NE(metrics.prometheus({}, {}).find("destination_service=\"reviews.default.svc.cluster.local\""), std::string::npos);
}

TEST(Metrics, ACopyOfTheNameIsTakenFromTheClusterNameWhereThereIsNoCluster) {
  Metrics metrics(1);
  RequestRecord record;
  record.status = 503;
  record.flags = kNoClusterFound;
  record.cluster_name = "outbound|9080|v9|reviews.default.svc.cluster.local";
  metrics.worker(0).record(0, record);
  record.cluster_name = "BlackHoleCluster";
  metrics.worker(0).record(0, record);
  const std::string text = metrics.prometheus({}, {});
  EXPECT_NE(text.find("destination_service=\"reviews.default.svc.cluster.local\""), std::string::npos) << text;
  EXPECT_NE(text.find("destination_service_name=\"BlackHoleCluster\""), std::string::npos) << text;
}

TEST(Metrics, CombinationsAreBoundedByOneSeriesForTheRest) {
  Metrics metrics(1);
  WorkerMetrics& worker = metrics.worker(0);
  RequestRecord record;
  for (std::uint32_t i = 0; i < 6000; ++i) {
    record.status = static_cast<std::uint16_t>(i);
    worker.record(0, record);
  }
  EXPECT_EQ(worker.series().size(), WorkerMetrics::kSeriesMax);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < worker.series().size(); ++i) total += worker.series()[i].requests.get();
  EXPECT_EQ(total, 6000u);
  EXPECT_EQ(worker.series()[WorkerMetrics::kSeriesMax - 1].key.service_host, "overflow");
  // What was known before is still counted where it belongs.
  record.status = 5;
  worker.record(0, record);
  EXPECT_EQ(worker.series()[5].requests.get(), 2u);
}

TEST(Metrics, TcpConnections) {
  Metrics metrics(1);
  const runtime::Cluster cluster = reviews();
  TcpRecord record{.cluster = &cluster};
  metrics.worker(0).tcp_opened(0, record);
  record.bytes_received = 5;
  record.bytes_sent = 7;
  metrics.worker(0).tcp_closed(0, record);
  const std::string text = metrics.prometheus({}, {});
  for (const char* line : {"istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total", "istio_tcp_received_bytes_total",
                           "istio_tcp_sent_bytes_total"}) {
    EXPECT_NE(text.find("# TYPE " + std::string(line) + " counter\n"), std::string::npos) << line;
  }
  EXPECT_NE(text.find("request_protocol=\"tcp\",response_flags=\"-\",connection_security_policy=\"unknown\"} 5\n"), std::string::npos);
  EXPECT_EQ(text.find("istio_requests_total"), std::string::npos);
}

TEST(Metrics, ClustersOfSeveralViewsAreSummedInEnvoysForm) {
  Metrics metrics(1);
  ClusterStatus cluster;
  cluster.name = "outbound|9080||reviews.default.svc.cluster.local";
  cluster.counters = {{"upstream_rq_total", 5}, {"upstream_rq_2xx", 4}, {"upstream_rq_503", 1}, {"upstream_rq_timeout", 2},
                      {"outlier_detection.ejections_active", 1}};
  runtime::Cluster policy = reviews();
  policy.limits.connections_max = 3;
  policy.limits.requests_max = 1;
  cluster.policy = std::make_shared<const runtime::Cluster>(policy);
  cluster.connections_active = 3;
  cluster.endpoints.resize(2);
  cluster.endpoints[1].healthy = false;
  const std::string text = metrics.prometheus({cluster, cluster}, {.uptime = std::chrono::seconds(61), .concurrency = 4});
  const std::string name = "envoy_cluster_name=\"outbound|9080||reviews.default.svc.cluster.local\"}";
  EXPECT_EQ(value_of(text, "envoy_cluster_upstream_rq_total{" + name), 10) << text;
  EXPECT_EQ(value_of(text, "envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"2\"," + name), 8);
  EXPECT_EQ(value_of(text, "envoy_cluster_upstream_rq{envoy_response_code=\"503\"," + name), 2);
  EXPECT_EQ(value_of(text, "envoy_cluster_upstream_rq_timeout{" + name), 4);
  EXPECT_EQ(value_of(text, "envoy_cluster_upstream_cx_active{" + name), 6);
  EXPECT_EQ(value_of(text, "envoy_cluster_membership_total{" + name), 4);
  EXPECT_EQ(value_of(text, "envoy_cluster_membership_healthy{" + name), 2);
  EXPECT_EQ(value_of(text, "envoy_server_uptime{}"), 61);
  EXPECT_EQ(value_of(text, "envoy_server_concurrency{}"), 4);
  EXPECT_EQ(value_of(text, "envoy_server_live{}"), 1);
  EXPECT_NE(text.find("# TYPE envoy_cluster_upstream_cx_active gauge\n"), std::string::npos);
  EXPECT_NE(text.find("# TYPE envoy_cluster_outlier_detection_ejections_active gauge\n"), std::string::npos);
  EXPECT_EQ(value_of(text, "envoy_cluster_outlier_detection_ejections_active{" + name), 2);
  EXPECT_EQ(value_of(text, "envoy_cluster_circuit_breakers_default_cx_open{" + name), 2);
  EXPECT_EQ(value_of(text, "envoy_cluster_circuit_breakers_default_rq_open{" + name), 0);
  EXPECT_EQ(value_of(text, "envoy_cluster_circuit_breakers_default_rq_pending_open{" + name), 0);
  const auto stats = metrics.stats({cluster}, {});
  EXPECT_EQ(stats.at("cluster.outbound|9080||reviews.default.svc.cluster.local.upstream_rq_2xx"), 4u);
  EXPECT_EQ(stats.at("cluster.outbound|9080||reviews.default.svc.cluster.local.circuit_breakers.default.cx_open"), 1u);
  EXPECT_EQ(stats.at("server.live"), 1u);
}

TEST(Metrics, ListenersAreSummedOverWorkers) {
  Metrics metrics(2);
  for (unsigned i = 0; i < 2; ++i) {
    ListenerSlot& slot = metrics.worker(i).listener("0.0.0.0_9080", "outbound_0.0.0.0_9080");
    slot.cx_total.add(2);
    slot.rq_2xx.add(3);
    slot.cx_active.add();
    EXPECT_EQ(&slot, &metrics.worker(i).listener("0.0.0.0_9080", "outbound_0.0.0.0_9080"));
    EXPECT_NE(&slot, &metrics.worker(i).listener("0.0.0.0_9080", "other"));
  }
  const std::string text = metrics.prometheus({}, {});
  EXPECT_EQ(value_of(text, "envoy_listener_downstream_cx_total{envoy_listener_address=\"0.0.0.0_9080\"}"), 4) << text;
  EXPECT_EQ(value_of(text, "envoy_http_downstream_rq_xx{envoy_response_code_class=\"2\",envoy_http_conn_manager_prefix=\"outbound_0.0.0.0_9080\"}"), 6);
  EXPECT_EQ(value_of(text, "envoy_server_total_connections{}"), 2);
  const auto stats = metrics.stats({}, {});
  EXPECT_EQ(stats.at("listener.0.0.0.0_9080.downstream_cx_total"), 4u);
  EXPECT_EQ(stats.at("http.outbound_0.0.0.0_9080.downstream_rq_2xx"), 6u);
}

TEST(Metrics, AScrapeMayRunWhileAWorkerRecords) {
  Metrics metrics(1);
  std::thread worker([&] {
    RequestRecord record;
    for (std::uint32_t i = 0; i < 3000; ++i) {
      record.status = static_cast<std::uint16_t>(100 + i % 500);
      metrics.worker(0).record(0, record);
    }
  });
  std::size_t seen = 0;
  for (int i = 0; i < 5; ++i) {
    const std::string text = metrics.prometheus({}, {});
    EXPECT_GE(text.size(), seen);
    seen = text.size();
  }
  worker.join();
  EXPECT_NE(metrics.prometheus({}, {}).find("response_code=\"599\""), std::string::npos);
}

TEST(Histogram, BoundsBelongToTheirBucket) {
  Histogram histogram;
  for (double value : {0.0, 0.5, 0.6, 1.0, 3600000.0, 3600001.0}) histogram.add(value);
  EXPECT_EQ(histogram.bucket(0), 2u);
  EXPECT_EQ(histogram.bucket(1), 2u);
  EXPECT_EQ(histogram.bucket(kHistogramBounds.size() - 1), 1u);
  EXPECT_EQ(histogram.bucket(kHistogramBounds.size()), 1u);
}

TEST(PrometheusText, LabelValuesAreEscaped) {
  std::string labels;
  append_label(labels, "a", "x\"y\\z\n");
  append_label(labels, "b", "");
  EXPECT_EQ(labels, "a=\"x\\\"y\\\\z\\n\",b=\"\"");
}

}  // namespace
}  // namespace lateen::proxy
