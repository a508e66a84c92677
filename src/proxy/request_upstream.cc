// The upstream side of a Request: its tries, late ones among them, what comes back, and its shadows.
#include "base/result.h"
#include "http/path.h"
#include "proxy/dns_cluster.h"
#include "proxy/request.h"

namespace lateen::proxy {

using stream::End;
using stream::ResetReason;

namespace {

constexpr std::uint16_t kContinueStatus = 100;

}  // namespace

bool Request::resolve_cluster() {
  const runtime::WeightedCluster& target = *machine_.cluster();
  const runtime::ClusterId id = target.id == runtime::kNoCluster ? origin_.view->snapshot()->find_cluster(target.name) : target.id;
  std::shared_ptr<const runtime::Cluster> policy = origin_.view->policy(id);
  cluster_ = policy == nullptr ? nullptr : origin_.view->cluster(id);
  if (cluster_ == nullptr) return false;
  machine_.on_cluster(std::move(policy), cluster_->shared().limits().retries);
  return true;
}

void Request::start_try() {
  if (machine_.policy() == nullptr && !resolve_cluster()) return machine_.on_try_failed(TryFailure::kNoCluster);
  const runtime::Cluster& policy = *machine_.policy();
  if (!policy.unsupported.empty()) return machine_.on_try_failed(TryFailure::kUnsupportedCluster);
  using Discovery = runtime::Cluster::Discovery;
  if (policy.discovery == Discovery::kOriginalDestination) return start_original_destination();
  if (policy.discovery == Discovery::kDynamicForwardProxy) return start_dynamic_forward();
  // The host of the last try joins those to be avoided only now: most requests have but one try.
  const RetryState& retry = machine_.retry();
  const std::uint32_t priorities_update = retry.previous_priorities_update();
  const bool remembers = retry.avoids_previous_hosts() || priorities_update != 0;
  if (machine_.tries() > 1 && remembers && tried_host() != nullptr) {
    tried_host()->retain();
    tried_.emplace_back(tried_host());
  }
  if (machine_.tries() == 1 && cluster_->drops_overload()) return machine_.on_try_failed(TryFailure::kDropOverload);
  start_on(cluster_->pick({.tried = tried_,
                           .attempts = retry.host_selection_attempts(),
                           .hash = machine_.hash(),
                           .priorities_tried_update = priorities_update}));
}

void Request::start_original_destination() {
  const net::Address* to = origin_.destination;
  if (to == nullptr || to->port == 0 || home_.listens_at(*to)) return start_on(nullptr);
  if (to->family != net::Address::Family::kNone) return start_on(cluster_->original_destination(*to));
  start_resolved(to->host, to->port, false);
}

// The host is the one that the request names (Envoy's dynamic forward proxy). The filter of that name is not needed for it
// (observed with Envoy 1.40).
void Request::start_dynamic_forward() {
  const std::optional<http::Authority> authority = http::parse_authority(server_->request().authority);
  if (!authority || authority->host.empty()) return start_on(nullptr);
  const std::uint16_t usual = machine_.policy()->transport.tls != nullptr ? 443 : 80;
  std::string_view name = authority->host;
  if (name.starts_with('[')) name = name.substr(1, name.size() - 2);
  start_resolved(std::string(name), authority->port.value_or(usual), true);
}

void Request::start_resolved(const std::string& name, std::uint16_t port, bool dynamic) {
  auto on_found = [this, name, port, dynamic, turn = turn_, alive = std::weak_ptr<const int>(alive_)](Result<net::Address> found) {
    if (alive.expired() || turn != turn_) return;
    WorkerHost* host = nullptr;
    if (found) {
      found->port = port;
      if (!home_.listens_at(*found)) host = cluster_->original_destination(*found, dynamic ? name : std::string());
    }
    running_ = true;   // what comes of it is carried out below, not from inside the pool
    // Only the filter says what was wrong; the cluster by itself knows of no host (observed with Envoy 1.40).
    if (!found && dynamic && origin_.settings->dynamic_forward_proxy_filter) machine_.on_try_failed(TryFailure::kNameNotResolved);
    else start_on(host);
    running_ = false;
    run();
  };
  home_.find_address(name, dynamic ? family_of(machine_.policy()->dns.family) : net::DnsFamily::kAll, std::move(on_found));
}

void Request::start_on(WorkerHost* host) {
  if (host == nullptr) return machine_.on_try_failed(TryFailure::kNoHealthyHost);
  machine_.on_host_selected(host->endpoint()->hostname);
  lane_before_ = nullptr;
  if (machine_.tries() > 1) body_.rewind();
  lane_->head_sent = lane_->end_sent = lane_->upstream_ended = false;
  lane_->credits_body = true;
  const http::RequestHead& head = server_->request();
  const ConnectionWish wish{.authority = head.authority, .source = origin_.remote, .destination = origin_.local};
  if (machine_.ends_tunnel()) return lane_->upstream.start_tcp(HostPin(host), wish);
  lane_->upstream.start(HostPin(host), head.version, wish);
}

void Request::send_request() {
  const bool whole = body_.ended() && !body_.has_unsent() && body_.trailers() == nullptr;
  lane_->head_sent = true;
  lane_->end_sent = whole;
  lane_->upstream.stream()->send_headers(server_->request(), whole ? End::kYes : End::kNo);
  if (!whole) send_body();
}

void Request::send_body() {
  if (!lane_->head_sent || lane_->end_sent || lane_->upstream.stream() == nullptr) return;
  const http::HeaderMap* trailers = body_.trailers();
  const bool last = body_.ended() && trailers == nullptr;
  if (body_.has_unsent() || last) {
    lane_->end_sent = last;
    lane_->upstream.stream()->send_data(body_.take(), last ? End::kYes : End::kNo);
  }
  if (body_.ended() && trailers != nullptr && !lane_->end_sent && lane_->upstream.stream() != nullptr) {
    lane_->end_sent = true;
    lane_->upstream.stream()->send_trailers(*trailers);
  }
}

void Request::end(Lane& lane) {
  if (lane.upstream.stream() != nullptr && !lane.upstream_ended) cluster_->slot().upstream_rq_tx_reset.add();
  lane.upstream.end();
  lane.head_sent = lane.end_sent = false;
}

void Request::end_try() {
  end(*lane_);
  ++turn_;
  if (!machine_.response_started() || server_ == nullptr) return;
  // No other try will want the rest of the body.
  const std::size_t credit = body_.drop();
  if (credit > 0) server_->consumed(credit);
}

void Request::report(const Action& action) {
  WorkerHost* host = lane_->upstream.host();
  if (host == nullptr) return;
  const bool error = action.result != TryResult::kStatus || action.status >= 500;
  (error ? host->slot().requests_error : host->slot().requests_success).add();
  if (action.result == TryResult::kLocalTimeout) host->slot().requests_timeout.add();
  cluster_->report(*host, *machine_.policy(), action.result, action.status);
}

void Request::count_retry() {
  if (cluster_ == nullptr) return;
  ClusterSlot& slot = cluster_->slot();
  slot.upstream_rq_retry.add(machine_.retry().retries() - retries_counted_);
  retries_counted_ = machine_.retry().retries();
  const bool active = machine_.retry().active();
  if (active == retry_counted_) return;
  retry_counted_ = active;
  if (active) slot.retries_active.add();
  else slot.retries_active.subtract();
}

// ---- what upstream says

void Request::on_ready() {
  if (origin_.log_format != nullptr) upstream_local_ = net::to_string(lane_->upstream.stream()->local_address());
  machine_.on_try_opened(home_.loop().now());
  run();
}

void Request::on_informational(const Lane& lane, http::ResponseHead& head) {
  if (lane.late != Action::kAllLate) return;   // nobody knows yet whose answer it will be
  machine_.on_informational(home_.loop().now());
  // 100 was answered by us; HTTP/1.0 knows no 1xx.
  const bool wanted = head.status != kContinueStatus || origin_.settings->proxies_100_continue;
  if (server_ != nullptr && wanted && server_->request().version != http::Version::kHttp10) server_->send_informational(head);
}

void Request::on_headers(Lane& lane, http::ResponseHead& head, End end) {
  LATEEN_CHECK(!running_);   // `head` must be sent before this function returns
  response_ = &head;
  response_end_ = end;
  lane.upstream_ended = end == End::kYes;
  if (lane.late != Action::kAllLate) {
    machine_.on_late_response(lane.late, head, end == End::kYes, home_.date(), home_.loop().now(), home_.random());
    return run();
  }
  machine_.on_response(head, end == End::kYes, home_.date(), home_.loop().now(), home_.random());
  run();
}

void Request::on_response_data(stream::Buffer data, End end) {
  bytes_sent_ += data.size();
  machine_.on_response_data(home_.loop().now());
  if (server_ != nullptr) {
    if (grpc_web_ != nullptr) data = grpc_web_->encode(std::move(data), end == End::kYes);
    const bool nothing = data.empty() && end == End::kNo;
    if (!nothing) server_->send_data(std::move(data), end);
    else on_sent(0);   // credit for what was swallowed
  }
  lane_->upstream_ended = end == End::kYes;
  if (end == End::kYes) machine_.on_response_ended();
  run();
}

void Request::on_response_trailers(const http::HeaderMap& trailers) {
  lane_->upstream_ended = true;
  machine_.on_response_trailers(trailers);
  if (server_ != nullptr && grpc_web_ != nullptr) server_->send_data(grpc_web_->encode_trailers(trailers), End::kYes);
  else if (server_ != nullptr) server_->send_trailers(trailers);
  machine_.on_response_ended();
  run();
}

void Request::on_body_sent(const Lane& lane, std::size_t bytes) {
  if (&lane != lane_ || !lane.credits_body) return;
  machine_.on_request_data(home_.loop().now());
  const std::size_t credit = body_.on_sent(bytes);
  if (credit > 0 && server_ != nullptr) server_->consumed(credit);
}

void Request::on_host_left() {
  machine_.on_host_left(home_.loop().now(), home_.random());
  run();
}

void Request::on_upstream_reset(Lane& lane, ResetReason reason, bool bytes_sent, std::string_view detail) {
  lane.upstream_ended = true;
  if (lane.late != Action::kAllLate) {
    machine_.on_late_reset(lane.late, reason, detail);
    return run();
  }
  machine_.on_upstream_reset(reason, bytes_sent, detail, home_.loop().now(), home_.random());
  run();
}

// ---- late tries

void Request::hedge(std::uint32_t late) {
  lane_->late = late;
  lane_before_ = lane_;
  ++turn_;
  more_lanes_.push_back(std::make_unique<Lane>(*this));
  lane_ = more_lanes_.back().get();
}

void Request::end_late(std::uint32_t late) {
  const auto end_one = [&](Lane& lane) {
    if (lane.late == Action::kAllLate || (late != Action::kAllLate && lane.late != late)) return;
    lane.late = Action::kAllLate;
    end(lane);
  };
  end_one(first_lane_);
  for (const auto& lane : more_lanes_) end_one(*lane);
}

// The body went out whole before the try was late, and nobody needs it again.
void Request::promote(std::uint32_t late) {
  end(*lane_);
  ++turn_;
  const auto is_it = [late](const Lane& lane) { return lane.late == late; };
  if (is_it(first_lane_)) lane_ = &first_lane_;
  for (const auto& lane : more_lanes_) {
    if (is_it(*lane)) lane_ = lane.get();
  }
  lane_->late = Action::kAllLate;
  lane_->credits_body = false;
  end_late(Action::kAllLate);
  const std::size_t credit = body_.drop();
  if (credit > 0 && server_ != nullptr) server_->consumed(credit);
}

// ---- shadows

void Request::start_shadows() {
  for (const runtime::Mirror* mirror : machine_.shadows()) {
    const runtime::ClusterId id = mirror->id == runtime::kNoCluster ? origin_.view->snapshot()->find_cluster(mirror->cluster) : mirror->id;
    Shadow* shadow = home_.shadows().make(*origin_.view, id, machine_.route_timeout());
    if (shadow == nullptr) {
      origin_.counters->shadows_dropped.add();
      continue;
    }
    machine_.write_shadow(*mirror, shadow->head());
    shadows_.push_back(shadow);
  }
  if (body_.has_unsent()) feed_shadows(body_.unsent());
  if (body_.ended()) send_shadows();
}

void Request::feed_shadows(const stream::Buffer& data) {
  std::erase_if(shadows_, [&](Shadow* shadow) {
    const bool dropped = !shadow->append(data.share());
    if (dropped) origin_.counters->shadows_dropped.add();
    return dropped;
  });
}

void Request::send_shadows() {
  for (Shadow* shadow : std::exchange(shadows_, {})) {
    origin_.counters->shadows_sent.add();
    if (const http::HeaderMap* trailers = body_.trailers()) shadow->set_trailers(*trailers);
    shadow->launch();
  }
}

void Request::drop_shadows() {
  for (Shadow* shadow : std::exchange(shadows_, {})) {
    origin_.counters->shadows_dropped.add();
    shadow->end();
  }
}

}  // namespace lateen::proxy
