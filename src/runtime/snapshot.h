// What the data plane runs on: Envoy's xDS, compiled. Immutable, shared by every worker, one for each view.
//
// Parts are shared by pointer with the snapshot before wherever the resource did not change. A request pins its virtual
// host and its cluster's policy, never the snapshot. Strings here are Envoy's names; nothing of protobuf is visible, so
// that proxy/ does not see xds/.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cluster.h"
#include "runtime/listener.h"
#include "runtime/route.h"
#include "runtime/tls.h"

namespace lateen::runtime {

struct Snapshot {
  std::uint64_t generation = 0;
  std::map<std::string, std::shared_ptr<const RouteTable>, std::less<>> route_tables;
  std::map<std::string, std::shared_ptr<const Listener>, std::less<>> listeners;
  std::vector<std::shared_ptr<const Cluster>> clusters;         // by ClusterId; null: no such cluster (503 NC)
  std::vector<std::shared_ptr<const EndpointSet>> endpoints;    // by ClusterId; null: none
  std::map<std::string, std::shared_ptr<const Secret>, std::less<>> secrets;
  std::vector<ClusterId> clusters_by_name;                      // of those that `clusters` has, in the order of their names

  // For clusters that a request or an SNI names. kNoCluster if there is none.
  ClusterId find_cluster(std::string_view name) const;
};

}  // namespace lateen::runtime
