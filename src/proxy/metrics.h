// The metrics of the data plane: Istio's standard metrics by label combination, and the counters of listeners.
//
// Each worker writes its own WorkerMetrics, without locks and without allocation once a combination of labels has been
// seen; the control thread sums all workers when it is asked for the text.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "proxy/host.h"
#include "proxy/proxy.h"
#include "proxy/request_record.h"

namespace lateen::proxy {

// Envoy's default histogram bounds, which Istio keeps for times (milliseconds) and sizes (bytes).
inline constexpr std::array<double, 19> kHistogramBounds = {0.5,  1,    5,    10,    25,    50,     100,    250,     500,
                                                           1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000,
                                                           3600000};

// Written by one thread.
class Histogram {
 public:
  void add(double value);
  std::uint64_t bucket(std::size_t index) const { return buckets_[index].get(); }  // not cumulative; the last is +Inf
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<OwnedCounter<std::uint64_t>, kHistogramBounds.size() + 1> buckets_;
  std::atomic<double> sum_{0};
};

// One TCP connection, for istio_tcp_*.
struct TcpRecord {
  const runtime::Cluster* cluster = nullptr;
  const runtime::Endpoint* endpoint = nullptr;
  std::uint32_t flags = 0;                             // ResponseFlag
  std::uint64_t bytes_received = 0, bytes_sent = 0;    // from and to the client
};

// What one worker counts of one listener. Envoy's names, without "downstream_".
struct alignas(64) ListenerSlot {
  std::string name;              // "0.0.0.0_9080"
  std::string stat_prefix;       // of its connection manager
  OwnedCounter<std::uint64_t> cx_total, cx_destroy, cx_http1_total, cx_http2_total, cx_protocol_error, no_filter_chain_match;
  OwnedCounter<std::uint64_t> rq_total, rq_completed, rq_1xx, rq_2xx, rq_3xx, rq_4xx, rq_5xx, rq_rx_reset, rq_timeout;
  // TLS; the last: connections refused because a secret was missing or bad.
  OwnedCounter<std::uint64_t> ssl_handshake, ssl_session_reused, ssl_no_certificate, ssl_connection_error;
  OwnedCounter<std::uint64_t> ssl_fail_verify_no_cert, ssl_fail_verify_error, ssl_fail_verify_san, ssl_fail_verify_cert_hash;
  OwnedCounter<std::uint64_t> ssl_timeout, ssl_context_not_ready, proxy_protocol_error;
  OwnedCounter<std::uint64_t> fault_aborts, fault_delays, no_route, no_cluster;
  OwnedCounter<std::uint64_t> cors_origin_valid, cors_origin_invalid;
  OwnedCounter<std::uint64_t> shadows_sent, shadows_dropped;     // copies of requests for mirrors
  OwnedCounter<std::uint32_t> cx_active, rq_active;
};

// A list that one thread appends to while another walks it. Entries never move and are never removed.
template <class T, std::size_t kMax>
class AppendOnly {
 public:
  AppendOnly() : entries_(new std::unique_ptr<T>[kMax]) {}
  // Null when the list is full. The writer's thread only.
  T* append() {
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (count == kMax) return nullptr;
    entries_[count] = std::make_unique<T>();
    return entries_[count].get();
  }
  // Makes the entry of the last append() visible to readers.
  void publish() { count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  std::size_t size() const { return count_.load(std::memory_order_acquire); }
  T& operator[](std::size_t index) { return *entries_[index]; }
  const T& operator[](std::size_t index) const { return *entries_[index]; }

 private:
  std::unique_ptr<std::unique_ptr<T>[]> entries_;
  std::atomic<std::size_t> count_{0};
};

// What tells two series of the standard metrics apart. For look-ups the views point into the record, in a series into
// its own text.
struct SeriesKey {
  ViewId view = 0;
  std::uint16_t status = 0;
  enum class Protocol : std::uint8_t { kHttp, kGrpc, kTcp } protocol = Protocol::kHttp;
  std::int32_t grpc_status = -1;
  std::uint32_t flags = 0;
  std::string_view service_host, service_name, service_namespace;
  std::string_view workload;   // "name;namespace;service;version;cluster"

  bool operator==(const SeriesKey&) const = default;
};

struct Series {
  SeriesKey key;
  std::string text;            // what the key's views point into
  OwnedCounter<std::uint64_t> requests;
  Histogram duration_ms, request_bytes, response_bytes;
  OwnedCounter<std::uint64_t> tcp_opened, tcp_closed, tcp_received, tcp_sent;
};

class WorkerMetrics {
 public:
  static constexpr std::size_t kSeriesMax = 4096;      // beyond: one series named "overflow"
  static constexpr std::size_t kListenersMax = 1024;   // beyond: all share the last

  WorkerMetrics();

  // Once for each finished request, also for one that was answered here or never answered.
  void record(ViewId view, const RequestRecord& record);
  void tcp_opened(ViewId view, const TcpRecord& record);
  void tcp_closed(ViewId view, const TcpRecord& record);
  // The counters of that listener: kept by the caller, valid as long as this object. Looks through a list.
  ListenerSlot& listener(std::string_view name, std::string_view stat_prefix);

  // For readers on the control thread.
  const AppendOnly<Series, kSeriesMax>& series() const { return series_; }
  const AppendOnly<ListenerSlot, kListenersMax>& listeners() const { return listeners_; }

 private:
  Series& find(const SeriesKey& key);
  Series& insert(const SeriesKey& key, std::size_t slot);
  void grow();

  AppendOnly<Series, kSeriesMax> series_;
  AppendOnly<ListenerSlot, kListenersMax> listeners_;
  std::vector<Series*> table_;                 // by hash, linear probing, at most half full; the worker's own
  Series* overflow_ = nullptr;
};

// What the text of the whole process needs besides the counters.
struct ServerFacts {
  Duration uptime{};
  unsigned concurrency = 1;
  bool live = true, draining = false;
  std::uint64_t memory_bytes = 0;              // allocated; 0: not known
  std::uint64_t access_log_dropped = 0;
};

struct Sample;   // metrics_text.h

class Metrics {
 public:
  explicit Metrics(unsigned workers);

  WorkerMetrics& worker(unsigned index) { return *workers_[index]; }
  // The source_* labels of a view; they are looked up when the text is made. Control thread.
  void set_view(ViewId view, const ViewInfo& info);

  // Prometheus text: istio_*, envoy_cluster_*, envoy_listener_*, envoy_http_*, envoy_server_*. Clusters of one name in
  // several views are summed. Control thread.
  std::string prometheus(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const;
  // The same counters by Envoy's names: "cluster.outbound|9080||reviews.default.svc.cluster.local.upstream_rq_total".
  std::map<std::string, std::uint64_t> stats(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const;

 private:
  std::vector<Sample> samples(const std::vector<ClusterStatus>& clusters, const ServerFacts& server) const;

  std::vector<std::unique_ptr<WorkerMetrics>> workers_;
  std::map<ViewId, ViewInfo> views_;
};

}  // namespace lateen::proxy
