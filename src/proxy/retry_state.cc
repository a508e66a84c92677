#include "proxy/retry_state.h"

#include <algorithm>
#include <charconv>

namespace lateen::proxy {
namespace {

using stream::ResetReason;

bool is_connect_failure(ResetReason reason) {
  return reason == ResetReason::kConnectFailure || reason == ResetReason::kConnectTimeout;
}

std::optional<std::uint32_t> grpc_status(const http::ResponseHead& head) {
  const std::optional<std::string_view> text = head.headers.get(http::HeaderId::kGrpcStatus);
  std::uint32_t status = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), status);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return status;
}

}  // namespace

void RetryState::begin(const runtime::RetryPolicy* policy) {
  end();
  policy_ = policy;
  limit_ = nullptr;
  retries_ = 0;
  retries_left_ = policy == nullptr ? 0 : policy->retries_max;
  back_off_ = policy == nullptr ? Duration{} : policy->backoff_base;
  retried_at_once_ = false;
  forbidden_ = false;
  overflowed_ = false;
}

void RetryState::begin(const runtime::RetryPolicy* policy, const runtime::RequestView& request) {
  const auto fits = [&request](const runtime::HeaderMatcher& matcher) { return matcher.matches(request); };
  const bool meant = policy == nullptr || policy->retriable_request_headers.empty() ||
                     std::ranges::any_of(policy->retriable_request_headers, fits);
  begin(meant ? policy : nullptr);
}

void RetryState::end() {
  permit_ = Permit();
  active_ = false;
}

RetryAnswer RetryState::on_response(const http::ResponseHead& head) {
  return answer(policy_ != nullptr && wants_retry(head));
}

RetryAnswer RetryState::on_reset(ResetReason reason, bool request_bytes_sent) {
  const bool wanted = policy_ != nullptr && wants_retry(reason, request_bytes_sent);
  if (wanted || reason != ResetReason::kRefused || retried_at_once_ || forbidden_) return answer(wanted);
  retried_at_once_ = true;
  end();
  return take_permit(RetryAnswer::kAtOnce);
}

// A per-try timeout is a reset by us: only the words that take any reset ask for a retry.
RetryAnswer RetryState::on_try_timeout() { return on_reset(ResetReason::kLocal, true); }

RetryAnswer RetryState::answer(bool wanted) {
  end();
  if (!wanted || forbidden_) return RetryAnswer::kNo;
  if (retries_left_ == 0) return RetryAnswer::kExhausted;
  --retries_left_;
  return take_permit(RetryAnswer::kYes);
}

RetryAnswer RetryState::take_permit(RetryAnswer granted) {
  if (limit_ != nullptr) {
    std::optional<Permit> permit = limit_->acquire();
    overflowed_ = !permit;
    if (!permit) return RetryAnswer::kOverflow;
    permit_ = std::move(*permit);
  }
  active_ = true;
  ++retries_;
  return granted;
}

bool RetryState::wants_retry(const http::ResponseHead& head) const {
  const std::uint32_t on = policy_->retry_on;
  if (head.headers.count("x-envoy-ratelimited") != 0) return (on & runtime::kRetryEnvoyRatelimited) != 0;
  const std::uint16_t status = head.status;
  if ((on & runtime::kRetry5xx) != 0 && status >= 500 && status <= 599) return true;
  if ((on & runtime::kRetryGatewayError) != 0 && status >= 502 && status <= 504) return true;
  if ((on & runtime::kRetryRetriable4xx) != 0 && status == 409) return true;
  if ((on & runtime::kRetryRetriableStatusCodes) != 0) {
    const auto& codes = policy_->retriable_status_codes;
    if (std::find(codes.begin(), codes.end(), status) != codes.end()) return true;
  }
  if ((on & runtime::kRetryRetriableHeaders) != 0) {
    const runtime::RequestView response{.method = {}, .scheme = {}, .authority = {}, .path = {}, .headers = &head.headers};
    const auto asks = [&response](const runtime::HeaderMatcher& matcher) { return matcher.matches(response); };
    if (std::ranges::any_of(policy_->retriable_headers, asks)) return true;
  }
  return wants_grpc_retry(head);
}

// grpc-status stands in the head only of a trailers-only response; a later one can not be retried any more.
bool RetryState::wants_grpc_retry(const http::ResponseHead& head) const {
  constexpr std::uint32_t kWords = runtime::kRetryGrpcCancelled | runtime::kRetryGrpcDeadlineExceeded |
                                   runtime::kRetryGrpcInternal | runtime::kRetryGrpcResourceExhausted |
                                   runtime::kRetryGrpcUnavailable;
  if ((policy_->retry_on & kWords) == 0) return false;
  const std::optional<std::uint32_t> status = grpc_status(head);
  if (!status) return false;
  switch (*status) {
    case 1: return (policy_->retry_on & runtime::kRetryGrpcCancelled) != 0;
    case 4: return (policy_->retry_on & runtime::kRetryGrpcDeadlineExceeded) != 0;
    case 8: return (policy_->retry_on & runtime::kRetryGrpcResourceExhausted) != 0;
    case 13: return (policy_->retry_on & runtime::kRetryGrpcInternal) != 0;
    case 14: return (policy_->retry_on & runtime::kRetryGrpcUnavailable) != 0;
    default: return false;
  }
}

bool RetryState::wants_retry(ResetReason reason, bool request_bytes_sent) const {
  const std::uint32_t on = policy_->retry_on;
  if (reason == ResetReason::kOverflow) return false;   // more load is no help
  if (is_connect_failure(reason) && (on & runtime::kRetryConnectFailure) != 0) return true;
  if ((on & runtime::kRetryResetBeforeRequest) != 0 && !request_bytes_sent) return true;
  // A reset is what a 5xx would have been.
  if ((on & (runtime::kRetryReset | runtime::kRetry5xx | runtime::kRetryGatewayError)) != 0) return true;
  return (on & runtime::kRetryRefusedStream) != 0 && reason == ResetReason::kRefused;
}

Duration RetryState::next_back_off(Random& random) {
  if (policy_ == nullptr) return Duration{};
  const std::uint64_t ceiling = static_cast<std::uint64_t>(std::max<Duration::rep>(1, back_off_.count()));
  back_off_ = std::min(back_off_ * 2, policy_->backoff_max);
  return Duration(static_cast<Duration::rep>(random.below(ceiling)));
}

}  // namespace lateen::proxy
