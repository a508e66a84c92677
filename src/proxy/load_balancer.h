// LoadBalancer: picks a host of one cluster for one try. One for each worker and cluster; pure, randomness is an argument.
//
// Envoy's rules: priorities are filled from 0 upwards with an overprovisioning factor of 1.4; a priority below the panic
// threshold uses all its hosts; round robin and least request honour weights, random does not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/host.h"
#include "proxy/random.h"
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

struct BalancerSettings {
  runtime::Cluster::Balancer balancer = runtime::Cluster::Balancer::kLeastRequest;
  std::uint32_t least_request_choices = 2;
  std::uint32_t panic_threshold_percent = 50;
  bool operator==(const BalancerSettings&) const = default;
};

class LoadBalancer {
 public:
  // Takes over a host set, or the same one after its health has changed. `members` must outlive the next rebuild.
  void rebuild(std::span<const Member> members, const BalancerSettings& settings, Random& random);

  // The index of a member, or nothing where no host may be used.
  std::optional<std::uint32_t> pick(Random& random);

 private:
  // The hosts of one priority that may be used now.
  struct Priority {
    std::uint32_t load_percent = 0;
    bool weighted = false;                 // the weights differ
    std::vector<std::uint32_t> members;
    WeightedSchedule schedule;
    std::size_t next = 0;                  // round robin over equal weights
  };

  void share_load(std::span<const std::uint32_t> host_counts, std::span<const std::uint32_t> usable_counts);
  void fill(Priority& priority, std::uint32_t level, bool panic);
  void prepare(Priority& priority, Random& random);
  Priority* choose_priority(Random& random);
  double weight_now(std::uint32_t member) const;
  std::uint32_t least_request(const Priority& priority, Random& random) const;

  std::span<const Member> members_;
  BalancerSettings settings_;
  std::vector<Priority> priorities_;
};

}  // namespace lateen::proxy
