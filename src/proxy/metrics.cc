#include "proxy/metrics.h"

#include <algorithm>
#include <functional>

namespace lateen::proxy {

namespace {

constexpr std::size_t kTableMin = 64;

std::size_t hash_of(const SeriesKey& key) {
  constexpr std::size_t kMix = 0x9e3779b97f4a7c15u;
  std::size_t hash = std::hash<std::string_view>{}(key.service_host);
  const auto mix = [&hash](std::size_t value) { hash = (hash ^ value) * kMix ^ (hash >> 29); };
  mix(std::hash<std::string_view>{}(key.workload));
  mix(key.view);
  mix(std::size_t{key.status} << 32 | key.flags);
  mix(static_cast<std::size_t>(key.protocol) << 32 | static_cast<std::uint32_t>(key.grpc_status));
  return hash;
}

// The service of a cluster name in istiod's form, "outbound|9080|v1|reviews.default.svc.cluster.local".
std::string_view service_host_of(std::string_view cluster_name) {
  const std::size_t bar = cluster_name.rfind('|');
  return bar == std::string_view::npos ? std::string_view() : cluster_name.substr(bar + 1);
}

void set_destination(SeriesKey& key, const runtime::Cluster* cluster, std::string_view cluster_name,
                     const runtime::Endpoint* endpoint) {
  if (cluster != nullptr) {
    key.service_host = cluster->service_host;
    key.service_name = cluster->service_name;
    key.service_namespace = cluster->service_namespace;
    cluster_name = cluster->name;
  }
  if (key.service_host.empty()) key.service_host = service_host_of(cluster_name);
  // PassthroughCluster, BlackHoleCluster: Istio names the cluster where there is no service.
  if (key.service_host.empty() && key.service_name.empty()) key.service_name = cluster_name;
  if (endpoint != nullptr) key.workload = endpoint->workload;
}

SeriesKey key_of(ViewId view, const RequestRecord& record) {
  SeriesKey key;
  key.view = view;
  key.status = record.status;
  key.flags = record.flags;
  key.grpc_status = record.grpc_status;
  bool grpc = record.grpc_status >= 0;
  if (!grpc && record.request != nullptr) {
    const auto type = record.request->headers.get(http::HeaderId::kContentType);
    grpc = type && type->starts_with("application/grpc") && !type->starts_with("application/grpc-web");
  }
  if (grpc) key.protocol = SeriesKey::Protocol::kGrpc;
  set_destination(key, record.cluster, record.cluster_name, record.endpoint);
  return key;
}

SeriesKey key_of(ViewId view, const TcpRecord& record) {
  SeriesKey key;
  key.view = view;
  key.flags = record.flags;
  key.protocol = SeriesKey::Protocol::kTcp;
  set_destination(key, record.cluster, {}, record.endpoint);
  return key;
}

double milliseconds(Duration duration) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

void Histogram::add(double value) {
  const auto bound = std::lower_bound(kHistogramBounds.begin(), kHistogramBounds.end(), value);
  buckets_[static_cast<std::size_t>(bound - kHistogramBounds.begin())].add();
  sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

WorkerMetrics::WorkerMetrics() : table_(kTableMin, nullptr) {}

void WorkerMetrics::record(ViewId view, const RequestRecord& record) {
  Series& series = find(key_of(view, record));
  series.requests.add();
  series.duration_ms.add(milliseconds(record.duration));
  series.request_bytes.add(static_cast<double>(record.bytes_received));
  series.response_bytes.add(static_cast<double>(record.bytes_sent));
}

void WorkerMetrics::tcp_opened(ViewId view, const TcpRecord& record) { find(key_of(view, record)).tcp_opened.add(); }

void WorkerMetrics::tcp_closed(ViewId view, const TcpRecord& record) {
  Series& series = find(key_of(view, record));
  series.tcp_closed.add();
  series.tcp_received.add(record.bytes_received);
  series.tcp_sent.add(record.bytes_sent);
}

Series& WorkerMetrics::find(const SeriesKey& key) {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = hash_of(key) & mask;
  while (table_[slot] != nullptr) {
    if (table_[slot]->key == key) return *table_[slot];
    slot = (slot + 1) & mask;
  }
  return insert(key, slot);
}

Series& WorkerMetrics::insert(const SeriesKey& key, std::size_t slot) {
  if (overflow_ != nullptr) return *overflow_;
  const bool last = series_.size() + 1 == kSeriesMax;
  SeriesKey kept = key;
  if (last) {
    kept = SeriesKey{};
    kept.protocol = key.protocol;
    kept.service_host = kept.service_name = "overflow";
  }
  Series& series = *series_.append();
  // Reserved before the views are taken, so that the text does not move.
  series.text.reserve(kept.service_host.size() + kept.service_name.size() + kept.service_namespace.size() + kept.workload.size());
  series.key = kept;
  for (std::string_view* part : {&series.key.service_host, &series.key.service_name, &series.key.service_namespace,
                                 &series.key.workload}) {
    const std::size_t begin = series.text.size();
    series.text += *part;
    *part = std::string_view(series.text).substr(begin);
  }
  series_.publish();
  if (last) {
    overflow_ = &series;
    return series;
  }
  table_[slot] = &series;
  if (series_.size() * 2 > table_.size()) grow();
  return series;
}

void WorkerMetrics::grow() {
  std::vector<Series*> larger(table_.size() * 2, nullptr);
  const std::size_t mask = larger.size() - 1;
  for (Series* series : table_) {
    if (series == nullptr) continue;
    std::size_t slot = hash_of(series->key) & mask;
    while (larger[slot] != nullptr) slot = (slot + 1) & mask;
    larger[slot] = series;
  }
  table_ = std::move(larger);
}

ListenerSlot& WorkerMetrics::listener(std::string_view name, std::string_view stat_prefix) {
  const std::size_t count = listeners_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (listeners_[i].name == name && listeners_[i].stat_prefix == stat_prefix) return listeners_[i];
  }
  if (count == kListenersMax) return listeners_[count - 1];
  ListenerSlot& slot = *listeners_.append();
  const bool last = count + 1 == kListenersMax;
  slot.name = last ? "overflow" : name;
  slot.stat_prefix = last ? "overflow" : stat_prefix;
  listeners_.publish();
  return slot;
}

Metrics::Metrics(unsigned workers) {
  for (unsigned i = 0; i < workers; ++i) workers_.push_back(std::make_unique<WorkerMetrics>());
}

void Metrics::set_view(ViewId view, const ViewInfo& info) { views_[view] = info; }

}  // namespace lateen::proxy
