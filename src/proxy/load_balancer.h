// LoadBalancer: picks a host of one cluster for one try. One for each worker and cluster; pure, time and randomness are
// arguments.
//
// Envoy's rules: a priority by load (priority_load.h), in it a locality where the cluster asks for that, in it a host:
// round robin and least request honour weights, random does not, ring hash and maglev ask the tables that all workers
// share. Beyond Envoy: kPeakEwma.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxy/hash_tables.h"
#include "proxy/host.h"
#include "proxy/host_groups.h"
#include "proxy/random.h"
#include "proxy/zone_routing.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// Earliest deadline first: each entry comes up in proportion to its weight, evenly spread. O(log n) a pick.
class WeightedSchedule {
 public:
  void clear() { heap_.clear(); now_ = 0; order_ = 0; }
  bool empty() const { return heap_.empty(); }
  void add(std::uint32_t member, double weight);
  // The entry whose turn it is; `weight_of(member)` is what it weighs from now on.
  template <class WeightOf>
  std::uint32_t next(WeightOf weight_of) {
    const std::uint32_t member = pop();
    add(member, weight_of(member));
    return member;
  }

 private:
  struct Entry {
    double deadline;
    std::uint64_t order;   // equal deadlines: first come, first served
    std::uint32_t member;
  };
  static bool later(const Entry& a, const Entry& b);
  std::uint32_t pop();

  std::vector<Entry> heap_;
  double now_ = 0;
  std::uint64_t order_ = 0;
};

// Where this proxy is, and the cluster of proxies like this one, for zone-aware routing. Empty: not known.
struct OwnPlace {
  LocalityName locality;
  const HostSet* local_cluster = nullptr;
};

struct PickRequest {
  std::optional<std::uint64_t> hash;                 // of the request; absent: a random one
  std::uint32_t attempt = 0;                         // draw of one try
  std::span<const std::uint32_t> priorities_tried;   // not empty: these are left out if others are available
  std::uint32_t requests_active = 0;                 // of the cluster, for hash_balance_factor
};

class LoadBalancer {
 public:
  // Takes over a host set, or the same one after its health has changed. `set` and `policy` must live until the next
  // rebuild. `tables`: of the same set, for ring hash and maglev; shared. `own` is only read here.
  void rebuild(const HostSet& set, const runtime::Cluster& policy, std::shared_ptr<const HashTables> tables,
               const OwnPlace& own, Random& random, Time now);

  // The index of a member, or nothing where no host may be used.
  std::optional<std::uint32_t> pick(const PickRequest& request, Random& random, Time now);

 private:
  // Members that may be picked from, and where the picking stands.
  struct Pool {
    std::vector<std::uint32_t> members;
    WeightedSchedule schedule;             // empty: all the same
    bool differing_weights = false;
    std::size_t next = 0;                  // round robin over equal weights
  };
  struct Level {
    Pool healthy, degraded;                // in panic all hosts are in `healthy`
    std::vector<Pool> healthy_by_locality, degraded_by_locality;
    std::vector<double> healthy_weights, degraded_weights;   // of the localities
    WeightedSchedule healthy_localities, degraded_localities;
  };

  void build_level(Level& level, const PriorityGroup& group, bool panic, Random& random, Time now);
  void build_localities(Level& level, const PriorityGroup& group, Random& random, Time now);
  Pool make_pool(std::vector<std::uint32_t> members, Random& random, Time now) const;
  Pool* choose_pool(const PriorityChoice& choice, Random& random);
  std::uint32_t pick_from(Pool& pool, Random& random, Time now);
  bool warming(Time now) const { return now < warm_at_; }
  double warmth(std::uint32_t member, Time now) const;
  double weight_now(std::uint32_t member, Time now) const;
  std::uint32_t least_request(const Pool& pool, Random& random) const;
  std::uint32_t peak_ewma(const Pool& pool, Random& random, Time now) const;
  double peak_ewma_cost(std::uint32_t member, Time now) const;

  const HostSet* set_ = nullptr;
  const runtime::Cluster* policy_ = nullptr;
  std::shared_ptr<const HashTables> tables_;
  HostGroups groups_;
  std::vector<Level> levels_;
  ZoneRouting zones_;                      // of priority 0
  Time warm_at_{};                         // the end of the last host's slow start
};

}  // namespace lateen::proxy
