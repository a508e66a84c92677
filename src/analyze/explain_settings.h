// The settings that hold for a forwarded request, each with where it came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyze/analyze.h"

namespace lateen::analyze {

// Of the route: timeout, tries, faults, rewrites. `resource` is the key of the route in the provenance.
std::vector<Explanation::Setting> route_settings(const runtime::Route& route, const translate::Provenance& provenance,
                                                 std::string_view resource);

// Of the cluster: balancing, limits, ejection. `hosts`: how many endpoints it has.
std::vector<Explanation::Setting> cluster_settings(const runtime::Cluster& cluster, std::size_t hosts,
                                                   const model::MeshConfig& config,
                                                   const translate::Provenance& provenance);

// The origin of a field of a resource; empty if the user wrote nothing of it.
Origin origin_of(const translate::Provenance& provenance, std::string_view resource, std::string_view field);

// How many of `hosts` may be ejected at one time, by Envoy's rule.
std::size_t ejectable(const runtime::OutlierDetection& outlier, std::size_t hosts);

}  // namespace lateen::analyze
