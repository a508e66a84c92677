// The outbound listeners of a sidecar: one for each HTTP port, one for each address of an opaque service, the one that
// takes captured connections that nobody else does, and one for HTTP proxy clients.
#pragma once

#include <set>
#include <string>

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

// Returns the route tables that they ask for.
std::set<std::string> add_sidecar_listeners(const Scope& scope, xds::Resources& out);

}  // namespace lateen::translate
