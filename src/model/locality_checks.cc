#include "model/locality_checks.h"

#include <algorithm>
#include <array>

#include "model/codes.h"

namespace lateen::model {

namespace {

constexpr std::array<std::string_view, 3> kTopologyLabels = {"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"};

const std::string* topology_label(const std::vector<std::string>& labels) {
  const auto it = std::find_if(labels.begin(), labels.end(), [](const std::string& label) {
    return std::find(kTopologyLabels.begin(), kTopologyLabels.end(), label) != kTopologyLabels.end();
  });
  return it == labels.end() ? nullptr : &*it;
}

// The parts of "region/zone/subzone" up to the first `*`; empty where the text is malformed.
std::vector<std::string_view> parts_of(std::string_view locality) {
  constexpr std::size_t kParts = 3;
  std::vector<std::string_view> parts;
  while (parts.size() < kParts) {
    const auto slash = parts.size() + 1 == kParts ? std::string_view::npos : locality.find('/');
    const std::string_view part = locality.substr(0, slash);
    if (part.empty()) return {};
    if (part == "*") return parts.empty() ? std::vector<std::string_view>{part} : parts;
    parts.push_back(part);
    if (slash == std::string_view::npos) return parts;
    locality.remove_prefix(slash + 1);
  }
  return parts;
}

// A `*` at the end of the list is for all that the others are not.
bool overlap(const std::vector<std::string_view>& one, const std::vector<std::string_view>& earlier) {
  if (earlier.front() == "*") return true;
  if (one.front() == "*") return false;
  const std::size_t shared = std::min(one.size(), earlier.size());
  return std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(shared), earlier.begin());
}

// No two may have an endpoint in common, and a wildcard stands only at the end.
void check_localities(Reader& reader, const std::vector<std::string>& localities) {
  std::vector<std::vector<std::string_view>> seen;
  for (const std::string& locality : localities) {
    const auto stars = std::count(locality.begin(), locality.end(), '*');
    if (stars > 1 || (stars == 1 && !locality.ends_with('*'))) {
      reader.error(kBadValue, "the locality \"" + locality + "\" has a wildcard that is not at its end", "write region/zone/*");
      continue;
    }
    std::vector<std::string_view> parts = parts_of(locality);
    if (parts.empty()) {
      reader.error(kBadValue, "the locality \"" + locality + "\" has an empty part", "write region/zone/*");
      continue;
    }
    if (std::any_of(seen.begin(), seen.end(), [&](const auto& other) { return overlap(parts, other); }))
      reader.error(kConflictingFields, "the locality \"" + locality + "\" overlaps with another one");
    seen.push_back(std::move(parts));
  }
}

}  // namespace

void check_distribute(Reader& reader, const LocalityLbSetting::Distribute& distribute) {
  constexpr std::uint32_t kWhole = 100;
  std::uint64_t sum = 0;
  std::vector<std::string> localities;
  for (const auto& [locality, weight] : distribute.to) {
    if (weight < 1 || weight > kWhole) reader.error(kBadValue, "the weight of " + locality + " is not in range 1..100");
    sum += weight;
    localities.push_back(locality);
  }
  std::stable_partition(localities.begin(), localities.end(), [](const std::string& locality) { return locality != "*"; });
  if (sum != kWhole) reader.error(kBadValue, "the weights of a locality sum to " + std::to_string(sum) + ", not to 100");
  check_localities(reader, localities);
}

void check_failover(Reader& reader, const LocalityLbSetting::Failover& failover) {
  if (failover.from == failover.to) reader.error(kBadValue, "from and to are the same region");
  for (const std::string* region : {&failover.from, &failover.to})
    if (region->find_first_of("/*") != std::string::npos)
      reader.error(kBadValue, "\"" + *region + "\" is not a region alone", "write a region, without zone and wildcard");
}

void check_locality_setting(Reader& reader, const LocalityLbSetting& setting) {
  if (!setting.distribute.empty() && !setting.failover.empty())
    reader.error(kConflictingFields, "takes distribute or failover, not both");
  if (const std::string* label = topology_label(setting.failover_priority); label != nullptr && !setting.failover.empty())
    reader.error(kConflictingFields, "takes failover or the label " + *label + " in failoverPriority, not both");
  std::vector<std::string> from;
  for (const auto& distribute : setting.distribute) from.push_back(distribute.from);
  check_localities(reader, from);
}

void check_zone_aware_setting(Reader& reader, const ZoneAwareLbSetting& setting) {
  if (const std::string* label = topology_label(setting.failover_priority))
    reader.error_below("failoverPriority", kConflictingFields, "the label " + *label + " says what zone awareness does anyway", "take it out");
}

}  // namespace lateen::model
