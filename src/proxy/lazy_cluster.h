// LazyCluster: a cluster of one view that costs next to nothing until a request goes there. A mesh has thousands of
// clusters and a client talks to a few; hosts, counters and limits of the others are not made.
//
// Everything may be called from any thread: what Cluster leaves to one thread at a time is done under a lock here.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "proxy/cluster.h"

namespace lateen::proxy {

class LazyCluster {
 public:
  // `services` must outlive the cluster.
  LazyCluster(SharedText name, runtime::ClusterId id, unsigned workers, const ClusterServices& services)
      : name_(std::move(name)), id_(id), workers_(workers), services_(services) {}

  // As the functions of Cluster.
  void set_policy(std::shared_ptr<const runtime::Cluster> policy, Time now);
  void set_endpoints(std::shared_ptr<const runtime::EndpointSet> endpoints, Time now);
  void rebuild_tables();
  std::optional<Time> on_tick(Time now);
  ClusterStatus status(Time now) const;

  // The cluster, made if it was not; lives as long as this object.
  Cluster& get(Time now);

 private:
  // With `lock_` held.
  std::unique_ptr<Cluster> make(Time now) const;

  const SharedText name_;
  const runtime::ClusterId id_;
  const unsigned workers_;
  const ClusterServices& services_;
  mutable std::mutex lock_;
  // Of a cluster that is not made yet.
  std::shared_ptr<const runtime::Cluster> policy_;
  std::shared_ptr<const runtime::EndpointSet> endpoints_;
  Time endpoints_since_{};
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace lateen::proxy
