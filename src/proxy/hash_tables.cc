#include "proxy/hash_tables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/hash.h"

namespace lateen::proxy {
namespace {

std::string key_of(const Member& member, const runtime::Cluster& policy) {
  if (policy.hashes_hostname && !member.endpoint->hostname.empty()) return member.endpoint->hostname.str();
  const net::Address& address = member.host->address();
  return address.family == net::Address::Family::kUnix ? address.host : member.host->text();
}

// Adds hosts that have `share` of the whole together, by weight.
void add_hosts(const HostSet& set, const std::vector<std::uint32_t>& members, double share, const runtime::Cluster& policy,
               std::vector<HashedHost>& out) {
  std::uint64_t sum = 0;
  for (const std::uint32_t index : members) sum += std::max(1U, set.members[index].endpoint->weight);
  for (const std::uint32_t index : members) {
    const Member& member = set.members[index];
    const double weight = std::max(1U, member.endpoint->weight) * share / static_cast<double>(sum);
    out.push_back({key_of(member, policy), weight, index});
  }
}

// Envoy's normalizeWeights: here the weights of localities do not shrink with the health of their hosts.
std::vector<HashedHost> hashed_hosts(const HostSet& set, const PriorityGroup& group, bool panic, const runtime::Cluster& policy) {
  std::vector<HashedHost> out;
  const bool has_weights = set.endpoints != nullptr && !set.endpoints->localities.empty();
  if (!policy.locality_weighted || !has_weights) {
    add_hosts(set, panic ? group.all : group.healthy, 1, policy, out);
    return out;
  }
  std::uint64_t sum = 0;
  for (const LocalityGroup& locality : group.localities) sum += locality.weight;
  for (const LocalityGroup& locality : group.localities) {
    if (locality.weight == 0) continue;
    add_hosts(set, panic ? locality.all : locality.healthy, locality.weight / static_cast<double>(sum), policy, out);
  }
  return out;
}

// Where each host has points of its own number (ring_points_per_host): the points of all; zero elsewhere. Where localities
// have weights, more hosts in one mean less for each of them anyway.
std::uint64_t ring_size(const HostSet& set, const std::vector<HashedHost>& hosts, const runtime::Cluster& policy) {
  if (policy.ring_points_per_host == 0 || policy.locality_weighted) return 0;
  std::uint64_t lightest = std::numeric_limits<std::uint32_t>::max(), sum = 0;
  for (const HashedHost& host : hosts) {
    const std::uint64_t weight = std::max(1U, set.members[host.member].endpoint->weight);
    lightest = std::min(lightest, weight);
    sum += weight;
  }
  // A power of two: the lightest host seldom changes it.
  return policy.ring_points_per_host * sum / std::bit_floor(lightest);
}

// A score by which the host with the highest one gets the key, in proportion to the weights.
double rendezvous_score(std::uint64_t hash, std::uint64_t key_hash, double weight) {
  std::uint64_t mixed = (hash ^ key_hash) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 31U)) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 29U;
  const double uniform = (static_cast<double>(mixed >> 11U) + 0.5) * 0x1p-53;
  return -weight / std::log(uniform);
}

// A number in [0, bound), the same for everybody who starts the generator with the same seed; as Envoy draws it.
std::uint32_t draw(std::mt19937& random, std::uint32_t bound) {
  std::uint32_t value = bound;
  while (value >= bound) {
    value = static_cast<std::uint32_t>(random() / ((std::uint64_t{std::mt19937::max()} + 1) / bound));
  }
  return value;
}

}  // namespace

HashTables::HashTables(std::shared_ptr<const HostSet> set, const runtime::Cluster& policy, HashTableMemory& memory)
    : set_(std::move(set)), balance_percent_(policy.hash_balance_percent) {
  const ByLocality by_locality = policy.locality_weighted ? ByLocality::kYes : ByLocality::kNo;
  HostGroups groups = group_hosts(*set_, policy.panic_threshold_percent, by_locality, {});
  loads_ = std::move(groups.loads);
  levels_.resize(groups.priorities.size());
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    levels_[level].hosts = hashed_hosts(*set_, groups.priorities[level], loads_.panic[level], policy);
    if (!levels_[level].hosts.empty()) build(levels_[level], policy, memory);
  }
}

