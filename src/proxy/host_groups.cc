#include "proxy/host_groups.h"

#include <algorithm>
#include <map>

namespace lateen::proxy {
namespace {

void add(HostGroup& group, std::uint32_t index, const Member& member) {
  group.all.push_back(index);
  if (!member.usable()) return;
  (member.degraded() ? group.degraded : group.healthy).push_back(index);
}

void count(PriorityCounts& counts, const Member& member) {
  const std::uint32_t weight = std::max(1U, member.endpoint->weight);
  ++counts.hosts;
  counts.hosts_weight += weight;
  if (!member.usable()) return;
  ++(member.degraded() ? counts.degraded : counts.healthy);
  (member.degraded() ? counts.degraded_weight : counts.healthy_weight) += weight;
}

LocalityName locality_of(const runtime::Endpoint& endpoint) { return {endpoint.region, endpoint.zone, endpoint.sub_zone}; }

void group_by_locality(const HostSet& set, PriorityGroup& priority, std::uint32_t level, LocalityName own) {
  std::map<LocalityName, LocalityGroup> sorted;
  for (const std::uint32_t index : priority.all) {
    const Member& member = set.members[index];
    const LocalityName name = locality_of(*member.endpoint);
    add(sorted.try_emplace(name, LocalityGroup{{}, name}).first->second, index, member);
  }
  if (set.endpoints != nullptr) {
    for (const runtime::Locality& locality : set.endpoints->localities) {
      if (std::min(locality.priority, kPrioritiesMax - 1) != level || !locality.weight) continue;
      const auto found = sorted.find({locality.region, locality.zone, locality.sub_zone});
      if (found != sorted.end()) found->second.weight = *locality.weight;
    }
  }
  if (const auto found = sorted.find(own); !own.empty() && found != sorted.end()) {
    priority.own_locality_first = true;
    priority.localities.push_back(std::move(found->second));
    sorted.erase(found);
  }
  for (auto& [name, group] : sorted) priority.localities.push_back(std::move(group));
}

}  // namespace

double LocalityGroup::effective_weight(const std::vector<std::uint32_t>& usable, std::uint32_t overprovisioning_percent) const {
  if (all.empty()) return 0;
  const double share = static_cast<double>(usable.size()) / static_cast<double>(all.size());
  return weight * std::min(1.0, overprovisioning_percent / 100.0 * share);
}

HostGroups group_hosts(const HostSet& set, std::uint32_t panic_threshold_percent, ByLocality by_locality, LocalityName own) {
  HostGroups out;
  std::uint32_t levels = 0;
  const auto level_of = [](const Member& member) { return std::min(member.endpoint->priority, kPrioritiesMax - 1); };
  for (const Member& member : set.members) levels = std::max(levels, level_of(member) + 1);
  out.priorities.resize(levels);
  out.counts.resize(levels);
  for (std::uint32_t index = 0; index < set.members.size(); ++index) {
    const std::uint32_t level = level_of(set.members[index]);
    add(out.priorities[level], index, set.members[index]);
    count(out.counts[level], set.members[index]);
  }
  out.rules.panic_threshold_percent = panic_threshold_percent;
  if (set.endpoints != nullptr) {
    out.rules.overprovisioning_percent = set.endpoints->overprovisioning_percent;
    out.rules.weighted_health = set.endpoints->weighted_priority_health;
  }
  if (by_locality == ByLocality::kYes) {
    for (std::uint32_t level = 0; level < levels; ++level) group_by_locality(set, out.priorities[level], level, own);
  }
  out.loads = share_load(out.counts, out.rules);
  return out;
}

}  // namespace lateen::proxy
