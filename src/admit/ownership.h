// Several VirtualServices on one mesh host: the oldest owns it (OBSERVED.md, g). Several DestinationRules on one host:
// the oldest one's trafficPolicy holds, the others only add subsets.
#pragma once

#include <map>

#include "admit/admit.h"

namespace lateen::admit {

// Writes kNotInEffect into `status` for each object of `objects` whose every host belongs to another, and a reason into
// those that lose only in part.
void settle_ownership(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config,
                      std::map<model::Key, Status>& status);

}  // namespace lateen::admit