void HashTables::build(Level& level, const runtime::Cluster& policy, HashTableMemory& memory) {
  const bool maglev = policy.balancer == runtime::Cluster::Balancer::kMaglev;
  const HashRing::Settings ring{policy.ring_size_min, policy.ring_size_max, policy.hash_function, ring_size(*set_, level.hosts, policy)};
  const std::uint64_t bytes = maglev ? policy.maglev_table_size * MaglevTable::kEntryBytes
                                     : (HashRing::size_for(level.hosts, ring) + level.hosts.size()) * HashRing::kEntryBytes;
  std::optional<HashTableMemory::Share> share = memory.take(bytes);
  if (!share) {
    for (const HashedHost& host : level.hosts) level.key_hashes.push_back(xxhash64(host.key));
    return;
  }
  level.memory = std::move(*share);
  if (maglev) level.table.emplace<MaglevTable>(level.hosts, policy.maglev_table_size);
  else level.table.emplace<HashRing>(level.hosts, ring);
}

const HashTables::Level* HashTables::level_for(std::uint64_t hash) const {
  if (levels_.empty()) return nullptr;
  const Level& level = levels_[levels_.size() == 1 ? 0 : loads_.choose(hash).priority];
  return level.hosts.empty() ? nullptr : &level;
}

std::uint32_t HashTables::from_table(const Level& level, std::uint64_t hash, std::uint32_t attempt) {
  if (const auto* ring = std::get_if<HashRing>(&level.table)) return ring->pick(hash, attempt);
  if (const auto* maglev = std::get_if<MaglevTable>(&level.table)) return maglev->pick(hash, attempt);
  std::size_t best = 0;
  double best_score = -1;
  for (std::size_t i = 0; i < level.hosts.size(); ++i) {
    const double score = rendezvous_score(hash + attempt, level.key_hashes[i], level.hosts[i].weight);
    if (score <= best_score) continue;
    best = i;
    best_score = score;
  }
  return level.hosts[best].member;
}

double HashTables::overload(const HashedHost& host, std::uint64_t cluster_active) const {
  const std::uint64_t slots_total = ((cluster_active + 1) * balance_percent_ + 99) / 100;
  const double slots = std::max(std::ceil(static_cast<double>(slots_total) * host.weight), 1.0);
  return set_->members[host.member].host->requests_active() / slots;
}

// Consistent hashing with bounded loads (Mirrokni et al.), with random jumps (Chen et al.) as in Envoy: a host that has
// more than its part goes over to the first one with room in an order that depends on the hash only.
std::uint32_t HashTables::within_bounds(const Level& level, std::uint64_t hash, std::uint32_t member,
                                        std::uint64_t cluster_active) const {
  const auto own = std::find_if(level.hosts.begin(), level.hosts.end(), [member](const HashedHost& host) { return host.member == member; });
  double least = overload(*own, cluster_active);
  if (least <= 1) return member;
  std::uint32_t best = member;
  std::mt19937 random(static_cast<std::uint32_t>(hash));
  const auto count = static_cast<std::uint32_t>(level.hosts.size());
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t i = 0; i < count; ++i) order[i] = i;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + draw(random, count - i)]);
    const HashedHost& other = level.hosts[order[i]];
    if (other.member == member) continue;
    const double load = overload(other, cluster_active);
    if (load <= 1) return other.member;
    if (load >= least) continue;
    best = other.member;
    least = load;
  }
  return best;
}

TableSpread HashTables::spread() const {
  TableSpread out;
  for (const Level& level : levels_) {
    const auto* ring = std::get_if<HashRing>(&level.table);
    const auto* maglev = std::get_if<MaglevTable>(&level.table);
    if (ring == nullptr && maglev == nullptr) continue;
    const TableSpread& one = ring != nullptr ? ring->spread() : maglev->spread();
    out.entries_min = out.size == 0 ? one.entries_min : std::min(out.entries_min, one.entries_min);
    out.entries_max = std::max(out.entries_max, one.entries_max);
    out.size += one.size;
  }
  return out;
}

}  // namespace lateen::proxy
