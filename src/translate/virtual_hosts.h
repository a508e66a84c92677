// Virtual hosts and route tables of a sidecar: one table for each HTTP port, one for each service whose protocol is
// found out from the traffic, and one for HTTP proxy clients.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"
#include "xds/resources.h"

namespace lateen::translate {

// For HTTP proxy clients: every service on every port.
inline constexpr const char* kHttpProxyTable = "http_proxy";

// The tables that the listeners ask for. `virtual_services`: all that the view sees, in order of precedence.
void add_sidecar_routes(const Scope& scope, const std::vector<VisibleVirtualService>& virtual_services,
                        const std::set<std::string>& tables, Notes notes, xds::Resources& out);

// The RouteConfiguration of a table, without its virtual hosts.
xds::ResourcePtr route_table_shell(const std::string& table);

// The names under which a client may call a service (as Host headers, without port): the FQDN, its aliases, their short
// forms, its addresses. `with_port`: each also as "name:port".
struct Domains {
  std::vector<std::string> all;
  std::vector<std::string> short_forms;   // those of `all` that are no full name
};
Domains service_domains(const Service& service, const Scope& scope, std::uint32_t with_port);
// "reviews.", "reviews", "reviews.default", ...: what `host` is called besides.
std::vector<std::string> short_names(const std::string& host, std::string_view client_namespace, std::string_view cluster_domain);

}  // namespace lateen::translate
