// Timeouts of tries, and late tries: the fourth part of RequestMachine.
#include "base/result.h"
#include "proxy/request_machine.h"
#include "proxy/request_record.h"

namespace lateen::proxy {

void RequestMachine::on_route_timeout() {
  if (state_ == State::kTrying && try_opened_ && !timeout_reported_) {
    push({.kind = Action::Kind::kReport, .result = TryResult::kLocalTimeout});
  }
  if (response_started()) return cut_response(kUpstreamRequestTimeout, "response_timeout");
  enter_replied(upstream_timeout("response_timeout"));
}

void RequestMachine::on_try_timeout(Time now, Random& random) {
  LATEEN_CHECK(state_ == State::kTrying && try_opened_);
  push({.kind = Action::Kind::kReport, .result = TryResult::kLocalTimeout});
  timeout_reported_ = true;
  if (hedges() && !retry_.forbidden()) {
    const RetryAnswer answer = retry_.on_late_try();
    note_exhaustion(answer);
    if (answer != RetryAnswer::kYes) return;   // it has until the route's timeout
    ++late_count_;
    push({.kind = Action::Kind::kHedge, .late = ++late_last_});
    try_opened_ = false;
    deadlines_.clear(DeadlineKind::kTryDuration);
    state_ = State::kBackingOff;
    deadlines_.set(DeadlineKind::kBackOff, now + retry_.next_back_off(random));
    return;
  }
  const RetryAnswer answer = retry_.forbidden() ? RetryAnswer::kNo : retry_.on_try_timeout();
  if (answer == RetryAnswer::kYes) return enter_back_off(answer, now, random);
  note_exhaustion(answer);
  enter_replied(upstream_timeout("upstream_per_try_timeout"));
}

// The cluster's own bound on a try; once the response has begun the client sees it cut.
void RequestMachine::on_try_duration(Time now, Random& random) {
  if (state_ == State::kResponding) {
    return cut_response(kUpstreamMaxStreamDurationReached, "upstream_max_stream_duration_reached");
  }
  if (state_ != State::kTrying) return;
  const RetryAnswer answer = retry_.forbidden() ? RetryAnswer::kNo : retry_.on_try_timeout();
  if (answer == RetryAnswer::kYes) return enter_back_off(answer, now, random);
  note_exhaustion(answer);
  if (late_count_ > 0) return wait_for_late();
  enter_replied(try_duration_over(request_ended_));
}

void RequestMachine::wait_for_late() {
  push(Action::Kind::kEndTry);
  try_opened_ = false;
  deadlines_.clear(DeadlineKind::kTry);
  deadlines_.clear(DeadlineKind::kTryDuration);
  retry_failed_before_ = true;
  state_ = State::kWaiting;
}

void RequestMachine::drop_late() {
  if (late_count_ == 0) return;
  push(Action::Kind::kEndLate);
  late_count_ = 0;
}

// A bad answer is passed over while others may still give a good one.
void RequestMachine::on_late_response(std::uint32_t late, http::ResponseHead& head, bool ended, std::string_view date,
                                      Time now, Random&) {
  LATEEN_CHECK(late_count_ > 0);
  touch(now);
  const bool others = late_count_ > 1 || state_ == State::kTrying || state_ == State::kBackingOff;
  if (others && retry_.would_retry(head)) {
    --late_count_;
    push({.kind = Action::Kind::kEndLate, .late = late});
    return;
  }
  push({.kind = Action::Kind::kPromote, .late = late});
  late_count_ = 0;
  state_ = State::kTrying;
  try_opened_ = true;
  result_in_trailers_ = false;   // outlier detection has been told that it was late
  deadlines_.clear(DeadlineKind::kTry);
  deadlines_.clear(DeadlineKind::kTryDuration);
  deadlines_.clear(DeadlineKind::kBackOff);
  accept_response(head, ended, grpc_status_of(head.headers), date, now);
}

void RequestMachine::on_late_reset(std::uint32_t late, stream::ResetReason reason, std::string_view detail) {
  LATEEN_CHECK(late_count_ > 0);
  --late_count_;
  push({.kind = Action::Kind::kEndLate, .late = late});
  if (state_ != State::kWaiting || late_count_ > 0) return;
  transport_failure_ = detail;
  enter_replied(upstream_reset(reason, true, detail));
}

}  // namespace lateen::proxy
