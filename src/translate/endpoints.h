// Endpoints of a service's port, or of a subset of it, as Envoy wants them.
#pragma once

#include <string>

#include "translate/registry.h"
#include "translate/translate.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}

namespace lateen::translate {

// Those of `port` that have all of `labels` (null: all), grouped by locality.
void fill_load_assignment(envoy::config::endpoint::v3::ClusterLoadAssignment& out, const std::string& cluster,
                          const Service& service, const Port& port, const Labels* labels, const Options& options);

}  // namespace lateen::translate
