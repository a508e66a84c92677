// The inbound side of a workload, as istiod configures it: the listener that takes captured connections to the
// workload, and a cluster for each of its ports.
#pragma once

#include <vector>

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_inbound_listeners(const Scope& scope, const std::vector<ServiceTarget>& targets, xds::Resources& out);
void add_inbound_clusters(const Scope& scope, const std::vector<ServiceTarget>& targets, xds::Resources& out);

}  // namespace lateen::translate
