// The classes of objects that EnvoyFilters change, one function each. Where istiod breaks off, what was done so far stays.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "translate/envoy_filter_patches.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}
namespace envoy::config::listener::v3 {
class Listener;
}
namespace envoy::config::route::v3 {
class RouteConfiguration;
}

namespace lateen::translate {

enum class Patched : std::uint8_t { kStays, kRemoved };

// Everything but the adding of listeners.
Patched patch_listener(const EnvoyPatches& patches, model::PatchContext context, envoy::config::listener::v3::Listener& listener);

// Route configurations: their port is that of the name; for a gateway also those of the servers that are behind it.
using PortsOfServers = std::map<std::uint32_t, std::set<std::uint32_t>>;
void patch_route_configuration(const EnvoyPatches& patches, model::PatchContext context, const PortsOfServers& ports,
                               envoy::config::route::v3::RouteConfiguration& routes);

Patched patch_cluster(const EnvoyPatches& patches, model::PatchContext context, envoy::config::cluster::v3::Cluster& cluster);

}  // namespace lateen::translate
