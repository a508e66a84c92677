#include "proxy/view_state.h"

#include <algorithm>

namespace lateen::proxy {
namespace {

template <class T>
std::shared_ptr<const T> entry(const std::vector<std::shared_ptr<const T>>& list, std::size_t index) {
  return index < list.size() ? list[index] : nullptr;
}

}  // namespace

void ViewState::adopt(std::shared_ptr<const runtime::Snapshot> snapshot, Time now) {
  static const runtime::Snapshot kEmpty;
  const runtime::Snapshot& before = snapshot_ == nullptr ? kEmpty : *snapshot_;
  const std::size_t count = std::max(clusters_.size(), snapshot->clusters.size());
  bool grew = false;
  clusters_.resize(count);
  for (std::size_t id = 0; id < count; ++id) {
    std::shared_ptr<const runtime::Cluster> policy = entry(snapshot->clusters, id);
    std::shared_ptr<const runtime::EndpointSet> endpoints = entry(snapshot->endpoints, id);
    const bool new_policy = policy != entry(before.clusters, id);
    const bool new_endpoints = endpoints != entry(before.endpoints, id);
    if (clusters_[id] == nullptr) {
      if (policy == nullptr) continue;
      clusters_[id] = std::make_unique<LazyCluster>(policy->name, static_cast<runtime::ClusterId>(id), workers_, services_);
      grew = true;
    } else if (!new_policy && !new_endpoints) {
      continue;
    }
    // Endpoints of a cluster that comes back are new to it as well. Names are resolved elsewhere.
    const bool comes_back = new_policy && entry(before.clusters, id) == nullptr;
    const bool by_name = policy != nullptr && resolves_names(*policy);
    if (policy != nullptr && !by_name && (new_endpoints || comes_back)) clusters_[id]->set_endpoints(std::move(endpoints), now);
    if (new_policy) clusters_[id]->set_policy(std::move(policy), now);
  }
  snapshot_ = std::move(snapshot);
  if (!grew) return;
  auto table = std::make_shared<ClusterTable>();
  for (const auto& cluster : clusters_) table->push_back(cluster.get());
  table_ = std::move(table);
}

void ViewState::set_resolved(runtime::ClusterId id, std::shared_ptr<const runtime::EndpointSet> endpoints, Time now) {
  if (id < clusters_.size() && clusters_[id] != nullptr) clusters_[id]->set_endpoints(std::move(endpoints), now);
}

void ViewState::rebuild_tables(runtime::ClusterId id) {
  if (id < clusters_.size() && clusters_[id] != nullptr) clusters_[id]->rebuild_tables();
}

std::optional<Time> ViewState::on_tick(Time now) {
  std::optional<Time> next;
  for (const auto& cluster : clusters_) {
    if (cluster == nullptr) continue;
    const std::optional<Time> at = cluster->on_tick(now);
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

std::vector<ClusterStatus> ViewState::clusters(Time now) const {
  std::vector<ClusterStatus> out;
  for (std::size_t id = 0; id < clusters_.size(); ++id) {
    // Clusters that have gone are not shown; their counters come back with them.
    if (clusters_[id] == nullptr || entry(snapshot_->clusters, id) == nullptr) continue;
    out.push_back(clusters_[id]->status(now));
  }
  return out;
}

}  // namespace lateen::proxy
