#include "proxy/load_balancer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "proxy/slow_start.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;
using Balancer = runtime::Cluster::Balancer;
using Health = runtime::Endpoint::Health;
using Picks = std::vector<int>;

struct Place {
  std::uint32_t weight = 1, priority = 0;
  std::string region = {};
  Health health = Health::kUnknown;
};

struct Balance {
  explicit Balance(const std::vector<Place>& places) {
    int number = 0;
    for (const Place& place : places) {
      runtime::Endpoint endpoint;
      endpoint.weight = place.weight;
      endpoint.priority = place.priority;
      endpoint.region = place.region;
      endpoint.health = place.health;
      const net::Address address{net::Address::Family::kIpv4, "10.0.0." + std::to_string(number++), 80};
      set.members.push_back({std::make_shared<const Host>(address, 1), std::make_shared<const runtime::Endpoint>(endpoint)});
    }
  }
  void describe(const std::function<void(runtime::EndpointSet&)>& change) {
    auto endpoints = std::make_shared<runtime::EndpointSet>(set.endpoints == nullptr ? runtime::EndpointSet{} : *set.endpoints);
    change(*endpoints);
    set.endpoints = std::move(endpoints);
  }
  void weigh(const std::string& region, std::uint32_t weight, std::uint32_t priority = 0) {
    describe([&](runtime::EndpointSet& endpoints) {
      endpoints.localities.push_back({.region = region, .zone = {}, .sub_zone = {}, .priority = priority, .weight = weight});
    });
  }
  void set_health(std::size_t index, Health health) {
    runtime::Endpoint endpoint = *set.members[index].endpoint;
    endpoint.health = health;
    set.members[index].endpoint = std::make_shared<const runtime::Endpoint>(endpoint);
  }
  Picks picks(int count) {
    LoadBalancer lb;
    lb.rebuild(set, policy, nullptr, own, random, now);
    Picks seen(set.members.size());
    for (int i = 0; i < count; ++i) {
      const auto picked = lb.pick({.hash = {}, .attempt = 0, .priorities_tried = tried, .requests_active = 0}, random, now);
      if (picked) ++seen[*picked];
    }
    return seen;
  }
  Picks picks(Balancer balancer, int count, std::uint32_t panic = 50) {
    policy.balancer = balancer;
    policy.panic_threshold_percent = panic;
    return picks(count);
  }

  HostSet set;
  runtime::Cluster policy;
  OwnPlace own;
  std::vector<std::uint32_t> tried;
  Random random{7};
  Time now{};
};

TEST(LoadBalancer, RoundRobinIsEven) {
  Balance b({{}, {}, {}});
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 300), (Picks{100, 100, 100}));
}

TEST(LoadBalancer, RoundRobinHonoursWeights) {
  Balance b({{.weight = 1}, {.weight = 3}, {.weight = 6}});
  const Picks seen = b.picks(Balancer::kRoundRobin, 1000);
  EXPECT_NEAR(seen[0], 100, 2);
  EXPECT_NEAR(seen[1], 300, 2);
  EXPECT_NEAR(seen[2], 600, 2);
}

TEST(LoadBalancer, RandomIgnoresWeights) {
  Balance b({{.weight = 1}, {.weight = 9}});
  EXPECT_NEAR(b.picks(Balancer::kRandom, 10'000)[0], 5'000, 250);
}

TEST(LoadBalancer, LeastRequestPrefersTheIdleHost) {
  Balance b({{}, {}});
  b.set.members[0].host->slot(0).requests_active.add(10);
  // Both draws must hit the busy one: a quarter. With four draws: a sixteenth.
  EXPECT_NEAR(b.picks(Balancer::kLeastRequest, 10'000)[0], 2'500, 200);
  b.policy.least_request_choices = 4;
  EXPECT_NEAR(b.picks(Balancer::kLeastRequest, 10'000)[0], 625, 120);
}

TEST(LoadBalancer, LeastRequestWithWeightsDividesThemByTheLoad) {
  Balance b({{.weight = 1}, {.weight = 4}});
  EXPECT_NEAR(b.picks(Balancer::kLeastRequest, 1'000)[1], 800, 5);
  // 4 / (1 + 3) is as much as 1 / (1 + 0).
  b.set.members[1].host->slot(0).requests_active.add(3);
  EXPECT_NEAR(b.picks(Balancer::kLeastRequest, 1'000)[1], 500, 5);
}

// ---- health and priorities

TEST(LoadBalancer, UnhealthyHostsGetNothingUnlessInPanic) {
  Balance b({{}, {}, {}});
  b.set_health(0, Health::kUnhealthy);
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 100)[0], 0);
  b.set_health(1, Health::kDraining);
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 90, 0), (Picks{0, 0, 90})) << "threshold 0: no panic";
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 90, 50), (Picks{30, 30, 30})) << "one of three is below 50 %";
  b.set_health(2, Health::kUnhealthy);
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 90, 0), (Picks{0, 0, 0}));
}

