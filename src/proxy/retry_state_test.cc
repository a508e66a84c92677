#include "proxy/retry_state.h"

#include <gtest/gtest.h>

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;
using stream::ResetReason;

runtime::RetryPolicy policy_of(std::uint32_t retry_on, std::uint32_t retries_max = 3) {
  runtime::RetryPolicy policy;
  policy.retry_on = retry_on;
  policy.retries_max = retries_max;
  return policy;
}

http::ResponseHead response(std::uint16_t status, std::string_view name = "", std::string_view value = "") {
  http::ResponseHead head;
  head.status = status;
  if (!name.empty()) head.headers.add(name, value);
  return head;
}

// Every word: what it takes and what it leaves, by Envoy's documentation of x-envoy-retry-on and its retry state.
TEST(RetryState, EveryWordForResponses) {
  struct Case {
    const char* name;
    std::uint32_t word;
    std::vector<std::uint16_t> retried, left;
  };
  const Case cases[] = {
      {"5xx", runtime::kRetry5xx, {500, 501, 503, 599}, {200, 404, 409, 499}},
      {"gateway-error", runtime::kRetryGatewayError, {502, 503, 504}, {500, 501, 505}},
      {"retriable-4xx", runtime::kRetryRetriable4xx, {409}, {400, 404, 429, 503}},
      {"reset", runtime::kRetryReset, {}, {500, 503}},
      {"connect-failure", runtime::kRetryConnectFailure, {}, {503}},
      {"refused-stream", runtime::kRetryRefusedStream, {}, {503}},
  };
  for (const Case& c : cases) {
    for (const std::uint16_t status : c.retried) {
      RetryState state;
      const auto policy = policy_of(c.word);
      state.begin(&policy);
      EXPECT_EQ(state.on_response(response(status)), RetryAnswer::kYes) << c.name << " " << status;
    }
    for (const std::uint16_t status : c.left) {
      RetryState state;
      const auto policy = policy_of(c.word);
      state.begin(&policy);
      EXPECT_EQ(state.on_response(response(status)), RetryAnswer::kNo) << c.name << " " << status;
    }
  }
}

TEST(RetryState, StatusCodesAreThoseOfTheList) {
  auto policy = policy_of(runtime::kRetryRetriableStatusCodes);
  policy.retriable_status_codes = {418, 503};
  RetryState state;
  state.begin(&policy);
  EXPECT_EQ(state.on_response(response(418)), RetryAnswer::kYes);
  EXPECT_EQ(state.on_response(response(500)), RetryAnswer::kNo);
}

TEST(RetryState, GrpcWordsLookAtTheStatusInTheHead) {
  struct Case {
    std::uint32_t word;
    const char* status;
  };
  const Case cases[] = {{runtime::kRetryGrpcCancelled, "1"},
                        {runtime::kRetryGrpcDeadlineExceeded, "4"},
                        {runtime::kRetryGrpcResourceExhausted, "8"},
                        {runtime::kRetryGrpcInternal, "13"},
                        {runtime::kRetryGrpcUnavailable, "14"}};
  for (const Case& asked : cases) {
    for (const Case& seen : cases) {
      RetryState state;
      const auto policy = policy_of(asked.word);
      state.begin(&policy);
      const RetryAnswer expected = asked.word == seen.word ? RetryAnswer::kYes : RetryAnswer::kNo;
      EXPECT_EQ(state.on_response(response(200, "grpc-status", seen.status)), expected) << asked.status << " " << seen.status;
    }
  }
}

TEST(RetryState, EveryWordForResets) {
  struct Case {
    const char* name;
    std::uint32_t word;
    ResetReason reason;
    bool bytes_sent;
    RetryAnswer answer;
  };
  const Case cases[] = {
      {"connect-failure", runtime::kRetryConnectFailure, ResetReason::kConnectFailure, false, RetryAnswer::kYes},
      {"connect-failure, timeout", runtime::kRetryConnectFailure, ResetReason::kConnectTimeout, false, RetryAnswer::kYes},
      {"connect-failure, later", runtime::kRetryConnectFailure, ResetReason::kConnectionTermination, true, RetryAnswer::kNo},
      {"reset", runtime::kRetryReset, ResetReason::kConnectionTermination, true, RetryAnswer::kYes},
      {"5xx", runtime::kRetry5xx, ResetReason::kConnectionTermination, true, RetryAnswer::kYes},
      {"gateway-error", runtime::kRetryGatewayError, ResetReason::kProtocolError, true, RetryAnswer::kYes},
      {"before request", runtime::kRetryResetBeforeRequest, ResetReason::kConnectionTermination, false, RetryAnswer::kYes},
      {"before request, sent", runtime::kRetryResetBeforeRequest, ResetReason::kConnectionTermination, true, RetryAnswer::kNo},
      {"refused-stream", runtime::kRetryRefusedStream, ResetReason::kRefused, true, RetryAnswer::kYes},
      {"overflow", runtime::kRetry5xx | runtime::kRetryReset, ResetReason::kOverflow, false, RetryAnswer::kNo},
      {"codes only", runtime::kRetryRetriableStatusCodes, ResetReason::kConnectionTermination, true, RetryAnswer::kNo},
  };
  for (const Case& c : cases) {
    RetryState state;
    const auto policy = policy_of(c.word);
    state.begin(&policy);
    EXPECT_EQ(state.on_reset(c.reason, c.bytes_sent), c.answer) << c.name;
  }
}

