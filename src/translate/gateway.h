// Gateways: the listeners and route tables of a gateway workload, from the Gateway objects that select it and the
// VirtualServices that are bound to these.
#pragma once

#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_gateway(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services, Notes notes,
                 xds::Resources& out);

}  // namespace lateen::translate
