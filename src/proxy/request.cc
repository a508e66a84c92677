#include "proxy/request.h"

#include "base/result.h"
#include "http/path.h"

namespace lateen::proxy {

using stream::End;
using stream::ResetReason;

namespace {

constexpr std::uint16_t kContinueStatus = 100;

}  // namespace

void Request::begin(stream::ServerStream& server, End end, RequestOrigin origin) {
  LATEEN_CHECK(server_ == nullptr && !running_);
  server_ = &server;
  origin_ = std::move(origin);
  started_ = server.started();
  http::RequestHead& head = server.request();
  const bool ended = end == End::kYes;
  body_.begin(!ended);
  if (ended) body_.append(stream::Buffer(), End::kYes);
  if (head.expects_continue && !origin_.settings->proxies_100_continue && !ended) {
    http::ResponseHead go_on;
    go_on.status = kContinueStatus;
    server.send_informational(go_on);
    head.headers.remove(http::HeaderId::kExpect);
    head.expects_continue = false;
  }
  origin_.counters->rq_total.add();
  origin_.counters->rq_active.add();

  RequestContext context;
  context.settings = origin_.settings;
  context.table = std::move(origin_.table);
  context.outbound = origin_.outbound;
  context.connection = origin_.connection;
  context.downstream_address = origin_.remote_text;
  context.local_address = origin_.local_text;
  context.wall = home_.loop().wall_now();
  machine_.start(std::move(context), head, ended, home_.loop().now(), home_.random());
  run();
}

void Request::run() {
  if (running_) return;   // an action led to this event: the loop below goes on with what it brought
  running_ = true;
  while (const std::optional<Action> action = machine_.next_action()) carry_out(*action);
  running_ = false;
  if (finished_) return recycle();
  count_retry();
  rearm();
}

void Request::carry_out(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kStartTry: return start_try();
    case Action::Kind::kSend: return send_request();
    case Action::Kind::kEndTry: return end_try();
    case Action::Kind::kReport: return report(action);
    case Action::Kind::kRespond:
      if (server_ == nullptr) return;
      body_.stop_keeping();
      return server_->send_headers(*response_, response_end_);
    case Action::Kind::kReply: return reply();
    case Action::Kind::kCut: {
      if (server_ == nullptr) return;
      stream::ServerStream* server = server_;
      finish();   // reads the request's head, which goes with the stream
      return server->reset();
    }
  }
}

void Request::start_try() {
  const runtime::WeightedCluster& target = *machine_.cluster();
  if (machine_.policy() == nullptr) {
    std::shared_ptr<const runtime::Cluster> policy = origin_.view->policy(target.id);
    cluster_ = policy == nullptr ? nullptr : origin_.view->cluster(target.id);
    if (cluster_ == nullptr) return machine_.on_try_failed(TryFailure::kNoCluster);
    machine_.on_cluster(std::move(policy), cluster_->shared().limits().retries);
  }
  const runtime::Cluster& policy = *machine_.policy();
  if (!policy.unsupported.empty()) return machine_.on_try_failed(TryFailure::kUnsupportedCluster);
  if (policy.discovery == runtime::Cluster::Discovery::kOriginalDestination) return start_original_destination();
  if (policy.discovery == runtime::Cluster::Discovery::kDynamicForwardProxy) return start_dynamic_forward();
  // The host of the last try joins those to be avoided only now: most requests have but one try.
  const std::uint32_t priorities_update = machine_.retry().previous_priorities_update();
  if (machine_.tries() > 1 && (machine_.retry().avoids_previous_hosts() || priorities_update != 0) && try_.host() != nullptr) {
    try_.host()->retain();
    tried_.emplace_back(try_.host());
  }
  if (machine_.tries() == 1 && cluster_->drops_overload()) return machine_.on_try_failed(TryFailure::kDropOverload);
  start_on(cluster_->pick({.tried = tried_, .attempts = machine_.retry().host_selection_attempts(), .hash = machine_.hash(), .priorities_tried_update = priorities_update}));
}

void Request::start_original_destination() {
  const net::Address* to = origin_.destination;
  if (to == nullptr || to->port == 0 || home_.listens_at(*to)) return start_on(nullptr);
  if (to->family != net::Address::Family::kNone) return start_on(cluster_->original_destination(*to));
  start_resolved(to->host, to->port, false);
}

