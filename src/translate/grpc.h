// What gRPC clients and servers that speak xDS themselves are told (GENERATOR=grpc). They ask for everything by name but
// for listeners, which may be asked for without: one for each port of each service.
#pragma once

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_grpc_listeners(const Scope& scope, xds::Resources& out);

}  // namespace lateen::translate
