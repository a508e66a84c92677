// Virtual hosts and route tables of a sidecar: one table for each HTTP port, one for each service whose protocol is
// found out from the traffic, and one for HTTP proxy clients.
#pragma once

#include <string>
#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"
#include "xds/resources.h"

namespace lateen::translate {

// `virtual_services` in order of precedence, all gateways.
void add_sidecar_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services, Notes notes,
                        xds::Resources& out);

// The RouteConfiguration of a table, without its virtual hosts.
xds::ResourcePtr route_table_shell(const std::string& table);

// The table that the listener of `port` uses: "9080", or "host:port" for a service of unknown protocol with an address.
std::string route_table_name(const Service& service, const Port& port);

// The names under which clients in `client_namespace` may call a service (as Host headers, without port): the FQDN,
// its short forms, its addresses. `with_port`: each also as "name:port".
struct Domains {
  std::vector<std::string> all;
  std::vector<std::string> short_forms;   // those of `all` that are no full name
};
Domains service_domains(const Service& service, std::string_view client_namespace, std::string_view cluster_domain,
                        std::uint32_t with_port);

}  // namespace lateen::translate
