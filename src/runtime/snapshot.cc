#include "runtime/snapshot.h"

#include <algorithm>

namespace lateen::runtime {

ClusterId ClusterNames::id(std::string_view name) {
  if (const auto known = ids_.find(name)) return *known;
  const auto id = static_cast<ClusterId>(names_.size());
  names_.emplace_back(name);
  ids_.insert(names_.back(), id);
  return id;
}

std::optional<ClusterId> ClusterNames::find(std::string_view name) const { return ids_.find(name); }

const SharedText& ClusterNames::name(ClusterId id) const {
  LATEEN_CHECK(id < names_.size());
  return names_[id];
}

ClusterId Snapshot::find_cluster(std::string_view name) const {
  const auto it = std::lower_bound(clusters_by_name.begin(), clusters_by_name.end(), name,
                                   [this](ClusterId id, std::string_view wanted) { return clusters[id]->name < wanted; });
  return it != clusters_by_name.end() && clusters[*it]->name == name ? *it : kNoCluster;
}

std::size_t ClusterNames::size() const { return names_.size(); }

}  // namespace lateen::runtime
