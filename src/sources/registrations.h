// Objects that live as long as a connection: the workloads of trials that announce themselves.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "model/mesh.h"

namespace lateen::sources {

class Registrations {
 public:
  using Owner = std::uint64_t;
  static constexpr std::size_t kOwnersMax = 4'096;
  static constexpr std::size_t kObjectsPerOwnerMax = 16;

  // Several owners may bring one and the same object (the Service of two versions); it stays until the last one goes.
  // Errors: kConflict where another owner has an object of that key with other content; kOverLimit.
  Result<Owner> add(std::vector<model::ObjectPtr> objects);
  void remove(Owner owner);
  std::size_t size() const { return by_owner_.size(); }
  const std::map<model::Key, model::ObjectPtr>& objects() const { return objects_; }

 private:
  Owner next_ = 1;
  std::map<Owner, std::vector<model::Key>> by_owner_;
  std::map<model::Key, std::size_t> uses_;
  std::map<model::Key, model::ObjectPtr> objects_;
};

}  // namespace lateen::sources
