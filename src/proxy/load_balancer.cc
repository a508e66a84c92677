#include "proxy/load_balancer.h"

#include <algorithm>

#include "proxy/slow_start.h"

namespace lateen::proxy {
namespace {

using Balancer = runtime::Cluster::Balancer;

bool by_hash(const runtime::Cluster& policy) {
  return policy.balancer == Balancer::kRingHash || policy.balancer == Balancer::kMaglev;
}

// Nanoseconds. Below the first, differences are noise; the second is what a host counts that has not answered yet.
constexpr double kLatencyMin = 1e4, kLatencyUnknown = 1e9;

// Only these give heavier hosts more by a schedule.
bool by_schedule(const runtime::Cluster& policy) {
  return policy.balancer == Balancer::kRoundRobin || policy.balancer == Balancer::kLeastRequest;
}

}  // namespace

bool WeightedSchedule::later(const Entry& a, const Entry& b) {
  return a.deadline != b.deadline ? a.deadline > b.deadline : a.order > b.order;
}

void WeightedSchedule::add(std::uint32_t member, double weight) {
  heap_.push_back({now_ + 1.0 / weight, order_++, member});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

std::uint32_t WeightedSchedule::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Entry entry = heap_.back();
  heap_.pop_back();
  now_ = entry.deadline;
  return entry.member;
}

void LoadBalancer::rebuild(const HostSet& set, const runtime::Cluster& policy, std::shared_ptr<const HashTables> tables,
                           const OwnPlace& own, Random& random, Time now) {
  set_ = &set;
  policy_ = &policy;
  tables_ = std::move(tables);
  levels_.clear();
  zones_ = {};
  if (by_hash(policy)) return;   // everything is in the tables
  warm_at_ = {};
  if (policy.slow_start) {
    for (const Member& member : set.members) warm_at_ = std::max(warm_at_, member.host->in_service_since() + policy.slow_start->window);
  }
  const bool zone_aware = policy.zone_aware && own.local_cluster != nullptr && policy.zone_aware->routing_percent > 0;
  groups_ = group_hosts(set, policy.panic_threshold_percent, policy.locality_weighted || zone_aware ? ByLocality::kYes : ByLocality::kNo, own.locality);
  if (zone_aware && !groups_.priorities.empty()) {
    const HostGroups local = group_hosts(*own.local_cluster, policy.panic_threshold_percent, ByLocality::kYes, own.locality);
    const bool usable = !local.priorities.empty() && !local.loads.panic[0];
    if (usable) zones_ = ZoneRouting::calculate(groups_.priorities[0], local.priorities[0], *policy.zone_aware);
  }
  levels_.resize(groups_.priorities.size());
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    build_level(levels_[level], groups_.priorities[level], groups_.loads.panic[level], random, now);
  }
}

void LoadBalancer::build_level(Level& level, const PriorityGroup& group, bool panic, Random& random, Time now) {
  if (panic) {
    const bool fails = policy_->zone_aware && policy_->zone_aware->fail_traffic_on_panic;
    if (!fails) level.healthy = make_pool(group.all, random, now);
    return;
  }
  level.healthy = make_pool(group.healthy, random, now);
  level.degraded = make_pool(group.degraded, random, now);
  if (!group.localities.empty()) build_localities(level, group, random, now);
}

void LoadBalancer::build_localities(Level& level, const PriorityGroup& group, Random& random, Time now) {
  for (std::uint32_t i = 0; i < group.localities.size(); ++i) {
    const LocalityGroup& locality = group.localities[i];
    level.healthy_by_locality.push_back(make_pool(locality.healthy, random, now));
    level.degraded_by_locality.push_back(make_pool(locality.degraded, random, now));
    if (!policy_->locality_weighted) continue;
    level.healthy_weights.push_back(locality.effective_weight(locality.healthy, groups_.rules.overprovisioning_percent));
    level.degraded_weights.push_back(locality.effective_weight(locality.degraded, groups_.rules.overprovisioning_percent));
    if (level.healthy_weights.back() > 0) level.healthy_localities.add(i, level.healthy_weights.back());
    if (level.degraded_weights.back() > 0) level.degraded_localities.add(i, level.degraded_weights.back());
  }
}

LoadBalancer::Pool LoadBalancer::make_pool(std::vector<std::uint32_t> members, Random& random, Time now) const {
  Pool pool;
  pool.members = std::move(members);
  if (pool.members.empty()) return pool;
  const auto weight = [&](std::uint32_t i) { return set_->members[i].endpoint->weight; };
  for (const std::uint32_t i : pool.members) {
    pool.differing_weights = pool.differing_weights || weight(i) != weight(pool.members.front());
  }
  // Workers start at different hosts, else the first host gets every worker's first request.
  pool.next = random.below(pool.members.size());
  if (!by_schedule(*policy_) || pool.members.size() == 1 || !(pool.differing_weights || warming(now))) return pool;
  for (const std::uint32_t i : pool.members) pool.schedule.add(i, weight_now(i, now));
  for (std::size_t skip = pool.next; skip > 0; --skip) {
    pool.schedule.next([this, now](std::uint32_t i) { return weight_now(i, now); });
  }
  return pool;
}

