// HTTPRetry -> RetryPolicy, with Istio's defaults (OBSERVED.md, d).
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>
#include <envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.pb.h>

#include <charconv>

#include "translate/names.h"
#include "translate/routes.h"
#include "translate/shapes.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;

constexpr const char* kDefaultRetryOn =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
constexpr std::uint32_t kDefaultRetries = 2;
constexpr std::int64_t kHostAttemptsMax = 5;
constexpr std::int32_t kPriorityUpdateFrequency = 2;

void avoid_previous_hosts(route_v3::RetryPolicy& out) {
  auto& predicate = *out.add_retry_host_predicate();
  predicate.set_name("envoy.retry_host_predicates.previous_hosts");
  xds::pack(envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate{},
            *predicate.mutable_typed_config());
}

void avoid_previous_priorities(route_v3::RetryPolicy& out) {
  envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig config;
  config.set_update_frequency(kPriorityUpdateFrequency);
  out.mutable_retry_priority()->set_name("envoy.retry_priorities.previous_priorities");
  xds::pack(config, *out.mutable_retry_priority()->mutable_typed_config());
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The number of an HTTP status that has a name; 0 for anything else.
std::uint32_t status_code(std::string_view text) {
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  constexpr std::uint32_t kFirst = 100, kLast = 511;
  return error == std::errc{} && end == text.data() + text.size() && code >= kFirst && code <= kLast ? code : 0;
}

// Numbers among the words of retryOn are status codes.
void set_retry_on(route_v3::RetryPolicy& out, const std::string& retry_on) {
  constexpr std::string_view kCodes = "retriable-status-codes";
  std::string words;
  for (const std::string_view part : split(retry_on, ',')) {
    const std::string_view word = trimmed(part);
    if (word.empty()) continue;
    if (const std::uint32_t code = status_code(word); code != 0) {
      out.add_retriable_status_codes(code);
      continue;
    }
    if (!words.empty()) words += ',';
    words += word;
  }
  if (out.retriable_status_codes_size() > 0 && words.find(kCodes) == std::string::npos) {
    words += ',';
    words += kCodes;
  }
  out.set_retry_on(words);
}

}  // namespace

void fill_retry(route_v3::RouteAction& action, const model::HttpRetry* policy, bool hashed) {
  if (policy != nullptr && policy->attempts <= 0) return;
  route_v3::RetryPolicy& out = *action.mutable_retry_policy();
  out.mutable_num_retries()->set_value(policy == nullptr ? kDefaultRetries : static_cast<std::uint32_t>(policy->attempts));
  out.set_retry_on(kDefaultRetryOn);
  out.set_host_selection_retry_max_attempts(kHostAttemptsMax);
  // A consistent hash means that one host alone is the right one.
  bool other_hosts = !hashed;
  if (policy != nullptr) {
    if (!policy->retry_on.empty()) set_retry_on(out, policy->retry_on);
    if (policy->per_try_timeout) set_duration(*out.mutable_per_try_timeout(), *policy->per_try_timeout);
    if (policy->retry_ignore_previous_hosts) other_hosts = *policy->retry_ignore_previous_hosts;
    if (policy->retry_remote_localities.value_or(false)) avoid_previous_priorities(out);
    if (policy->backoff) set_duration(*out.mutable_retry_back_off()->mutable_base_interval(), *policy->backoff);
  }
  if (other_hosts) avoid_previous_hosts(out);
}

}  // namespace lateen::translate
