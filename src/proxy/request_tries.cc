// The tries of a request and its upstream response: the second half of RequestMachine.
#include <algorithm>
#include <charconv>

#include "base/result.h"
#include "proxy/grpc_timeout.h"
#include "proxy/header_mutation.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"

namespace lateen::proxy {
namespace {

using std::chrono::duration_cast;

constexpr std::uint16_t kSwitchingProtocols = 101;

void set_number(http::HeaderMap& headers, http::HeaderId id, std::int64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  headers.set(id, std::string_view(text, static_cast<std::size_t>(end - text)));
}

}  // namespace

void RequestMachine::enter_trying(Time now) {
  state_ = State::kTrying;
  try_opened_ = timeout_reported_ = false;
  ++tries_;
  if (decision_.virtual_host->include_attempt_count_in_request) {
    set_number(head_->headers, http::HeaderId::kXEnvoyAttemptCount, tries_);
  }
  set_expected_timeout(now);
  push(Action::Kind::kStartTry);
}

// x-envoy-expected-rq-timeout-ms = min(per try, what remains of the route's); absent without a timeout (observed).
void RequestMachine::set_expected_timeout(Time now) {
  // A late try may take all the time that there is.
  Duration expected = hedges() ? Duration::max() : try_timeout_.value_or(Duration::max());
  if (route_timeout_ > Duration::zero()) {
    const Duration left =
        deadlines_.is_set(DeadlineKind::kRoute) ? deadlines_.at(DeadlineKind::kRoute) - now : route_timeout_;
    expected = std::min(expected, left);
  }
  if (expected == Duration::max()) return;
  // 0 would mean no timeout at all to the next hop.
  const std::int64_t milliseconds = std::max<std::int64_t>(1, duration_cast<std::chrono::milliseconds>(expected).count());
  if (!settings().suppresses_envoy_headers) set_number(head_->headers, http::HeaderId::kXEnvoyExpectedRqTimeoutMs, milliseconds);
  if (forward().policy->grpc_timeout_max && is_grpc(*head_)) head_->headers.set("grpc-timeout", grpc_timeout_text(std::chrono::milliseconds(milliseconds)));
}

void RequestMachine::on_cluster(std::shared_ptr<const runtime::Cluster> policy, Limit& retries) {
  policy_ = std::move(policy);
  retry_.set_limit(&retries);
  using Balancer = runtime::Cluster::Balancer;
  if (policy_->balancer == Balancer::kRingHash || policy_->balancer == Balancer::kMaglev) return;
  // Envoy asks for the hash, and so makes the cookie, only where the balancer wants one.
  hash_.reset();
  set_cookies_.clear();
}

void RequestMachine::on_host_selected(std::string_view hostname) {
  ++record_attempts_;
  const Boxed<runtime::Rewrite>& rewrite = forward().policy->rewrite;
  if (rewrite && rewrite->host_from_endpoint && !hostname.empty()) {
    set_authority(std::string(hostname), rewrite->append_x_forwarded_host, *head_, authority_storage_, keeps_original());
  }
  if (record_attempts_ == 1 && !shadows_.empty()) push(Action::Kind::kShadow);
}

void RequestMachine::on_try_failed(TryFailure failure) {
  LATEEN_CHECK(state_ == State::kTrying && !try_opened_);
  switch (failure) {
    case TryFailure::kNoCluster: return enter_replied(cluster_not_found(forward().policy->cluster_not_found_status));
    case TryFailure::kNoHealthyHost:
      record_attempts_ = std::max(record_attempts_, tries_);   // to find no host is an attempt, too (Envoy)
      return enter_replied(no_healthy_upstream());
    case TryFailure::kNameNotResolved: return enter_replied(name_not_resolved());
    case TryFailure::kDropOverload: return enter_replied(drop_overload());
    case TryFailure::kUnsupportedCluster: {
      LocalReply reply = unsupported(policy_->unsupported);
      reply.status = 503;
      reply.body = "cluster not supported: " + policy_->unsupported;
      return enter_replied(std::move(reply));
    }
  }
}

void RequestMachine::on_host_left(Time now, Random& random) {
  LATEEN_CHECK(state_ == State::kTrying && !try_opened_);
  if (++picks_lost_ > kPicksLostMax) return on_upstream_reset(stream::ResetReason::kRefused, false, "", now, random);
  push(Action::Kind::kEndTry);
  --tries_;
  --record_attempts_;
  enter_trying(now);
}

void RequestMachine::on_try_opened(Time now) {
  LATEEN_CHECK(state_ == State::kTrying && !try_opened_);
  try_opened_ = true;
  touch(now);
  if (policy_->stream_duration_max && *policy_->stream_duration_max > Duration::zero()) {
    deadlines_.set(DeadlineKind::kTryDuration, now + *policy_->stream_duration_max);
  }
  // The per-try timeout runs from the later of the stream and the end of the request (Envoy).
  if (request_ended_ && try_timeout_) deadlines_.set(DeadlineKind::kTry, now + *try_timeout_);
  push(Action::Kind::kSend);
}

void RequestMachine::note_exhaustion(RetryAnswer answer) {
  if (answer == RetryAnswer::kExhausted) flags_ |= kUpstreamRetryLimitExceeded;
  if (answer == RetryAnswer::kOverflow) flags_ |= kUpstreamOverflow;
}

void RequestMachine::enter_back_off(RetryAnswer answer, Time now, Random& random) {
  push(Action::Kind::kEndTry);
  try_opened_ = false;
  retry_failed_before_ = true;
  deadlines_.clear(DeadlineKind::kTry);
  deadlines_.clear(DeadlineKind::kTryDuration);
  if (answer == RetryAnswer::kAtOnce) return enter_trying(now);
  state_ = State::kBackingOff;
  deadlines_.set(DeadlineKind::kBackOff, now + retry_.next_back_off(random));
}

void RequestMachine::on_response(http::ResponseHead& head, bool ended, std::string_view date, Time now, Random& random) {
  LATEEN_CHECK(state_ == State::kTrying && try_opened_);
  deadlines_.clear(DeadlineKind::kTry);
  touch(now);
  const std::int32_t grpc = grpc_status_of(head.headers);
  const std::uint16_t seen = grpc > 0 ? http_status_of_grpc(static_cast<std::uint32_t>(grpc)) : head.status;
  // The result of a gRPC call that is not over yet stands in its trailers.
  result_in_trailers_ = grpc < 0 && !ended && head.status == 200 && is_grpc(*head_);
  if (timeout_reported_) result_in_trailers_ = false;
  if (!result_in_trailers_ && !timeout_reported_) {
    push({.kind = Action::Kind::kReport, .result = TryResult::kStatus, .status = seen});
  }
  if (!retry_.forbidden()) {
    const RetryAnswer answer = retry_.on_response(head);
    if (answer == RetryAnswer::kYes) return enter_back_off(answer, now, random);
    note_exhaustion(answer);
    if (answer != RetryAnswer::kNo && late_count_ > 0) return wait_for_late();
  }
  accept_response(head, ended, grpc, date, now);
}

void RequestMachine::accept_response(http::ResponseHead& head, bool ended, std::int32_t grpc, std::string_view date, Time now) {
  drop_late();
  retry_.forbid();
  retry_.end();
  state_ = State::kResponding;
  response_started_ = true;
  status_ = head.status;
  details_ = "via_upstream";
  if (grpc >= 0) grpc_status_ = grpc;
  const bool connected = (head_->method == "CONNECT" || ends_tunnel()) && head.status >= 200 && head.status <= 299;
  if ((head.status == kSwitchingProtocols && head_->is_upgrade) || connected) {
    // A tunnel lives as long as it moves: only the idle timeout stays.
    upgraded_ = true;
    deadlines_.clear(DeadlineKind::kRoute);
    deadlines_.clear(DeadlineKind::kReceive);
    deadlines_.clear(DeadlineKind::kTryDuration);
  }
  finish_response_head(head, date, now);
  if (table_replaced_) hold_virtual_host_only();
  push(Action::Kind::kRespond);
  if (ended) on_response_ended();
}

void RequestMachine::on_table_replaced() {
  table_replaced_ = true;
  if (state_ == State::kResponding) hold_virtual_host_only();
}

void RequestMachine::hold_virtual_host_only() {
  virtual_host_ = decision_.virtual_host->shared_from_this();
  context_.table.reset();
}

void RequestMachine::finish_response_head(http::ResponseHead& head, std::string_view date, Time now) {
  using http::HeaderId;
  // Only a response to a whole request tells how long the service took (Envoy).
  if (request_ended_at_) {
    upstream_service_time_ = now - *request_ended_at_;
    const std::int64_t milliseconds = duration_cast<std::chrono::milliseconds>(upstream_service_time_).count();
    if (!settings().suppresses_envoy_headers) set_number(head.headers, HeaderId::kXEnvoyUpstreamServiceTime, milliseconds);
  }
  // The operation's name goes forward from a client's proxy and back from a server's.
  if (context_.outbound && settings().names_operations) {
    head.headers.remove(HeaderId::kXEnvoyDecoratorOperation);
  } else if (tells_operation()) {
    head.headers.set(HeaderId::kXEnvoyDecoratorOperation, decision_.route->operation);
  }
  for (const std::string& cookie : set_cookies_) head.headers.add(HeaderId::kSetCookie, cookie);
  const runtime::RequestView request = view();
  runtime::HeaderContext context = header_context(request);
  context.response_headers = &head.headers;
  context.response_status = head.status;
  apply_response_operations(decision_, *context_.table, context, head.headers);
  if (cors_ == CorsVerdict::kAllowed) allow_origin(*decision_.route->cors, cors_origin_, head.headers);
  if (decision_.virtual_host->include_attempt_count_in_response) {
    set_number(head.headers, HeaderId::kXEnvoyAttemptCount, tries_);
  }
  if (!head.headers.has(HeaderId::kDate)) head.headers.add(HeaderId::kDate, date);
  // A reference: the head is written before the listener's settings can go.
  head.headers.remove(HeaderId::kServer);
  head.headers.add_reference(HeaderId::kServer, settings().server_name);
}

void RequestMachine::on_response_trailers(const http::HeaderMap& trailers) {
  const std::int32_t grpc = grpc_status_of(trailers);
  if (grpc >= 0) grpc_status_ = grpc;
  if (!result_in_trailers_) return;
  const std::uint16_t seen = grpc > 0 ? http_status_of_grpc(static_cast<std::uint32_t>(grpc)) : status_;
  push({.kind = Action::Kind::kReport, .result = TryResult::kStatus, .status = seen});
}

void RequestMachine::on_response_ended() {
  if (state_ != State::kResponding) return;
  push(Action::Kind::kEndTry);
  try_opened_ = false;
  enter_done();
}

void RequestMachine::on_upstream_reset(stream::ResetReason reason, bool request_bytes_sent, std::string_view detail,
                                       Time now, Random& random) {
  LATEEN_CHECK(state_ == State::kTrying || state_ == State::kResponding);
  // A limit of ours says nothing about the host.
  if (reason != stream::ResetReason::kOverflow) {
    push({.kind = Action::Kind::kReport, .result = TryResult::kLocalConnectFailure});
  }
  transport_failure_ = detail;
  if (state_ == State::kResponding) {
    return cut_response(reset_flag(reason), reset_details("upstream_reset_after_response_started", reason, detail));
  }
  const RetryAnswer answer = retry_.forbidden() ? RetryAnswer::kNo : retry_.on_reset(reason, request_bytes_sent);
  if (answer == RetryAnswer::kYes || answer == RetryAnswer::kAtOnce) return enter_back_off(answer, now, random);
  note_exhaustion(answer);
  if (late_count_ > 0) return wait_for_late();
  enter_replied(upstream_reset(reason, retry_failed_before_, detail));
}

void RequestMachine::cut_response(std::uint32_t flag, std::string details) {
  flags_ |= flag;
  details_ = std::move(details);
  if (state_ == State::kResponding) push(Action::Kind::kEndTry);
  try_opened_ = false;
  push(Action::Kind::kCut);
  enter_done();
}

}  // namespace lateen::proxy
