// What a rule waits for before it can serve.
#pragma once

#include <optional>
#include <string>

#include "admit/registry_index.h"
#include "model/mesh.h"

namespace lateen::admit {

struct Wait {
  std::string reason;     // "waits for subset v2 of reviews.default.svc.cluster.local: ..."
  std::string field_path; // of the field that refers to what is not there
  bool blocks = true;     // the rule's traffic would fail; false: it only has no effect yet
};

// The first thing that `object` refers to and that is not there, or nullopt when it can serve.
std::optional<Wait> first_wait(const model::Object& object, const RegistryIndex& index, const model::MeshConfig& config);

}  // namespace lateen::admit
