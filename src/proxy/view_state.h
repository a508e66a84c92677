// ViewState: what the control thread keeps of one view: its snapshot and the clusters that ever were in it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "proxy/lazy_cluster.h"
#include "proxy/worker_view.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

class ViewState {
 public:
  explicit ViewState(unsigned workers, ClusterServices services = {})
      : workers_(workers), services_(std::move(services)), table_(std::make_shared<const ClusterTable>()) {}

  // Takes over policies and endpoints; what is the same object as before costs a comparison.
  void adopt(std::shared_ptr<const runtime::Snapshot> snapshot, Time now);
  // Addresses that a name resolved to; the endpoints of the snapshot no longer count for that cluster.
  void set_resolved(runtime::ClusterId id, std::shared_ptr<const runtime::EndpointSet> endpoints, Time now);
  // What ClusterServices::on_tables_stale asked for.
  void rebuild_tables(runtime::ClusterId id);

  const std::shared_ptr<const runtime::Snapshot>& snapshot() const { return snapshot_; }
  const std::shared_ptr<const ClusterTable>& table() const { return table_; }
  // Runs the intervals that are due; when the next one is.
  std::optional<Time> on_tick(Time now);
  std::vector<ClusterStatus> clusters(Time now) const;

  static bool resolves_names(const runtime::Cluster& cluster) {
    return cluster.discovery == runtime::Cluster::Discovery::kStrictDns ||
           cluster.discovery == runtime::Cluster::Discovery::kLogicalDns;
  }

 private:
  const unsigned workers_;
  const ClusterServices services_;
  std::shared_ptr<const runtime::Snapshot> snapshot_;
  std::vector<std::unique_ptr<LazyCluster>> clusters_;          // by ClusterId; null: never seen
  std::shared_ptr<const ClusterTable> table_;
};

}  // namespace lateen::proxy
