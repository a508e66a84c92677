#include "proxy/load_balancer.h"

#include <algorithm>

namespace lateen::proxy {
namespace {

constexpr std::uint32_t kOverprovisioningPercent = 140;
constexpr std::uint32_t kPrioritiesMax = 128;   // envoy.config.endpoint.v3.LocalityLbEndpoints.priority

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

void LoadBalancer::rebuild(std::span<const Member> members, const BalancerSettings& settings, Random& random) {
  members_ = members;
  settings_ = settings;
  std::uint32_t levels = 0;
  for (const Member& member : members) levels = std::max(levels, std::min(member.endpoint->priority + 1, kPrioritiesMax));
  std::vector<std::uint32_t> host_counts(levels), usable_counts(levels);
  for (const Member& member : members) {
    const std::uint32_t level = std::min(member.endpoint->priority, kPrioritiesMax - 1);
    ++host_counts[level];
    if (member.usable()) ++usable_counts[level];
  }
  priorities_.clear();
  priorities_.resize(levels);
  share_load(host_counts, usable_counts);
  for (Priority& priority : priorities_) prepare(priority, random);
}

// Envoy's recalculatePerPriorityState: health is usable x 1.4 / all, capped at 100; each level takes its health's share of
// what the levels before it left. Panic is looked at only where the levels together are not fully healthy.
void LoadBalancer::share_load(std::span<const std::uint32_t> host_counts, std::span<const std::uint32_t> usable_counts) {
  std::vector<std::uint32_t> health(host_counts.size());
  std::uint32_t health_total = 0;
  for (std::size_t level = 0; level < health.size(); ++level) {
    if (host_counts[level] != 0) {
      health[level] = std::min(100U, kOverprovisioningPercent * usable_counts[level] / host_counts[level]);
    }
    health_total += health[level];
  }
  const bool fully_healthy = health_total >= 100;
  health_total = std::min(health_total, 100U);

  bool all_in_panic = !fully_healthy && !health.empty();
  std::vector<bool> panic(health.size());
  std::uint32_t hosts_total = 0;
  for (std::size_t level = 0; level < health.size(); ++level) {
    hosts_total += host_counts[level];
    const std::uint32_t percent = host_counts[level] == 0 ? 0 : 100 * usable_counts[level] / host_counts[level];
    panic[level] = !fully_healthy && percent < std::min(100U, settings_.panic_threshold_percent);
    all_in_panic = all_in_panic && panic[level];
  }

  std::uint32_t left = 100;
  for (std::size_t level = 0; level < health.size(); ++level) {
    std::uint32_t load = 0;
    if (all_in_panic) {
      load = hosts_total == 0 ? 0 : 100 * host_counts[level] / hosts_total;
    } else if (health_total != 0) {
      load = health[level] * 100 / health_total;
    }
    priorities_[level].load_percent = std::min(load, left);
    left -= priorities_[level].load_percent;
    fill(priorities_[level], static_cast<std::uint32_t>(level), panic[level]);
  }
  // What rounding left goes to the first level that takes load at all.
  for (Priority& priority : priorities_) {
    if (priority.load_percent == 0) continue;
    priority.load_percent += left;
    break;
  }
}

void LoadBalancer::fill(Priority& priority, std::uint32_t level, bool panic) {
  std::vector<std::uint32_t> degraded;
  for (std::uint32_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[i];
    if (std::min(member.endpoint->priority, kPrioritiesMax - 1) != level) continue;
    if (panic) {
      priority.members.push_back(i);
    } else if (member.usable()) {
      (member.degraded() ? degraded : priority.members).push_back(i);
    }
  }
  // Degraded hosts take traffic where nothing better is left.
  if (priority.members.empty()) priority.members = std::move(degraded);
}

void LoadBalancer::prepare(Priority& priority, Random& random) {
  if (priority.members.empty()) return;
  const auto weight = [&](std::uint32_t i) { return members_[i].endpoint->weight; };
  for (const std::uint32_t i : priority.members) {
    priority.weighted = priority.weighted || weight(i) != weight(priority.members.front());
  }
  // Workers start at different hosts, else the first host gets every worker's first request.
  priority.next = random.below(priority.members.size());
  if (!priority.weighted || settings_.balancer == runtime::Cluster::Balancer::kRandom) return;
  for (const std::uint32_t i : priority.members) priority.schedule.add(i, weight_now(i));
  for (std::size_t skip = priority.next; skip > 0; --skip) {
    priority.schedule.next([this](std::uint32_t i) { return weight_now(i); });
  }
}

// Least request divides the weight by the requests that are active, as Envoy does with active_request_bias 1.
double LoadBalancer::weight_now(std::uint32_t member) const {
  const double weight = std::max(1U, members_[member].endpoint->weight);
  if (settings_.balancer != runtime::Cluster::Balancer::kLeastRequest) return weight;
  return weight / (1.0 + members_[member].host->requests_active());
}

LoadBalancer::Priority* LoadBalancer::choose_priority(Random& random) {
  if (priorities_.empty()) return nullptr;
  if (priorities_.size() == 1) return &priorities_.front();
  std::uint64_t ticket = random.below(100);
  for (Priority& priority : priorities_) {
    if (ticket < priority.load_percent) return &priority;
    ticket -= priority.load_percent;
  }
  return &priorities_.front();
}

std::optional<std::uint32_t> LoadBalancer::pick(Random& random) {
  using Balancer = runtime::Cluster::Balancer;
  Priority* priority = choose_priority(random);
  if (priority == nullptr || priority->members.empty()) return std::nullopt;
  if (priority->members.size() == 1) return priority->members.front();
  if (!priority->schedule.empty()) return priority->schedule.next([this](std::uint32_t i) { return weight_now(i); });
  switch (settings_.balancer) {
    case Balancer::kLeastRequest:
      return least_request(*priority, random);
    case Balancer::kRandom:
      return priority->members[random.below(priority->members.size())];
    case Balancer::kRoundRobin:
    case Balancer::kClusterProvided:
    case Balancer::kRingHash:
    case Balancer::kMaglev:
    case Balancer::kPeakEwma:
      break;
  }
  return priority->members[priority->next++ % priority->members.size()];
}

// The power of N choices, drawn with replacement as in Envoy.
std::uint32_t LoadBalancer::least_request(const Priority& priority, Random& random) const {
  std::uint32_t best = priority.members[random.below(priority.members.size())];
  std::uint32_t best_active = members_[best].host->requests_active();
  for (std::uint32_t choice = 1; choice < std::max(2U, settings_.least_request_choices); ++choice) {
    const std::uint32_t other = priority.members[random.below(priority.members.size())];
    const std::uint32_t active = members_[other].host->requests_active();
    if (active >= best_active) continue;
    best = other;
    best_active = active;
  }
  return best;
}

}  // namespace lateen::proxy
