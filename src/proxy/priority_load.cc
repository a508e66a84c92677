#include "proxy/priority_load.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace lateen::proxy {
namespace {

struct Availability {
  std::vector<std::uint32_t> healthy, degraded;

  // Never more than 100.
  std::uint32_t total() const {
    const std::uint32_t sum = std::accumulate(healthy.begin(), healthy.end(), std::uint32_t{0});
    return std::min(100U, std::accumulate(degraded.begin(), degraded.end(), sum));
  }
};

Availability availability_of(std::span<const PriorityCounts> counts, const PriorityRules& rules) {
  Availability out;
  for (const PriorityCounts& level : counts) {
    const std::uint64_t all = rules.weighted_health ? level.hosts_weight : level.hosts;
    const auto share = [&](std::uint64_t usable) {
      return all == 0 ? 0U : static_cast<std::uint32_t>(std::min<std::uint64_t>(100, rules.overprovisioning_percent * usable / all));
    };
    out.healthy.push_back(share(rules.weighted_health ? level.healthy_weight : level.healthy));
    out.degraded.push_back(share(rules.weighted_health ? level.degraded_weight : level.degraded));
  }
  return out;
}

// Gives out what is left of `left` in order of priority; the first priority that is available at all.
std::optional<std::size_t> give_out(const std::vector<std::uint32_t>& available, std::uint32_t total, std::uint32_t& left,
                                    std::vector<std::uint32_t>& load) {
  std::optional<std::size_t> first;
  for (std::size_t level = 0; level < available.size(); ++level) {
    if (!first && available[level] > 0) first = level;
    load[level] = std::min(left, available[level] * 100 / total);
    left -= load[level];
  }
  return first;
}

void share_by_availability(const Availability& available, PriorityLoads& loads) {
  const std::uint32_t total = available.total();
  std::uint32_t left = 100;
  const std::optional<std::size_t> first_healthy = give_out(available.healthy, total, left, loads.healthy);
  const std::optional<std::size_t> first_degraded = give_out(available.degraded, total, left, loads.degraded);
  // What rounding left.
  if (first_healthy) loads.healthy[*first_healthy] += left;
  else if (first_degraded) loads.degraded[*first_degraded] += left;
}

void share_by_hosts(std::span<const PriorityCounts> counts, PriorityLoads& loads) {
  std::uint64_t hosts = 0;
  for (const PriorityCounts& level : counts) hosts += level.hosts;
  std::fill(loads.degraded.begin(), loads.degraded.end(), 0U);
  if (hosts == 0) {
    loads.healthy[0] = 100;
    return;
  }
  std::uint32_t left = 100;
  std::optional<std::size_t> first;
  for (std::size_t level = 0; level < counts.size(); ++level) {
    if (!first && counts[level].hosts != 0) first = level;
    loads.healthy[level] = static_cast<std::uint32_t>(100 * std::uint64_t{counts[level].hosts} / hosts);
    left -= loads.healthy[level];
  }
  loads.healthy[*first] += left;
}

bool below_threshold(const PriorityCounts& level, std::uint32_t threshold) {
  if (level.hosts == 0) return threshold > 0;
  return 100.0 * (std::uint64_t{level.healthy} + level.degraded) / level.hosts < threshold;
}

}  // namespace

PriorityChoice PriorityLoads::choose(std::uint64_t ticket) const {
  std::uint32_t left = static_cast<std::uint32_t>(ticket % 100);
  for (std::uint32_t level = 0; level < healthy.size(); ++level) {
    if (left < healthy[level]) return {level, false};
    left -= healthy[level];
  }
  for (std::uint32_t level = 0; level < degraded.size(); ++level) {
    if (left < degraded[level]) return {level, true};
    left -= degraded[level];
  }
  return {};
}

PriorityLoads share_load(std::span<const PriorityCounts> counts, const PriorityRules& rules) {
  PriorityLoads loads{.healthy = std::vector<std::uint32_t>(counts.size()),
                      .degraded = std::vector<std::uint32_t>(counts.size()),
                      .panic = std::vector<bool>(counts.size())};
  if (counts.empty()) return loads;
  const Availability available = availability_of(counts, rules);
  const std::uint32_t total = available.total();
  const std::uint32_t threshold = std::min(100U, rules.panic_threshold_percent);
  if (total > 0) {
    share_by_availability(available, loads);
  } else if (threshold == 0) {
    loads.healthy[0] = 100;   // where it finds no host
    return loads;
  }
  if (total == 100) return loads;
  bool all_in_panic = true;
  for (std::size_t level = 0; level < counts.size(); ++level) {
    loads.panic[level] = below_threshold(counts[level], threshold);
    all_in_panic = all_in_panic && loads.panic[level];
  }
  if (all_in_panic) share_by_hosts(counts, loads);
  return loads;
}

PriorityLoads share_load_untried(std::span<const PriorityCounts> counts, const PriorityRules& rules,
                                 std::span<const std::uint32_t> tried) {
  PriorityLoads loads = share_load(counts, rules);
  Availability available = availability_of(counts, rules);
  for (const std::uint32_t level : tried) {
    if (level >= counts.size()) continue;
    available.healthy[level] = 0;
    available.degraded[level] = 0;
  }
  if (available.total() > 0) share_by_availability(available, loads);
  return loads;
}

}  // namespace lateen::proxy
