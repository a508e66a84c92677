#include "sources/registrations.h"

namespace lateen::sources {

Result<Registrations::Owner> Registrations::add(std::vector<model::ObjectPtr> objects) {
  if (by_owner_.size() >= kOwnersMax)
    return fail(ErrorCode::kOverLimit, "more than " + std::to_string(kOwnersMax) + " workloads are registered");
  if (objects.size() > kObjectsPerOwnerMax)
    return fail(ErrorCode::kOverLimit, "a workload may bring " + std::to_string(kObjectsPerOwnerMax) + " objects at most");
  for (const model::ObjectPtr& object : objects) {
    const auto known = objects_.find(object->key());
    if (known != objects_.end() && known->second->content_hash != object->content_hash)
      return fail(ErrorCode::kConflict, "another workload has registered it with other content", object->origin());
  }
  const Owner owner = next_++;
  std::vector<model::Key>& keys = by_owner_[owner];
  for (model::ObjectPtr& object : objects) {
    const model::Key key = object->key();
    keys.push_back(key);
    ++uses_[key];
    objects_.try_emplace(key, std::move(object));
  }
  return owner;
}

void Registrations::remove(Owner owner) {
  const auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return;
  for (const model::Key& key : found->second) {
    const auto uses = uses_.find(key);
    if (--uses->second > 0) continue;
    uses_.erase(uses);
    objects_.erase(key);
  }
  by_owner_.erase(found);
}

}  // namespace lateen::sources
