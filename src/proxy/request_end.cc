// The end of a Request: what is counted and written of it, and how it becomes as new.
#include "proxy/request.h"

namespace lateen::proxy {
namespace {

void count_cors(ListenerSlot& counters, CorsVerdict verdict) {
  switch (verdict) {
    case CorsVerdict::kNone:
      return;
    case CorsVerdict::kAllowed:
    case CorsVerdict::kPreflight:
      return counters.cors_origin_valid.add();
    case CorsVerdict::kNotAllowed:
    case CorsVerdict::kPreflightRefused:
      return counters.cors_origin_invalid.add();
  }
}

}  // namespace

void Request::count_response() const {
  ListenerSlot& counters = *origin_.counters;
  counters.rq_active.subtract();
  counters.rq_completed.add();
  OwnedCounter<std::uint64_t>* const classes[] = {&counters.rq_1xx, &counters.rq_2xx, &counters.rq_3xx, &counters.rq_4xx,
                                                  &counters.rq_5xx};
  const std::uint16_t status = machine_.status();
  if (status >= 100 && status <= 599) classes[status / 100 - 1]->add();
  if ((machine_.flags() & kDelayInjected) != 0) counters.fault_delays.add();
  if ((machine_.flags() & kFaultInjected) != 0) counters.fault_aborts.add();
  if ((machine_.flags() & kNoRouteFound) != 0) counters.no_route.add();
  if ((machine_.flags() & kNoClusterFound) != 0) counters.no_cluster.add();
  if ((machine_.flags() & kUpstreamRequestTimeout) != 0) counters.rq_timeout.add();
  if ((machine_.flags() & kDownstreamConnectionTermination) != 0) counters.rq_rx_reset.add();
  count_cors(counters, machine_.cors());
  if (cluster_ == nullptr) return;
  ClusterSlot& slot = cluster_->slot();
  slot.upstream_rq_completed.add();
  OwnedCounter<std::uint64_t>* const upstream[] = {&slot.upstream_rq_1xx, &slot.upstream_rq_2xx, &slot.upstream_rq_3xx,
                                                   &slot.upstream_rq_4xx, &slot.upstream_rq_5xx};
  if (status >= 100 && status <= 599) upstream[status / 100 - 1]->add();
  if (machine_.details() == "response_timeout") slot.upstream_rq_timeout.add();
  if (machine_.details() == "upstream_per_try_timeout") slot.upstream_rq_per_try_timeout.add();
  if ((machine_.flags() & kUpstreamRetryLimitExceeded) != 0) slot.upstream_rq_retry_limit_exceeded.add();
  if (machine_.retry().overflowed()) slot.upstream_rq_retry_overflow.add();
  if (machine_.tries() > 1 && status < 500 && machine_.details() == "via_upstream") slot.upstream_rq_retry_success.add();
}

RequestRecord Request::record() const {
  RequestRecord out;
  const net::Loop& loop = home_.loop();
  out.duration = loop.now() - started_;
  out.started = started_;
  out.started_wall = loop.wall_now() - out.duration;
  out.upstream_service_time = machine_.upstream_service_time();
  out.request = &server_->request();
  out.original_path = machine_.original_path();
  out.status = machine_.status();
  out.flags = machine_.flags();
  out.details = machine_.details();
  out.upstream_transport_failure = machine_.transport_failure();
  out.bytes_received = bytes_received_;
  out.bytes_sent = bytes_sent_;
  out.attempts = machine_.attempts();
  out.request_id = server_->request().headers.get(http::HeaderId::kXRequestId).value_or(std::string_view());
  if (machine_.decision().route != nullptr) out.route_name = &machine_.decision().route->name;
  if (machine_.cluster() != nullptr) out.cluster_name = machine_.cluster()->name;
  out.cluster = machine_.policy().get();
  if (const WorkerHost* host = lane_->upstream.host(); host != nullptr) {
    out.endpoint = host->endpoint().get();
    out.upstream_host = host->host().text();
  }
  out.upstream_local_address = upstream_local_;
  out.downstream_local_address = origin_.local_text;
  out.downstream_remote_address = origin_.remote_text;
  out.client_tls = origin_.connection.client_tls;
  out.requested_server_name = origin_.server_name;
  out.grpc_status = machine_.grpc_status();
  // A gRPC call whose answer has none has what its HTTP status means (gRPC, "HTTP to gRPC Status Code Mapping").
  if (out.grpc_status < 0 && out.status != 0 && is_grpc(*out.request)) {
    out.grpc_status = static_cast<std::int32_t>(grpc_status_of_http(out.status));
  }
  return out;
}

void Request::finish() {
  if (finished_) return;
  finished_ = true;
  count_response();
  home_.on_request_end(record(), origin_);
  server_ = nullptr;
}

void Request::abandon() {
  machine_.on_client_gone(false);
  if (server_ != nullptr) finish();
  run();
}

void Request::recycle() {
  // What the machine still wants concerns a client that has gone, except letting go of the upstream.
  first_lane_.upstream.forget();
  first_lane_.late = Action::kAllLate;
  for (const auto& lane : more_lanes_) lane->upstream.forget();   // destroyed in begin(): we may be inside one
  lane_ = &first_lane_;
  lane_before_ = nullptr;
  drop_shadows();
  grpc_web_.reset();
  upstream_local_.clear();
  ++turn_;
  tried_.clear();
  timer_.cancel();
  timer_at_ = Deadlines::kNever;
  if (retry_counted_) cluster_->slot().retries_active.subtract();
  retry_counted_ = false;
  retries_counted_ = 0;
  cluster_ = nullptr;
  response_ = nullptr;
  RequestOwner* owner = origin_.owner;
  origin_ = RequestOrigin();
  body_.clear();
  machine_.reset();
  bytes_received_ = bytes_sent_ = 0;
  finished_ = false;
  if (owner != nullptr) owner->on_request_over(*this);
  home_.give_back(*this);
}

}  // namespace lateen::proxy
