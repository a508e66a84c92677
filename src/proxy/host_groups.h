// HostGroups: the hosts of a set by priority, health and locality, and the load that each priority gets. Pure; made anew
// when hosts or their health change.
#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>
#include <vector>

#include "proxy/host.h"
#include "proxy/priority_load.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// envoy.config.core.v3.Locality, in the order in which Envoy sorts them.
struct LocalityName {
  std::string_view region, zone, sub_zone;

  auto operator<=>(const LocalityName&) const = default;
  bool empty() const { return region.empty() && zone.empty() && sub_zone.empty(); }
};

// Members of one priority (or of one locality in it), by index into the host set.
struct HostGroup {
  std::vector<std::uint32_t> all, healthy, degraded;
};

struct LocalityGroup : HostGroup {
  LocalityName name;
  std::uint32_t weight = 0;   // load_balancing_weight; 0: none given, or no traffic

  // Envoy's effective weight: shrinks with the share of usable hosts beyond what overprovisioning makes up for.
  double effective_weight(const std::vector<std::uint32_t>& usable, std::uint32_t overprovisioning_percent) const;
};

struct PriorityGroup : HostGroup {
  // Only where they are asked for. Sorted by name, but for the own locality, which comes first if it is there.
  std::vector<LocalityGroup> localities;
  bool own_locality_first = false;
};

struct HostGroups {
  std::vector<PriorityGroup> priorities;
  std::vector<PriorityCounts> counts;
  PriorityRules rules;
  PriorityLoads loads;
};

enum class ByLocality : std::uint8_t { kNo, kYes };

// `own` is the locality of this proxy; empty: unknown.
HostGroups group_hosts(const HostSet& set, std::uint32_t panic_threshold_percent, ByLocality by_locality, LocalityName own);

}  // namespace lateen::proxy
