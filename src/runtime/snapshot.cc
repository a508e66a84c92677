#include "runtime/snapshot.h"

#include <algorithm>

namespace lateen::runtime {

ClusterId ClusterNames::id(std::string_view name) {
  if (const auto it = ids_.find(name); it != ids_.end()) return it->second;
  const auto added = ids_.emplace(std::string(name), static_cast<ClusterId>(names_.size())).first;
  names_.push_back(&added->first);  // keys of a map do not move
  return added->second;
}

std::optional<ClusterId> ClusterNames::find(std::string_view name) const {
  const auto it = ids_.find(name);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

const std::string& ClusterNames::name(ClusterId id) const {
  LATEEN_CHECK(id < names_.size());
  return *names_[id];
}

ClusterId Snapshot::find_cluster(std::string_view name) const {
  const auto it = std::lower_bound(clusters_by_name.begin(), clusters_by_name.end(), name,
                                   [this](ClusterId id, std::string_view wanted) { return clusters[id]->name < wanted; });
  return it != clusters_by_name.end() && clusters[*it]->name == name ? *it : kNoCluster;
}

std::size_t ClusterNames::size() const { return names_.size(); }

}  // namespace lateen::runtime