// The host is the one that the request names (Envoy's dynamic forward proxy): the filter must be on the listener, too.
void Request::start_dynamic_forward() {
  const std::optional<http::Authority> authority = http::parse_authority(server_->request().authority);
  if (!origin_.settings->dynamic_forward_proxy_filter || !authority || authority->host.empty()) return start_on(nullptr);
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
    if (!found && dynamic) machine_.on_try_failed(TryFailure::kNameNotResolved);
    else start_on(host);
    running_ = false;
    run();
  };
  home_.find_address(name, std::move(on_found));
}

void Request::start_on(WorkerHost* host) {
  if (host == nullptr) return machine_.on_try_failed(TryFailure::kNoHealthyHost);
  machine_.on_host_selected();
  if (machine_.tries() > 1) body_.rewind();
  head_sent_ = end_sent_ = upstream_ended_ = false;
  const http::RequestHead& head = server_->request();
  try_.start(HostPin(host), head.version, {.authority = head.authority, .source = origin_.remote, .destination = origin_.local});
}

void Request::send_request() {
  const bool whole = body_.ended() && !body_.has_unsent() && body_.trailers() == nullptr;
  head_sent_ = true;
  end_sent_ = whole;
  try_.stream()->send_headers(server_->request(), whole ? End::kYes : End::kNo);
  if (!whole) send_body();
}

void Request::send_body() {
  if (!head_sent_ || end_sent_ || try_.stream() == nullptr) return;
  const http::HeaderMap* trailers = body_.trailers();
  const bool last = body_.ended() && trailers == nullptr;
  if (body_.has_unsent() || last) {
    end_sent_ = last;
    try_.stream()->send_data(body_.take(), last ? End::kYes : End::kNo);
  }
  if (body_.ended() && trailers != nullptr && !end_sent_ && try_.stream() != nullptr) {
    end_sent_ = true;
    try_.stream()->send_trailers(*trailers);
  }
}

void Request::end_try() {
  if (try_.stream() != nullptr && !upstream_ended_) cluster_->slot().upstream_rq_tx_reset.add();
  try_.end();
  ++turn_;
  head_sent_ = end_sent_ = false;
  if (!machine_.response_started() || server_ == nullptr) return;
  // No other try will want the rest of the body.
  const std::size_t credit = body_.drop();
  if (credit > 0) server_->consumed(credit);
}

void Request::report(const Action& action) {
  WorkerHost* host = try_.host();
  if (host == nullptr) return;
  const bool error = action.result != TryResult::kStatus || action.status >= 500;
  (error ? host->slot().requests_error : host->slot().requests_success).add();
  if (action.result == TryResult::kLocalTimeout) host->slot().requests_timeout.add();
  cluster_->report(*host, *machine_.policy(), action.result, action.status);
}

