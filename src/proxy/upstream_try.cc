#include "proxy/upstream_try.h"

#include <cctype>
#include <string>

#include "base/result.h"
#include "proxy/tcp_stream.h"

namespace lateen::proxy {

using stream::ResetReason;

void UpstreamTry::start(HostPin host, http::Version downstream, const ConnectionWish& wish) {
  LATEEN_CHECK(stream_ == nullptr && !waiting_);
  host_ = std::move(host);
  WorkerCluster& cluster = host_->cluster();
  stream::ClientPool& pool = host_->pool(downstream, wish);
  if (!pool.ready()) {
    std::optional<Permit> permit = cluster.shared().limits().pending_requests.acquire();
    if (!permit) {
      cluster.slot().upstream_rq_pending_overflow.add();
      return events_.on_upstream_reset(ResetReason::kOverflow, false, "");
    }
    pending_permit_ = std::move(*permit);
    cluster.slot().upstream_rq_pending_total.add();
    cluster.slot().pending_active.add();
    waiting_ = true;
  }
  std::unique_ptr<stream::PendingStream> place = pool.start(*this, *this);
  // Null where we have been called already; this try may then even be over, and another one waiting.
  if (place != nullptr) place_ = std::move(place);
}

void UpstreamTry::start_tcp(HostPin host, const ConnectionWish& wish) {
  LATEEN_CHECK(stream_ == nullptr && !waiting_);
  host_ = std::move(host);
  if (!host_->acquire_connection()) return events_.on_upstream_reset(ResetReason::kOverflow, false, "");
  place_ = dial_tcp_stream(host_->cluster().loop(), *host_.get(), wish, *this, *this);
}

void UpstreamTry::stop_waiting() {
  if (waiting_) host_->cluster().slot().pending_active.subtract();
  waiting_ = false;
  pending_permit_ = Permit();
}

void UpstreamTry::stop_request() {
  if (counted_) {
    host_->slot().requests_active.subtract();
    host_->cluster().slot().requests_active.subtract();
  }
  counted_ = false;
  request_permit_ = Permit();
}

void UpstreamTry::note_latency() {
  const Time now = host_->cluster().loop().now();
  host_->slot().latency.observe(now - *std::exchange(measured_from_, std::nullopt), now);
}

void UpstreamTry::end() {
  place_.reset();
  stream_.reset();
  if (!host_) return;
  if (measured_from_) {
    const Time now = host_->cluster().loop().now();
    host_->slot().latency.observe_unanswered(now - *std::exchange(measured_from_, std::nullopt), now);
  }
  stop_waiting();
  stop_request();
}

void UpstreamTry::on_stream_ready(std::unique_ptr<stream::ClientStream> stream) {
  stop_waiting();
  WorkerCluster& cluster = host_->cluster();
  std::optional<Permit> permit = cluster.shared().limits().requests.acquire();
  if (!permit) {
    cluster.slot().upstream_rq_pending_overflow.add();   // Envoy counts both overflows here
    stream.reset();
    return events_.on_upstream_reset(ResetReason::kOverflow, false, "");
  }
  request_permit_ = std::move(*permit);
  counted_ = true;
  host_->slot().requests_total.add();
  host_->slot().requests_active.add();
  cluster.slot().upstream_rq_total.add();
  cluster.slot().requests_active.add();
  stream_ = std::move(stream);
  if (cluster.measures_latency()) measured_from_ = cluster.loop().now();
  events_.on_upstream_ready();
}

void UpstreamTry::on_stream_failure(ResetReason reason, std::string_view detail) {
  stop_waiting();
  if (reason != ResetReason::kLocal) host_->cluster().slot().upstream_rq_pending_failure_eject.add();
  if (reason == ResetReason::kLocal) return events_.on_upstream_host_left();
  if (reason != ResetReason::kConnectFailure || detail.empty()) return events_.on_upstream_reset(reason, false, "");
  // TLS gives its own words.
  if (detail.starts_with("TLS_error")) return events_.on_upstream_reset(reason, false, detail);
  // In Envoy's words: "delayed connect error: Connection refused".
  std::string words = "delayed connect error: ";
  words += static_cast<char>(std::toupper(static_cast<unsigned char>(detail.front())));
  words += detail.substr(1);
  events_.on_upstream_reset(reason, false, words);
}

// Envoy gives a transport's reason only where connecting failed.
void UpstreamTry::on_reset(ResetReason reason, bool bytes_sent, std::string_view) {
  host_->cluster().slot().upstream_rq_rx_reset.add();
  events_.on_upstream_reset(reason, bytes_sent, "");
}

}  // namespace lateen::proxy
