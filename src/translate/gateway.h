// Gateways: the listeners and route tables of a gateway workload, from the Gateway objects that select it and the
// VirtualServices that are bound to these.
#pragma once

#include <string>
#include <vector>

#include "translate/gateway_servers.h"
#include "translate/scope.h"
#include "translate/virtual_services.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_gateway(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services, Notes notes,
                 xds::Resources& out);

// gateway_routes.cc: the table that the HTTP traffic of `servers` is routed by.
xds::RouteConfigurationParts gateway_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                                            const std::string& table, const std::vector<const GatewayServerSource*>& servers,
                                            Notes notes);
// The hosts of a VirtualService in full, in the case in which they were written: as Gateways compare them.
std::vector<std::string> written_hosts(const Scope& scope, const VisibleVirtualService& vs);

}  // namespace lateen::translate