void Request::reply() {
  if (server_ == nullptr) return;
  const std::string_view body = machine_.write_local_reply(reply_head_, home_.date());
  const std::size_t credit = body_.drop();
  if (credit > 0) server_->consumed(credit);
  if (server_ == nullptr) return;
  server_->send_headers(reply_head_, body.empty() ? End::kYes : End::kNo);
  if (body.empty() || server_ == nullptr) return;
  stream::Buffer data;
  data.append_copy(body);
  server_->send_data(std::move(data), End::kYes);
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

void Request::rearm() {
  const Time at = machine_.deadline();
  if (at == Deadlines::kNever) {
    timer_.cancel();
    timer_at_ = at;
    return;
  }
  // A timer that wakes us early is left alone: it looks again then. So an idle timeout costs nothing while data flows.
  if (timer_.armed() && timer_at_ <= at) return;
  timer_at_ = at;
  home_.loop().arm<&Request::on_timer>(timer_, at - home_.loop().now(), this);
}

void Request::on_timer() {
  timer_at_ = Deadlines::kNever;
  machine_.on_deadline(home_.loop().now(), home_.random());
  run();
}

// ---- the client's stream

void Request::on_data(stream::Buffer data, End end) {
  const Time now = home_.loop().now();
  bytes_received_ += data.size();
  if (machine_.state() == RequestMachine::State::kReplied || machine_.state() == RequestMachine::State::kDone) {
    server_->consumed(data.size());
  } else {
    body_.append(std::move(data), end);
    if (body_.over_bound() && try_.stream() != nullptr) {
      body_.stop_keeping();
      machine_.on_body_not_kept();
    }
    machine_.on_request_data(now);
  }
  if (end == End::kYes) machine_.on_request_ended(now);
  send_body();
  run();
}

void Request::on_trailers(http::HeaderMap trailers) {
  body_.set_trailers(trailers.copy());
  machine_.on_request_ended(home_.loop().now());
  send_body();
  run();
}

void Request::on_reset(ResetReason reason) {
  machine_.on_client_gone(reason == ResetReason::kProtocolError);
  finish();
  run();
}

void Request::on_sent(std::size_t bytes) {
  machine_.on_client_progress(home_.loop().now());
  if (try_.stream() != nullptr) try_.stream()->consumed(bytes);
}

void Request::on_complete() {
  if (machine_.state() == RequestMachine::State::kReplied) machine_.on_replied();
  finish();
  run();
}

// ---- the upstream stream

void Request::on_upstream_ready() {
  machine_.on_try_opened(home_.loop().now());
  run();
}

void Request::on_upstream_informational(http::ResponseHead& head) {
  machine_.on_informational(home_.loop().now());
  // 100 was answered by us; HTTP/1.0 knows no 1xx.
  const bool wanted = head.status != kContinueStatus || origin_.settings->proxies_100_continue;
  if (server_ != nullptr && wanted && server_->request().version != http::Version::kHttp10) server_->send_informational(head);
}

void Request::on_upstream_headers(http::ResponseHead& head, End end) {
  LATEEN_CHECK(!running_);   // `head` must be sent before this function returns
  response_ = &head;
  response_end_ = end;
  upstream_ended_ = end == End::kYes;
  machine_.on_response(head, end == End::kYes, home_.date(), home_.loop().now(), home_.random());
  run();
}

void Request::on_upstream_data(stream::Buffer data, End end) {
  bytes_sent_ += data.size();
  machine_.on_response_data(home_.loop().now());
  if (server_ != nullptr) server_->send_data(std::move(data), end);
  upstream_ended_ = end == End::kYes;
  if (end == End::kYes) machine_.on_response_ended();
  run();
}

void Request::on_upstream_trailers(const http::HeaderMap& trailers) {
  upstream_ended_ = true;
  machine_.on_response_trailers(trailers);
  if (server_ != nullptr) server_->send_trailers(trailers);
  machine_.on_response_ended();
  run();
}

void Request::on_upstream_sent(std::size_t bytes) {
  machine_.on_request_data(home_.loop().now());
  const std::size_t credit = body_.on_sent(bytes);
  if (credit > 0 && server_ != nullptr) server_->consumed(credit);
}

void Request::on_upstream_host_left() {
  machine_.on_host_left(home_.loop().now(), home_.random());
  run();
}

void Request::on_upstream_reset(ResetReason reason, bool bytes_sent, std::string_view detail) {
  upstream_ended_ = true;
  machine_.on_upstream_reset(reason, bytes_sent, detail, home_.loop().now(), home_.random());
  run();
}

// ---- the end

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
  if (machine_.decision().route != nullptr) out.route_name = machine_.decision().route->name;
  if (machine_.cluster() != nullptr) out.cluster_name = machine_.cluster()->name;
  out.cluster = machine_.policy().get();
  if (const WorkerHost* host = try_.host(); host != nullptr) {
    out.endpoint = host->endpoint().get();
    out.upstream_host = host->host().text();
  }
  out.upstream_local_address = try_.local_address();
  out.downstream_local_address = origin_.local_text;
  out.downstream_remote_address = origin_.remote_text;
  out.client_tls = origin_.connection.client_tls;
  out.requested_server_name = origin_.server_name;
  out.grpc_status = machine_.grpc_status();
  return out;
}

void Request::finish() {
  if (finished_) return;
  finished_ = true;
  if (machine_.state() == RequestMachine::State::kReplied) bytes_sent_ = machine_.local_reply().body.size();
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
  try_.forget();
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
  head_sent_ = end_sent_ = finished_ = false;
  if (owner != nullptr) owner->on_request_over(*this);
  home_.give_back(*this);
}

}  // namespace lateen::proxy