double LoadBalancer::warmth(std::uint32_t member, Time now) const {
  return slow_start_factor(*policy_->slow_start, now - set_->members[member].host->in_service_since());
}

// Least request divides the weight by the requests that are active, as Envoy does with active_request_bias 1.
double LoadBalancer::weight_now(std::uint32_t member, Time now) const {
  double weight = std::max(1U, set_->members[member].endpoint->weight);
  if (policy_->balancer == Balancer::kLeastRequest) weight /= 1.0 + set_->members[member].host->requests_active();
  return warming(now) ? weight * warmth(member, now) : weight;
}

LoadBalancer::Pool* LoadBalancer::choose_pool(const PriorityChoice& choice, Random& random) {
  Level& level = levels_[choice.priority];
  const bool degraded = choice.degraded;
  WeightedSchedule& localities = degraded ? level.degraded_localities : level.healthy_localities;
  std::vector<Pool>& pools = degraded ? level.degraded_by_locality : level.healthy_by_locality;
  if (!localities.empty()) {
    const std::vector<double>& weights = degraded ? level.degraded_weights : level.healthy_weights;
    return &pools[localities.next([&](std::uint32_t i) { return weights[i]; })];
  }
  const bool by_zone = choice.priority == 0 && zones_.on() && !policy_->locality_weighted && !groups_.loads.panic[0];
  if (by_zone && random.below(10'000) < static_cast<std::uint64_t>(policy_->zone_aware->routing_percent * 100)) {
    return &pools[zones_.choose(random)];
  }
  return degraded ? &level.degraded : &level.healthy;
}

std::optional<std::uint32_t> LoadBalancer::pick(const PickRequest& request, Random& random, Time now) {
  if (tables_ != nullptr) {
    const std::uint64_t hash = request.hash ? *request.hash : random.next();
    return tables_->pick(hash, request.attempt, [&] { return request.requests_active; });
  }
  if (levels_.empty()) return std::nullopt;
  PriorityChoice choice;
  if (!request.priorities_tried.empty()) {
    choice = share_load_untried(groups_.counts, groups_.rules, request.priorities_tried).choose(random.next());
  } else if (levels_.size() > 1 || groups_.loads.degraded[0] != 0) {
    choice = groups_.loads.choose(random.next());
  }
  Pool* pool = choose_pool(choice, random);
  if (pool->members.empty()) return std::nullopt;
  return pick_from(*pool, random, now);
}

std::uint32_t LoadBalancer::pick_from(Pool& pool, Random& random, Time now) {
  if (pool.members.size() == 1) return pool.members.front();
  // Equal weights were scheduled for the time of the slow start only.
  if (!pool.schedule.empty() && !pool.differing_weights && !warming(now)) pool.schedule.clear();
  if (!pool.schedule.empty()) return pool.schedule.next([this, now](std::uint32_t i) { return weight_now(i, now); });
  switch (policy_->balancer) {
    case Balancer::kLeastRequest:
      return least_request(pool, random);
    case Balancer::kPeakEwma:
      return peak_ewma(pool, random, now);
    case Balancer::kRandom:
      return pool.members[random.below(pool.members.size())];
    case Balancer::kRoundRobin:
    case Balancer::kRingHash:
    case Balancer::kMaglev:
    case Balancer::kClusterProvided:
      break;
  }
  pool.next = (pool.next + 1) % pool.members.size();
  return pool.members[pool.next];
}

// The power of N choices, drawn with replacement as in Envoy.
std::uint32_t LoadBalancer::least_request(const Pool& pool, Random& random) const {
  std::uint32_t best = pool.members[random.below(pool.members.size())];
  std::uint32_t best_active = set_->members[best].host->requests_active();
  for (std::uint32_t choice = 1; choice < std::max(2U, policy_->least_request_choices); ++choice) {
    const std::uint32_t other = pool.members[random.below(pool.members.size())];
    const std::uint32_t active = set_->members[other].host->requests_active();
    if (active >= best_active) continue;
    best = other;
    best_active = active;
  }
  return best;
}

// The time that a request would spend at the host: what one takes, for it and for those that are there already.
double LoadBalancer::peak_ewma_cost(std::uint32_t member, Time now) const {
  const Host& host = *set_->members[member].host;
  const std::optional<double> known = host.peak_latency_nanoseconds(now);
  const std::uint32_t active = host.requests_active();
  if (!known && active == 0) return 0;   // a new host is tried at once, but not by everybody before it has answered
  const double latency = known ? std::max(*known, kLatencyMin) : kLatencyUnknown;
  double weight = std::max(1U, set_->members[member].endpoint->weight);
  if (warming(now)) weight *= warmth(member, now);
  return latency * (1.0 + active) / weight;
}

// Two different hosts are drawn; the cheaper one stands.
std::uint32_t LoadBalancer::peak_ewma(const Pool& pool, Random& random, Time now) const {
  const std::size_t size = pool.members.size();
  const std::size_t first = random.below(size);
  const std::size_t second = (first + 1 + random.below(size - 1)) % size;
  const double first_cost = peak_ewma_cost(pool.members[first], now);
  return pool.members[peak_ewma_cost(pool.members[second], now) < first_cost ? second : first];
}

}  // namespace lateen::proxy
