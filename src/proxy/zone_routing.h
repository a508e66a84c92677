// ZoneRouting: zone-aware routing (envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig): how many requests of
// priority 0 stay in this proxy's own locality, and where the others go. Pure; made anew with the host groups.
//
// It needs to know how the proxies like this one are spread over localities (Envoy's local cluster).
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/host_groups.h"
#include "proxy/random.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

class ZoneRouting {
 public:
  // No routing by zone, until calculate().
  ZoneRouting() = default;

  // `upstream`: the hosts of priority 0 by locality; `local`: those of the local cluster. Off where either has hosts in one
  // locality only, where no proxy is known to be here, or where the upstream cluster is small.
  static ZoneRouting calculate(const PriorityGroup& upstream, const PriorityGroup& local,
                               const runtime::Cluster::ZoneAware& settings);

  bool on() const { return state_ != State::kOff; }
  // The locality for one request, by index into upstream.localities.
  std::size_t choose(Random& random) const;

 private:
  enum class State : std::uint8_t { kOff, kAllLocal, kResidual };
  State state_ = State::kOff;
  std::uint64_t stay_per_10000_ = 0;
  std::vector<std::uint64_t> capacity_sums_;   // of localities 0 .. i, beyond what their own proxies need
};

}  // namespace lateen::proxy
