#include "runtime/snapshot.h"

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

std::size_t ClusterNames::size() const { return names_.size(); }

}  // namespace lateen::runtime