// Envoy's documented example: priority 0 at 25 % health of its hosts takes 35 %, the rest goes to priority 1.
TEST(LoadBalancer, PrioritiesSpillOver) {
  Balance b({{}, {}, {}, {}, {.priority = 1}, {.priority = 1}});
  EXPECT_EQ(b.picks(Balancer::kRandom, 100, 0)[4], 0);
  for (const std::size_t i : {0U, 1U, 2U}) b.set_health(i, Health::kUnhealthy);
  const Picks seen = b.picks(Balancer::kRandom, 10'000, 0);
  EXPECT_NEAR(seen[3], 3'500, 200);
  EXPECT_NEAR(seen[4] + seen[5], 6'500, 200);
}

// One healthy of two is 70 % available; the degraded one takes the rest.
TEST(LoadBalancer, DegradedHostsTakeWhatHealthyOnesLeave) {
  Balance b({{}, {}});
  b.set_health(0, Health::kDegraded);
  EXPECT_NEAR(b.picks(Balancer::kRandom, 10'000)[0], 3'000, 200);
  b.set_health(1, Health::kUnhealthy);
  EXPECT_EQ(b.picks(Balancer::kRoundRobin, 10, 0), (Picks{10, 0}));
}

TEST(LoadBalancer, RetriesLeaveOutPrioritiesThatWereTried) {
  Balance b({{}, {.priority = 1}, {.priority = 2}});
  b.tried = {0};
  EXPECT_EQ(b.picks(Balancer::kRandom, 100), (Picks{0, 100, 0}));
  b.tried = {0, 1};
  EXPECT_EQ(b.picks(Balancer::kRandom, 100), (Picks{0, 0, 100}));
  b.tried = {0, 1, 2};
  EXPECT_EQ(b.picks(Balancer::kRandom, 100), (Picks{100, 0, 0})) << "all were tried: they count anew";
  b.set_health(1, Health::kUnhealthy);
  b.tried = {0};
  EXPECT_EQ(b.picks(Balancer::kRandom, 100), (Picks{0, 0, 100}));
}

// ---- the load of priorities, against a plain reading of Envoy's documents

struct Reference {
  std::vector<int> healthy, degraded;
  std::vector<bool> panic;
};

// Integers throughout, as the documents' tables are.
Reference reference_load(const std::vector<PriorityCounts>& levels, int overprovisioning, int threshold) {
  const std::size_t n = levels.size();
  Reference out{std::vector<int>(n), std::vector<int>(n), std::vector<bool>(n)};
  std::vector<int> healthy(n), degraded(n);
  int sum = 0, hosts = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const int all = static_cast<int>(levels[i].hosts);
    hosts += all;
    if (all != 0) healthy[i] = std::min(100, overprovisioning * static_cast<int>(levels[i].healthy) / all);
    if (all != 0) degraded[i] = std::min(100, overprovisioning * static_cast<int>(levels[i].degraded) / all);
    sum += healthy[i] + degraded[i];
  }
  const int total = std::min(100, sum);
  if (total == 0 && threshold == 0) {
    out.healthy[0] = 100;
    return out;
  }
  bool all_panic = total != 100;
  for (std::size_t i = 0; i < n; ++i) {
    const int usable = static_cast<int>(levels[i].healthy + levels[i].degraded);
    out.panic[i] = total != 100 && (levels[i].hosts == 0 ? threshold > 0 : 100 * usable < threshold * static_cast<int>(levels[i].hosts));
    all_panic = all_panic && out.panic[i];
  }
  int left = 100;
  std::size_t first = n;
  if (all_panic) {
    for (std::size_t i = 0; i < n; ++i) {
      if (first == n && levels[i].hosts != 0) first = i;
      out.healthy[i] = hosts == 0 ? 0 : 100 * static_cast<int>(levels[i].hosts) / hosts;
      left -= out.healthy[i];
    }
    out.healthy[first == n ? 0 : first] += left;
    return out;
  }
  for (std::size_t i = 0; i < n; ++i) left -= out.healthy[i] = std::min(left, healthy[i] * 100 / total);
  for (std::size_t i = 0; i < n; ++i) left -= out.degraded[i] = std::min(left, degraded[i] * 100 / total);
  for (std::size_t i = 0; i < n && left > 0; ++i) {
    if (healthy[i] > 0) { out.healthy[i] += left; left = 0; }
  }
  for (std::size_t i = 0; i < n && left > 0; ++i) {
    if (degraded[i] > 0) { out.degraded[i] += left; left = 0; }
  }
  return out;
}

TEST(PriorityLoad, AgreesWithThePlainReference) {
  Random random(20);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<PriorityCounts> levels(1 + random.below(4));
    for (PriorityCounts& level : levels) {
      level.hosts = static_cast<std::uint32_t>(random.below(12));
      level.healthy = static_cast<std::uint32_t>(random.below(level.hosts + 1));
      level.degraded = static_cast<std::uint32_t>(random.below(level.hosts - level.healthy + 1));
    }
    const auto threshold = static_cast<std::uint32_t>(random.below(3) * 50);
    const auto overprovisioning = static_cast<std::uint32_t>(100 + random.below(100));
    const PriorityLoads loads = share_load(levels, {overprovisioning, threshold, false});
    const Reference wanted = reference_load(levels, static_cast<int>(overprovisioning), static_cast<int>(threshold));
    const auto same = [](const std::vector<std::uint32_t>& a, const std::vector<int>& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto x, auto y) { return static_cast<int>(x) == y; }); };
    ASSERT_TRUE(same(loads.healthy, wanted.healthy)) << round;
    ASSERT_TRUE(same(loads.degraded, wanted.degraded)) << round;
    ASSERT_EQ(loads.panic, wanted.panic) << round;
    const auto sum = std::accumulate(loads.healthy.begin(), loads.healthy.end(), 0U) + std::accumulate(loads.degraded.begin(), loads.degraded.end(), 0U);
    ASSERT_EQ(sum, 100U) << round;
  }
}

