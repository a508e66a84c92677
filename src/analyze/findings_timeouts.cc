// A route's timeout against the time that its tries may take.
#include "analyze/findings.h"
#include "text/duration.h"

namespace lateen::analyze {

namespace {

using text::format_duration;

void check(Findings& findings, const model::Object& object, const std::string& path, const model::HttpRoute& route) {
  if (!route.timeout || !route.retries || !route.retries->per_try_timeout) return;
  const Duration timeout = *route.timeout, per_try = *route.retries->per_try_timeout;
  const std::int32_t attempts = route.retries->attempts;
  if (per_try > timeout) {
    findings.add(Finding::kTryLongerThanTimeout, object, path + ".retries.perTryTimeout", {format_duration(per_try), format_duration(timeout)});
    return;
  }
  // Huge numbers of attempts are no slip in the sum: compare without multiplying them out.
  const std::int64_t whole_tries = timeout / per_try;
  if (whole_tries > attempts) return;
  const Duration rest = timeout - per_try * whole_tries;
  constexpr std::int64_t kShownAttempts = 1'000'000;
  const std::string sum = attempts > kShownAttempts ? "far more" : format_duration(per_try * (std::int64_t{attempts} + 1));
  std::string cut = "try " + std::to_string(whole_tries + 1) + " of " + std::to_string(std::int64_t{attempts} + 1) + " has ";
  cut += rest > Duration::zero() ? "at most " + format_duration(rest) + " left" : "no time left";
  findings.add(Finding::kTimeoutShort, object, path + ".timeout",
               {format_duration(timeout), std::to_string(attempts), format_duration(per_try), sum, cut, std::to_string(whole_tries - 1)});
}

}  // namespace

void find_timeouts(Findings& findings) {
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService))
    for (std::size_t i = 0; i < service->http.size(); ++i) check(findings, *object, item("spec.http", i), service->http[i]);
}

}  // namespace lateen::analyze
