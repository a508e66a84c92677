// Faults: what they do beside a timeout and beside retries, and those that never happen.
#include "analyze/findings.h"
#include "text/duration.h"

namespace lateen::analyze {

namespace {

using text::format_duration;

// Per cent of a fault: the newer field, else the deprecated one, else none.
double percent_of(const model::FaultDelay& delay) { return delay.percentage.value_or(delay.percent); }

void check_delay_and_timeout(Findings& findings, const model::Object& object, const std::string& path, const model::FaultDelay& delay, Duration timeout) {
  if (!delay.fixed_delay || percent_of(delay) <= 0) return;
  const std::string wait = format_duration(*delay.fixed_delay), limit = format_duration(timeout);
  const std::string share = number_text(percent_of(delay)) + " % of the requests";
  const std::string field = path + ".fault.delay";
  if (findings.as_istio()) {
    findings.add(Finding::kDelayAndTimeout, object, field,
                 {"the timeout " + limit + " starts only after the injected delay " + wait + ": " + share + " take " + wait + " longer, and the delay never causes a 504",
                  "leave out --compat istio to let the delay count; real Envoys need the delay in the service that is called"});
    return;
  }
  if (*delay.fixed_delay >= timeout) {
    findings.add(Finding::kDelayAndTimeout, object, field,
                 {"the injected delay " + wait + " counts against the timeout " + limit + ": " + share + " are answered 504 at " + limit + " and never reach the service",
                  "this is what the tutorial expects; real Envoys answer 200 after " + wait + " (--compat istio does the same)"});
    return;
  }
  findings.add(Finding::kDelayAndTimeout, Severity::kInfo, object, field,
               {"the injected delay " + wait + " counts against the timeout " + limit + ": the service has " + format_duration(timeout - *delay.fixed_delay) + " left for " + share,
                "real Envoys start the timeout after the delay (--compat istio does the same)"});
}

void check(Findings& findings, const model::Object& object, const std::string& path, const model::HttpRoute& route) {
  const auto& fault = *route.fault;
  if (fault.delay) {
    if (!fault.delay->percentage && fault.delay->percent == 0) findings.add(Finding::kNoPercentage, object, path + ".fault.delay", {"delay"});
    if (route.timeout) check_delay_and_timeout(findings, object, path, *fault.delay, *route.timeout);
  }
  if (!fault.abort) return;
  if (!fault.abort->percentage) findings.add(Finding::kNoPercentage, object, path + ".fault.abort", {"abort"});
  else if (*fault.abort->percentage > 0 && route.retries && route.retries->attempts > 0)
    findings.add(Finding::kAbortRetried, object, path + ".fault.abort", {number_text(*fault.abort->percentage)});
}

}  // namespace

void find_faults(Findings& findings) {
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService))
    for (std::size_t i = 0; i < service->http.size(); ++i)
      if (service->http[i].fault) check(findings, *object, item("spec.http", i), service->http[i]);
}

}  // namespace lateen::analyze