TEST(PriorityLoad, CountsByWeightWhereTheEndpointsSaySo) {
  // One of two hosts is healthy, but it has nine tenths of the weight.
  const std::vector<PriorityCounts> levels = {{2, 1, 0, 10, 9, 0}, {1, 1, 0, 1, 1, 0}};
  EXPECT_EQ(share_load(levels, {140, 50, false}).healthy, (std::vector<std::uint32_t>{70, 30}));
  EXPECT_EQ(share_load(levels, {140, 50, true}).healthy, (std::vector<std::uint32_t>{100, 0}));
}

TEST(PriorityLoad, ATicketIsOneOfAHundred) {
  const std::vector<PriorityCounts> levels = {{4, 1, 1, 4, 1, 1}, {2, 1, 0, 2, 1, 0}};
  const PriorityLoads loads = share_load(levels, {140, 0, false});   // healthy 35, 70; degraded 35
  std::map<std::pair<std::uint32_t, bool>, std::uint32_t> seen;
  for (std::uint64_t ticket = 0; ticket < 100; ++ticket) {
    const PriorityChoice choice = loads.choose(ticket + 7'000);
    ++seen[{choice.priority, choice.degraded}];
  }
  for (std::uint32_t level = 0; level < 2; ++level) {
    EXPECT_EQ((seen[{level, false}]), loads.healthy[level]);
    EXPECT_EQ((seen[{level, true}]), loads.degraded[level]);
  }
}

// ---- localities

// Envoy's documented example: weights 1 and 2; the locality of weight 1 loses hosts.
TEST(LoadBalancer, LocalityWeightsShrinkWithHealth) {
  std::vector<Place> places;
  for (int i = 0; i < 10; ++i) places.push_back({.region = "x"});
  for (int i = 0; i < 10; ++i) places.push_back({.region = "y"});
  Balance b(places);
  b.policy.locality_weighted = true;
  b.policy.balancer = Balancer::kRandom;
  b.weigh("x", 1);
  b.weigh("y", 2);
  const auto share_of_y = [&] {
    const Picks seen = b.picks(9'000);
    return std::accumulate(seen.begin() + 10, seen.end(), 0) / 90.0;
  };
  EXPECT_NEAR(share_of_y(), 66.7, 0.5);
  b.set_health(10, Health::kUnhealthy);
  EXPECT_NEAR(share_of_y(), 66.7, 0.5) << "90 % of the hosts times 1.4 is enough";
  for (std::size_t i = 10; i < 15; ++i) b.set_health(i, Health::kUnhealthy);
  // 2 x min(1, 1.4 x 0.5) = 1.4 against 1.
  EXPECT_NEAR(share_of_y(), 100 * 1.4 / 2.4, 0.5);
  for (std::size_t i = 15; i < 20; ++i) b.set_health(i, Health::kUnhealthy);
  EXPECT_EQ(share_of_y(), 0);
}

TEST(LoadBalancer, LocalitiesWithoutWeightGetNothingUnlessNoneHasOne) {
  Balance b({{.region = "x"}, {.region = "y"}});
  b.policy.locality_weighted = true;
  b.policy.balancer = Balancer::kRandom;
  EXPECT_NEAR(b.picks(1'000)[0], 500, 100);
  b.weigh("y", 5);
  EXPECT_EQ(b.picks(1'000), (Picks{0, 1'000}));
}

// The same, for random sets of hosts, weights and failures, by the formula of the documents.
TEST(LoadBalancer, LocalityWeightsAgreeWithThePlainReference) {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<Place> places;
    std::vector<std::uint32_t> weights;
    std::vector<double> expected;
    const std::size_t localities = 2 + random.below(3);
    for (std::size_t l = 0; l < localities; ++l) {
      weights.push_back(static_cast<std::uint32_t>(1 + random.below(5)));
      const std::size_t hosts = 1 + random.below(4), healthy = random.below(hosts + 1);
      for (std::size_t h = 0; h < hosts; ++h) places.push_back({.region = std::string(1, static_cast<char>('a' + l)), .health = h < healthy ? Health::kHealthy : Health::kUnhealthy});
      expected.push_back(weights.back() * std::min(1.0, 1.4 * static_cast<double>(healthy) / static_cast<double>(hosts)));
    }
    const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
    if (sum == 0) continue;
    Balance b(places);
    b.policy.locality_weighted = true;
    b.policy.panic_threshold_percent = 0;
    b.policy.balancer = Balancer::kRoundRobin;
    for (std::size_t l = 0; l < localities; ++l) b.weigh(std::string(1, static_cast<char>('a' + l)), weights[l]);
    const Picks seen = b.picks(2'000);
    for (std::size_t l = 0; l < localities; ++l) {
      int count = 0;
      for (std::size_t i = 0; i < places.size(); ++i) count += places[i].region[0] == static_cast<char>('a' + l) ? seen[i] : 0;
      EXPECT_NEAR(count, 2'000 * expected[l] / sum, 4) << round;
    }
  }
}

// ---- zones

struct Zones {
  // Healthy hosts upstream and proxies like this one, by region "a", "b", "c"; this one is in "a".
  Zones(std::vector<int> upstream, std::vector<int> local) : hosts(places(upstream)), proxies(places(local)) {
    hosts.policy.balancer = Balancer::kRandom;
    hosts.policy.zone_aware = runtime::Cluster::ZoneAware{};
    hosts.own = {.locality = {"a", "", ""}, .local_cluster = &proxies.set};
    counts = std::move(upstream);
  }
  static std::vector<Place> places(const std::vector<int>& counts) {
    std::vector<Place> out;
    for (std::size_t r = 0; r < counts.size(); ++r) {
      for (int i = 0; i < counts[r]; ++i) out.push_back({.region = std::string(1, static_cast<char>('a' + r))});
    }
    return out;
  }
  // Percent of the requests, by region.
  std::vector<double> shares() {
    const Picks seen = hosts.picks(20'000);
    std::vector<double> out;
    std::size_t at = 0;
    for (const int count : counts) {
      double sum = 0;
      for (int i = 0; i < count; ++i) sum += seen[at++];
      out.push_back(sum / 200);
    }
    return out;
  }
  Balance hosts, proxies;
  std::vector<int> counts;
};

TEST(ZoneRouting, StaysLocalWhereThereIsRoom) {
  EXPECT_EQ(Zones({5, 5}, {1, 1}).shares(), (std::vector<double>{100, 0}));
  EXPECT_EQ(Zones({6, 2}, {1, 1}).shares(), (std::vector<double>{100, 0}));
}

// Envoy's documented example: a tenth of the proxies' share upstream stays, the rest goes where capacity is left.
TEST(ZoneRouting, SendsTheRestToWhereCapacityIsLeft) {
  // Proxies 40, 40, 20 %; upstream 25, 50, 25 %: 62.5 % stay; the rest 10 : 5.
  Zones zones({5, 10, 5}, {4, 4, 2});
  const std::vector<double> shares = zones.shares();
  EXPECT_NEAR(shares[0], 62.5, 1.5);
  EXPECT_NEAR(shares[1], 25, 1.5);
  EXPECT_NEAR(shares[2], 12.5, 1.5);
}

TEST(ZoneRouting, IsOffWhereItHasNoGround) {
  const auto even = [](Zones zones) {
    const std::vector<double> shares = zones.shares();
    return std::abs(shares[0] - 100.0 * zones.counts[0] / (zones.counts[0] + zones.counts[1])) < 2;
  };
  EXPECT_TRUE(even(Zones({2, 2}, {1, 1}))) << "fewer than six hosts";
  EXPECT_TRUE(even(Zones({5, 5}, {0, 2}))) << "no proxy is known to be here";
  EXPECT_TRUE(even(Zones({5, 5}, {3, 0}))) << "all proxies are in one zone";
  Zones never({5, 5}, {1, 1});
  never.hosts.policy.zone_aware->routing_percent = 0;
  EXPECT_TRUE(even(never));
  Zones nobody({5, 5}, {1, 1});
  nobody.hosts.own = {};
  EXPECT_TRUE(even(nobody));
}

TEST(ZoneRouting, FailsInPanicWhereAskedTo) {
  Balance b({{.health = Health::kUnhealthy}, {}});
  b.policy.zone_aware.emplace().fail_traffic_on_panic = true;
  EXPECT_EQ(b.picks(Balancer::kRandom, 10, 60), (Picks{0, 0}));
  b.policy.zone_aware->fail_traffic_on_panic = false;
  EXPECT_NE(b.picks(Balancer::kRandom, 100, 60)[0], 0);
}

// ---- slow start

TEST(SlowStart, FollowsTheFormula) {
  struct Case {
    Duration age;
    double aggression, min_percent, factor;
  };
  const Case cases[] = {
      {0s, 1, 10, 0.1}, {5s, 1, 10, 0.1}, {30s, 1, 10, 0.5}, {59s, 1, 10, 59.0 / 60}, {60s, 1, 10, 1}, {600s, 1, 10, 1},
      {15s, 2, 10, 0.5}, {15s, 0.5, 1, 0.0625}, {0s, 1, 0, 1.0 / 60'000}, {30s, 0, 10, 0.5},
  };
  for (const Case& c : cases) EXPECT_NEAR(slow_start_factor({.window = 60s, .aggression = c.aggression, .weight_percent_min = c.min_percent}, c.age), c.factor, 1e-9);
}

TEST(SlowStart, NewHostsGetAGrowingShare) {
  for (const Balancer balancer : {Balancer::kRoundRobin, Balancer::kLeastRequest}) {
    Balance b({{}, {}, {}});
    b.policy.slow_start = runtime::Cluster::SlowStart{.window = 60s, .aggression = 1, .weight_percent_min = 10};
    b.set.members[0].host->set_in_service_since(Time(1000s));
    const auto share = [&](Duration age) {
      b.now = Time(1000s) + age;
      return b.picks(balancer, 3'000)[0] / 3'000.0;
    };
    EXPECT_NEAR(share(1s), 0.1 / 2.1, 0.01);
    EXPECT_NEAR(share(30s), 0.5 / 2.5, 0.01);
    EXPECT_NEAR(share(61s), 1.0 / 3, 0.04);
  }
}

// The schedule that the slow start needs must not outlive it: equal hosts are equal again without another rebuild.
TEST(SlowStart, EndsByItself) {
  Balance b({{}, {}});
  b.policy.balancer = Balancer::kRoundRobin;
  b.policy.slow_start = runtime::Cluster::SlowStart{.window = 60s, .aggression = 1, .weight_percent_min = 10};
  b.set.members[0].host->set_in_service_since(Time(100s));
  LoadBalancer lb;
  lb.rebuild(b.set, b.policy, nullptr, {}, b.random, Time(101s));
  Picks cold(2), warm(2);
  for (int i = 0; i < 1'100; ++i) ++cold[*lb.pick({}, b.random, Time(101s))];
  for (int i = 0; i < 1'000; ++i) ++warm[*lb.pick({}, b.random, Time(200s))];
  EXPECT_NEAR(cold[0], 100, 3);
  EXPECT_EQ(warm, (Picks{500, 500}));
}

}  // namespace
}  // namespace lateen::proxy
