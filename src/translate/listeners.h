// The outbound listeners of a sidecar: one for each HTTP port, one for each address of an opaque service, the one that
// takes captured connections that nobody else does, and one for HTTP proxy clients.
#pragma once

#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_sidecar_listeners(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                           xds::Resources& out);

}  // namespace lateen::translate
