// Retry policies: envoy.config.route.v3.RetryPolicy.

#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>
#include <envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.pb.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>

#include "runtime/compile_route.h"

namespace lateen::runtime {
namespace {

using PreviousPriorities = envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
// Envoy's: the back-off grows to ten times its base unless told otherwise.
constexpr int kBackoffMaxFactor = 10;

struct Word {
  std::string_view text;
  RetryOn bit;
};
constexpr Word kWords[] = {
    {"5xx", kRetry5xx},
    {"gateway-error", kRetryGatewayError},
    {"reset", kRetryReset},
    {"connect-failure", kRetryConnectFailure},
    {"envoy-ratelimited", kRetryEnvoyRatelimited},
    {"retriable-4xx", kRetryRetriable4xx},
    {"refused-stream", kRetryRefusedStream},
    {"retriable-status-codes", kRetryRetriableStatusCodes},
    {"retriable-headers", kRetryRetriableHeaders},
    {"reset-before-request", kRetryResetBeforeRequest},
    {"http3-post-connect-failure", kRetryHttp3PostConnectFailure},
    {"cancelled", kRetryGrpcCancelled},
    {"deadline-exceeded", kRetryGrpcDeadlineExceeded},
    {"internal", kRetryGrpcInternal},
    {"resource-exhausted", kRetryGrpcResourceExhausted},
    {"unavailable", kRetryGrpcUnavailable},
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

std::uint32_t compile_retry_on(std::string_view text, Fields& fields) {
  const Fields::At at(fields, "retry_on");
  std::uint32_t bits = 0;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view word = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (word.empty()) continue;
    const auto it = std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& known) { return known.text == word; });
    if (it != std::end(kWords)) bits |= it->bit;
    // Envoy passes over words that it does not know, so this is not a reason to carry nothing.
    else fields.note("\"" + std::string(word) + "\" is not a condition that Envoy knows; it has no effect");
  }
  return bits;
}

void compile_host_selection(const envoy::config::route::v3::RetryPolicy& proto, RetryPolicy& out, Fields& fields) {
  for (int i = 0; i < proto.retry_host_predicate_size(); ++i) {
    const Fields::At at(fields, "retry_host_predicate", i);
    const auto& predicate = proto.retry_host_predicate(i);
    fields.only(predicate, {predicate.kNameFieldNumber, predicate.kTypedConfigFieldNumber});
    if (fields.empty<envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate>(predicate.typed_config())) out.avoid_previous_hosts = true;
  }
  if (proto.has_retry_priority()) {
    const Fields::At at(fields, "retry_priority");
    fields.only(proto.retry_priority(), {proto.retry_priority().kNameFieldNumber, proto.retry_priority().kTypedConfigFieldNumber});
    PreviousPriorities priorities;
    if (fields.unpack(proto.retry_priority().typed_config(), priorities)) {
      fields.only(priorities, {priorities.kUpdateFrequencyFieldNumber});
      if (priorities.update_frequency() <= 0) fields.refuse("update_frequency must be more than 0");
      else out.previous_priorities_update = static_cast<std::uint32_t>(priorities.update_frequency());
    }
  }
  if (proto.host_selection_retry_max_attempts() > 0)
    out.host_selection_attempts_max = static_cast<std::uint32_t>(
        std::min<std::int64_t>(proto.host_selection_retry_max_attempts(), ~std::uint32_t{0}));
}

void compile_backoff(const envoy::config::route::v3::RetryPolicy& proto, RetryPolicy& out, Fields& fields) {
  if (!proto.has_retry_back_off()) return;
  const Fields::At at(fields, "retry_back_off");
  fields.only(proto.retry_back_off(), {proto.retry_back_off().kBaseIntervalFieldNumber, proto.retry_back_off().kMaxIntervalFieldNumber});
  out.backoff_base = fields.duration(proto.retry_back_off().base_interval());
  if (out.backoff_base < std::chrono::milliseconds(1)) out.backoff_base = std::chrono::milliseconds(1);
  out.backoff_max = proto.retry_back_off().has_max_interval() ? fields.duration(proto.retry_back_off().max_interval())
                                                              : out.backoff_base * kBackoffMaxFactor;
  if (out.backoff_max < out.backoff_base) fields.refuse("max_interval must not be less than base_interval");
}

}  // namespace

RetryPolicy compile_retry_policy(const envoy::config::route::v3::RetryPolicy& proto, Fields& fields) {
  fields.only(proto, {proto.kRetryOnFieldNumber, proto.kNumRetriesFieldNumber, proto.kPerTryTimeoutFieldNumber,
                      proto.kRetriableStatusCodesFieldNumber, proto.kRetryHostPredicateFieldNumber,
                      proto.kRetryPriorityFieldNumber, proto.kHostSelectionRetryMaxAttemptsFieldNumber,
                      proto.kRetryBackOffFieldNumber, proto.kRetriableHeadersFieldNumber, proto.kRetriableRequestHeadersFieldNumber});
  RetryPolicy out;
  out.retry_on = compile_retry_on(proto.retry_on(), fields);
  if (proto.has_num_retries()) out.retries_max = proto.num_retries().value();
  for (const std::uint32_t code : proto.retriable_status_codes()) {
    if (code < 100 || code > 599) fields.refuse("retriable_status_codes: " + std::to_string(code) + " is not a status");
    else out.retriable_status_codes.push_back(static_cast<std::uint16_t>(code));
  }
  if (proto.has_per_try_timeout()) {
    const Fields::At at(fields, "per_try_timeout");
    // Zero is none, as in Envoy.
    if (const Duration value = fields.duration(proto.per_try_timeout()); value > Duration::zero()) out.per_try_timeout = value;
  }
  const auto headers = [&](std::string_view name, const auto& from, CompactList<HeaderMatcher>& to) {
    for (int i = 0; i < from.size(); ++i) {
      const Fields::At at(fields, name, i);
      to.push_back(compile_header_matcher(from.Get(i), fields));
    }
  };
  headers("retriable_headers", proto.retriable_headers(), out.retriable_headers);
  headers("retriable_request_headers", proto.retriable_request_headers(), out.retriable_request_headers);
  compile_host_selection(proto, out, fields);
  compile_backoff(proto, out, fields);
  return out;
}

Boxed<RetryPolicy> shared_retry_policy(const envoy::config::route::v3::RetryPolicy& proto, Fields& fields) {
  return shared_by_bytes(fields.parts().retry_policies, proto.SerializeAsString(), fields, [&] { return compile_retry_policy(proto, fields); });
}

Hedge compile_hedge_policy(const envoy::config::route::v3::HedgePolicy& proto, Fields& fields) {
  fields.only(proto, {proto.kInitialRequestsFieldNumber, proto.kAdditionalRequestChanceFieldNumber, proto.kHedgeOnPerTryTimeoutFieldNumber});
  // Envoy does not carry out these two either.
  if (proto.has_initial_requests() && proto.initial_requests().value() != 1) fields.unsupported("initial_requests: only 1 is supported");
  if (fields.per_million(proto.additional_request_chance()) != 0) fields.unsupported("additional_request_chance: only 0 is supported");
  return Hedge{proto.hedge_on_per_try_timeout()};
}

}  // namespace lateen::runtime
