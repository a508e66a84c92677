// How the requests of a cluster are shared out among its priorities, by Envoy's rules
// (envoyproxy.io, "Priority levels", "Degraded endpoints" and "Panic threshold"). Pure.
//
//   availability of a priority = min(100, overprovisioning x usable / all); healthy and degraded hosts apart
//   load: healthy hosts of 0, 1, 2 ... take their availability each, then degraded ones, until 100 is given out
//   panic: where all priorities together are not fully available, one below the threshold uses all of its hosts
//   total panic: where every priority is in panic, load goes by the number of hosts
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lateen::proxy {

// Priorities beyond this one are counted as it (envoy.config.endpoint.v3.LocalityLbEndpoints.priority).
inline constexpr std::uint32_t kPrioritiesMax = 129;

// Hosts of one priority. The weights count for availability where the endpoints say weighted_priority_health.
struct PriorityCounts {
  std::uint32_t hosts = 0, healthy = 0, degraded = 0;
  std::uint64_t hosts_weight = 0, healthy_weight = 0, degraded_weight = 0;
};

struct PriorityRules {
  std::uint32_t overprovisioning_percent = 140;
  std::uint32_t panic_threshold_percent = 50;   // 0: never
  bool weighted_health = false;
};

struct PriorityChoice {
  std::uint32_t priority = 0;
  bool degraded = false;
};

struct PriorityLoads {
  std::vector<std::uint32_t> healthy, degraded;   // percent, by priority; together 100
  std::vector<bool> panic;

  // `ticket` is any number: a random one, or the request's hash. Not to be called without priorities.
  PriorityChoice choose(std::uint64_t ticket) const;
};

PriorityLoads share_load(std::span<const PriorityCounts> counts, const PriorityRules& rules);

// What is left for a retry that leaves out the priorities it has tried (retry_priority previous_priorities): the load of
// the others, scaled up. When all have been tried, or no other is available, they count as untried again.
PriorityLoads share_load_untried(std::span<const PriorityCounts> counts, const PriorityRules& rules,
                                 std::span<const std::uint32_t> tried);

}  // namespace lateen::proxy
