#include "proxy/zone_routing.h"

#include <algorithm>

namespace lateen::proxy {
namespace {

constexpr std::uint64_t kWhole = 10'000;

// Shares of the healthy hosts, in 1/100 of a percent.
struct Shares {
  std::uint64_t local = 0, upstream = 0;
};

std::vector<Shares> shares_of(const PriorityGroup& upstream, const PriorityGroup& local) {
  std::uint64_t upstream_total = 0, local_total = 0;
  for (const LocalityGroup& group : upstream.localities) upstream_total += group.healthy.size();
  for (const LocalityGroup& group : local.localities) local_total += group.healthy.size();
  std::vector<Shares> out;
  for (const LocalityGroup& group : upstream.localities) {
    const auto same = std::find_if(local.localities.begin(), local.localities.end(), [&](const LocalityGroup& other) { return other.name == group.name; });
    Shares shares;
    if (!group.healthy.empty()) {
      shares.upstream = kWhole * group.healthy.size() / upstream_total;
      if (same != local.localities.end() && local_total > 0) shares.local = kWhole * same->healthy.size() / local_total;
    }
    out.push_back(shares);
  }
  return out;
}

}  // namespace

ZoneRouting ZoneRouting::calculate(const PriorityGroup& upstream, const PriorityGroup& local,
                                   const runtime::Cluster::ZoneAware& settings) {
  ZoneRouting out;
  if (upstream.localities.size() < 2 || local.localities.size() < 2) return out;
  if (!local.own_locality_first || local.localities.front().all.empty()) return out;
  if (upstream.healthy.size() < settings.cluster_size_min) return out;
  const std::vector<Shares> shares = shares_of(upstream, local);
  const bool here = upstream.own_locality_first;
  if (here && shares.front().upstream > 0 && shares.front().upstream >= shares.front().local) {
    out.state_ = State::kAllLocal;
    return out;
  }
  out.state_ = State::kResidual;
  if (here && shares.front().local > 0) out.stay_per_10000_ = shares.front().upstream * kWhole / shares.front().local;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const bool own = i == 0 && here;
    if (!own && shares[i].upstream > shares[i].local) sum += shares[i].upstream - shares[i].local;
    out.capacity_sums_.push_back(sum);
  }
  return out;
}

std::size_t ZoneRouting::choose(Random& random) const {
  if (state_ == State::kAllLocal || random.below(kWhole) < stay_per_10000_) return 0;
  // Only rounding can leave no capacity at all.
  if (capacity_sums_.back() == 0) return random.below(capacity_sums_.size());
  const std::uint64_t ticket = random.below(capacity_sums_.back());
  const auto at = std::upper_bound(capacity_sums_.begin(), capacity_sums_.end(), ticket);
  return static_cast<std::size_t>(at - capacity_sums_.begin());
}

}  // namespace lateen::proxy
