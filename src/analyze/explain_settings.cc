#include "analyze/explain_settings.h"

#include <algorithm>

#include "text/duration.h"

namespace lateen::analyze {
namespace {

using Setting = Explanation::Setting;

std::string retry_conditions(const runtime::RetryPolicy& retry) {
  struct Word {
    std::uint32_t bit;
    const char* text;
  };
  constexpr Word kWords[] = {
      {runtime::kRetry5xx, "5xx"},
      {runtime::kRetryGatewayError, "gateway-error"},
      {runtime::kRetryReset, "reset"},
      {runtime::kRetryResetBeforeRequest, "reset-before-request"},
      {runtime::kRetryConnectFailure, "connect-failure"},
      {runtime::kRetryRefusedStream, "refused-stream"},
      {runtime::kRetryRetriable4xx, "retriable-4xx"},
      {runtime::kRetryEnvoyRatelimited, "envoy-ratelimited"},
      {runtime::kRetryRetriableHeaders, "retriable-headers"},
      {runtime::kRetryHttp3PostConnectFailure, "http3-post-connect-failure"},
      {runtime::kRetryGrpcCancelled, "cancelled"},
      {runtime::kRetryGrpcDeadlineExceeded, "deadline-exceeded"},
      {runtime::kRetryGrpcInternal, "internal"},
      {runtime::kRetryGrpcResourceExhausted, "resource-exhausted"},
      {runtime::kRetryGrpcUnavailable, "unavailable"},
  };
  std::string out;
  const auto add = [&](const std::string& word) { out += (out.empty() ? "" : ", ") + word; };
  for (const Word& word : kWords)
    if ((retry.retry_on & word.bit) != 0) add(word.text);
  if ((retry.retry_on & runtime::kRetryRetriableStatusCodes) != 0)
    for (const std::uint16_t code : retry.retriable_status_codes) add(std::to_string(code));
  return out.empty() ? "nothing" : out;
}

// All back-offs at their longest: before retry n at most base * (2^n - 1), and never more than the maximum.
Duration longest_backoff(const runtime::RetryPolicy& retry) {
  constexpr std::uint32_t kDoublings = 20;  // long past any maximum
  Duration sum{};
  for (std::uint32_t n = 1; n <= retry.retries_max; ++n) {
    const Duration longest = n > kDoublings ? retry.backoff_max
                                            : std::min(retry.backoff_base * ((std::int64_t{1} << n) - 1), retry.backoff_max);
    sum += longest;
  }
  return std::chrono::round<std::chrono::milliseconds>(sum);
}

Setting timeout_setting(const runtime::Route& route, const runtime::Forward& forward, Origin origin) {
  Setting out{"timeout", forward.policy->timeout == Duration::zero() ? "none" : text::format_duration(forward.policy->timeout), std::move(origin), ""};
  if (out.origin.object.empty()) out.note = "Istio's default";
  if (forward.policy->timeout == Duration::zero() || !route.fault || !route.fault->delay || route.fault->delay_per_million == 0) return out;
  if (!route.delay_counts_against_timeout) {
    out.note = "begins after the injected delay, as in Istio";
  } else if (*route.fault->delay >= forward.policy->timeout) {
    out.note = "the injected delay counts: a delayed request gets 504 after " + text::format_duration(forward.policy->timeout);
  } else {
    out.note = "the injected delay counts";
  }
  return out;
}

Setting tries_setting(const runtime::Forward& forward, Origin origin) {
  Setting out{"tries", "1, no retries", std::move(origin), ""};
  if (out.origin.object.empty()) out.note = "Istio's default";
  if (!forward.policy->retry || forward.policy->retry->retries_max == 0 || forward.policy->retry->retry_on == 0) return out;
  const runtime::RetryPolicy& retry = *forward.policy->retry;
  const std::uint32_t tries = retry.retries_max + 1;
  out.value = std::to_string(tries) + " (1 + " + std::to_string(retry.retries_max) + (retry.retries_max == 1 ? " retry)" : " retries)");
  if (retry.per_try_timeout) out.value += ", " + text::format_duration(*retry.per_try_timeout) + " each";
  out.value += ", on " + retry_conditions(retry);
  if (!retry.per_try_timeout) return out;
  const Duration sum = *retry.per_try_timeout * tries;
  out.note = "at worst " + std::to_string(tries) + " x " + text::format_duration(*retry.per_try_timeout) + " = " +
             text::format_duration(sum) + ", and " + text::format_duration(longest_backoff(retry)) + " between them";
  if (forward.policy->timeout != Duration::zero() && sum + longest_backoff(retry) > forward.policy->timeout)
    out.note += "; cut off by the timeout at " + text::format_duration(forward.policy->timeout);
  return out;
}

void add_faults(const runtime::Fault& fault, const Origin& origin, std::vector<Setting>& out) {
  if (fault.delay)
    out.push_back({"delay", text::format_duration(*fault.delay) + " for " + runtime::percent_text(fault.delay_per_million) + " of requests", origin,
                   fault.delay_per_million == 0 ? "without a percentage no request is delayed" : ""});
  if (!fault.abort_status && !fault.abort_grpc_status) return;
  const std::string status = fault.abort_status ? std::to_string(*fault.abort_status) : "grpc-status " + std::to_string(*fault.abort_grpc_status);
  out.push_back({"abort", status + " for " + runtime::percent_text(fault.abort_per_million) + " of requests", origin,
                 fault.abort_per_million == 0 ? "without a percentage no request is aborted" : "never retried"});
}

Setting limits_setting(const runtime::Cluster& cluster, Origin origin) {
  std::string value;
  const auto add = [&](std::optional<std::uint32_t> limit, const char* one, const char* many) {
    if (!limit) return;
    value += (value.empty() ? "" : ", ") + std::to_string(*limit) + ' ' + (*limit == 1 ? one : many);
  };
  add(cluster.limits.connections_max, "connection", "connections");
  add(cluster.limits.pending_requests_max, "waiting request", "waiting requests");
  add(cluster.limits.requests_max, "request at a time", "requests at a time");
  add(cluster.limits.retries_max, "retry at a time", "retries at a time");
  if (cluster.requests_per_connection_max != 0) value += (value.empty() ? "" : ", ") + std::to_string(cluster.requests_per_connection_max) + " requests on a connection";
  const bool is_default = origin.object.empty();
  const bool none = value.empty();
  return {"limits", none ? "none" : value, std::move(origin), is_default ? "Istio's default" : none ? "" : "beyond them: 503 with x-envoy-overloaded"};
}

Setting ejection_setting(const runtime::Cluster& cluster, std::size_t hosts, Origin origin) {
  if (!cluster.outlier) return {"ejection", "none", std::move(origin), "Istio's default"};
  const runtime::OutlierDetection& outlier = *cluster.outlier;
  std::string causes;
  const auto add = [&](std::uint32_t count, std::uint32_t enforced, const char* what) {
    if (enforced != 0 && count != 0) causes += (causes.empty() ? "after " : " or ") + std::to_string(count) + what;
  };
  add(outlier.consecutive_5xx, outlier.enforcing_consecutive_5xx, outlier.error_codes.empty() ? " errors (5xx) in a row" : " errors in a row");
  add(outlier.consecutive_gateway_failure, outlier.enforcing_consecutive_gateway_failure, " gateway errors (502, 503, 504) in a row");
  if (outlier.split_external_local_origin_errors)
    add(outlier.consecutive_local_origin_failure, outlier.enforcing_consecutive_local_origin_failure, " connection errors in a row");
  Setting out{"ejection", causes.empty() ? "never: no cause is set" : causes, std::move(origin), ""};
  if (causes.empty()) return out;
  out.value += ", for " + text::format_duration(outlier.base_ejection_time) + " x times ejected";
  const std::size_t most = ejectable(outlier, hosts);
  const std::string share = std::to_string(outlier.max_ejection_percent) + " %";
  if (hosts != 0 && most == 0)
    out.note = "can never happen: " + share + " of " + std::to_string(hosts) + (hosts == 1 ? " endpoint" : " endpoints") + " is less than one";
  else
    out.note = "at most " + std::to_string(most) + " of " + std::to_string(hosts) + (hosts == 1 ? " endpoint (" : " endpoints (") + share +
               (outlier.always_eject_one_host && hosts * outlier.max_ejection_percent < 100 ? ", but always one" : "") + "); looked at every " + text::format_duration(outlier.interval);
  return out;
}

const char* balancer_name(const runtime::Cluster& cluster) {
  using Balancer = runtime::Cluster::Balancer;
  if (cluster.discovery == runtime::Cluster::Discovery::kDynamicForwardProxy) return "the address that DNS gives for the name of the request";
  switch (cluster.balancer) {
    case Balancer::kRoundRobin: return "ROUND_ROBIN";
    case Balancer::kLeastRequest: return "LEAST_REQUEST";
    case Balancer::kRandom: return "RANDOM";
    case Balancer::kRingHash: return "RING_HASH";
    case Balancer::kMaglev: return "MAGLEV";
    case Balancer::kPeakEwma: return "PEAK_EWMA";
    case Balancer::kClusterProvided: return "the address that was dialled";
  }
  return "";
}

}  // namespace

Origin origin_of(const translate::Provenance& provenance, std::string_view resource, std::string_view field) {
  const auto it = provenance.find({std::string(resource), std::string(field)});
  return it == provenance.end() ? Origin{} : it->second;
}

void add_rewrite(const runtime::Rewrite& rewrite, const runtime::Route& route, const Origin& origin, std::vector<Setting>& out) {
  if (rewrite.regex != nullptr)
    out.push_back({"path", "\"" + rewrite.regex->pattern() + "\" becomes \"" + rewrite.regex_substitution + "\"", origin, ""});
  if (!rewrite.prefix.empty()) out.push_back({"path", "\"" + route.match.path + "\" becomes \"" + rewrite.prefix + "\"", origin, ""});
  if (!rewrite.host.empty()) out.push_back({"host", "becomes " + rewrite.host, origin, ""});
}

std::size_t ejectable(const runtime::OutlierDetection& outlier, std::size_t hosts) {
  const std::size_t by_share = hosts * outlier.max_ejection_percent / 100;
  return outlier.always_eject_one_host && hosts > 0 ? std::max<std::size_t>(by_share, 1) : by_share;
}

std::vector<Setting> route_settings(const runtime::Route& route, const translate::Provenance& provenance, std::string_view resource) {
  std::vector<Setting> out;
  const auto* forward = std::get_if<runtime::Forward>(&route.action);
  if (forward != nullptr) {
    out.push_back(timeout_setting(route, *forward, origin_of(provenance, resource, "timeout")));
    out.push_back(tries_setting(*forward, origin_of(provenance, resource, "retries")));
  }
  if (route.fault) add_faults(*route.fault, origin_of(provenance, resource, "fault"), out);
  if (forward == nullptr) {
    add_route_features(route, provenance, resource, out);
    return out;
  }
  if (forward->policy->rewrite) add_rewrite(*forward->policy->rewrite, route, origin_of(provenance, resource, "rewrite"), out);
  if (!route.request_headers.empty() || !route.response_headers.empty())
    out.push_back({"headers", std::to_string(route.request_headers.size()) + " changes to the request, " +
                                  std::to_string(route.response_headers.size()) + " to the response",
                   origin_of(provenance, resource, "headers"), ""});
  add_route_features(route, provenance, resource, out);
  return out;
}

std::vector<Setting> cluster_settings(const runtime::Cluster& cluster, std::size_t hosts, const model::MeshConfig& config,
                                      const translate::Provenance& provenance) {
  const std::string resource = "cluster/" + cluster.name;
  std::vector<Setting> out;
  const Origin balancer = origin_of(provenance, resource, "load_balancer");
  out.push_back({"balancing", balancer_name(cluster), balancer, balancer.object.empty() ? "Istio's default" : balancing_note(cluster)});
  const Origin pool = origin_of(provenance, resource, "connection_pool");
  out.push_back(limits_setting(cluster, pool));
  // The block of the DestinationRule is known, not its field: what the mesh says anyway did not come from there.
  const bool is_default = pool.object.empty() || cluster.connect_timeout == config.connect_timeout;
  out.push_back({"connecting", "at most " + text::format_duration(cluster.connect_timeout), is_default ? Origin{} : pool,
                 is_default ? "Istio's default" : ""});
  out.push_back(ejection_setting(cluster, hosts, origin_of(provenance, resource, "outlier_detection")));
  add_cluster_features(cluster, provenance, out);
  return out;
}

}  // namespace lateen::analyze