// With the default words a per-try timeout ends the request; "5xx" tries again (observed).
TEST(RetryState, TryTimeoutIsAReset) {
  RetryState state;
  auto policy = policy_of(runtime::kRetryConnectFailure | runtime::kRetryRefusedStream | runtime::kRetryGrpcUnavailable);
  state.begin(&policy);
  EXPECT_EQ(state.on_try_timeout(), RetryAnswer::kNo);
  policy = policy_of(runtime::kRetry5xx);
  state.begin(&policy);
  EXPECT_EQ(state.on_try_timeout(), RetryAnswer::kYes);
}

TEST(RetryState, ProvablyUnprocessedIsTriedAgainOnceWithoutAPolicy) {
  RetryState state;
  state.begin(nullptr);
  EXPECT_EQ(state.on_reset(ResetReason::kRefused, false), RetryAnswer::kAtOnce);
  EXPECT_EQ(state.on_reset(ResetReason::kRefused, false), RetryAnswer::kNo);
  state.begin(nullptr);
  state.forbid();
  EXPECT_EQ(state.on_reset(ResetReason::kRefused, false), RetryAnswer::kNo);
}

TEST(RetryState, TriesRunOut) {
  const auto policy = policy_of(runtime::kRetry5xx, 2);
  RetryState state;
  state.begin(&policy);
  EXPECT_EQ(state.on_response(response(503)), RetryAnswer::kYes);
  EXPECT_EQ(state.on_reset(ResetReason::kConnectionTermination, true), RetryAnswer::kYes);
  EXPECT_EQ(state.on_response(response(503)), RetryAnswer::kExhausted);
  EXPECT_EQ(state.on_response(response(200)), RetryAnswer::kNo);
}

TEST(RetryState, ConcurrentRetriesAreLimited) {
  const auto policy = policy_of(runtime::kRetry5xx);
  Limit limit;
  limit.set_max(1);
  RetryState first, second;
  first.begin(&policy);
  first.set_limit(&limit);
  second.begin(&policy);
  second.set_limit(&limit);
  EXPECT_EQ(first.on_response(response(500)), RetryAnswer::kYes);
  EXPECT_EQ(second.on_response(response(500)), RetryAnswer::kOverflow);
  EXPECT_EQ(limit.taken(), 1U);
  first.end();
  EXPECT_EQ(limit.taken(), 0U);
  EXPECT_EQ(second.on_response(response(500)), RetryAnswer::kYes);
}

// Observed of Envoy with base 25 ms: 27, 28, 26, 109, 56, 9, 124, 244 ms, request time included.
TEST(RetryState, BackOffDoublesUpToTheMaximumAndIsJittered) {
  const auto policy = policy_of(runtime::kRetry5xx, 100);
  const Duration ceilings[] = {25ms, 50ms, 100ms, 200ms, 250ms, 250ms};
  Duration longest[6] = {}, sum[6] = {};
  constexpr int kRuns = 2000;
  for (int run = 0; run < kRuns; ++run) {
    Random random(static_cast<std::uint64_t>(run));
    RetryState state;
    state.begin(&policy);
    for (int i = 0; i < 6; ++i) {
      const Duration wait = state.next_back_off(random);
      EXPECT_GE(wait, 0ms);
      EXPECT_LT(wait, ceilings[i]);
      longest[i] = std::max(longest[i], wait);
      sum[i] += wait;
    }
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_GT(longest[i], ceilings[i] * 9 / 10);
    EXPECT_NEAR(static_cast<double>((sum[i] / kRuns).count()), static_cast<double>(ceilings[i].count()) / 2,
                static_cast<double>(ceilings[i].count()) * 0.03);
  }
}

}  // namespace
}  // namespace lateen::proxy
