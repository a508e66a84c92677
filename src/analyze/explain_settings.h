// The settings that hold for a forwarded request, each with where it came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyze/analyze.h"

namespace lateen::analyze {

// Of the route: timeout, tries, faults, rewrites, and its features. `resource` is the key of the route in the provenance.
std::vector<Explanation::Setting> route_settings(const runtime::Route& route, const translate::Provenance& provenance,
                                                 std::string_view resource);

// Of the cluster: balancing, limits, ejection. `hosts`: how many endpoints it has.
std::vector<Explanation::Setting> cluster_settings(const runtime::Cluster& cluster, std::size_t hosts,
                                                   const model::MeshConfig& config,
                                                   const translate::Provenance& provenance);

// What few of them have: CORS, mirrors, stickiness; the protocol and TLS to endpoints, retry budgets.
void add_route_features(const runtime::Route& route, const translate::Provenance& provenance, std::string_view resource,
                        std::vector<Explanation::Setting>& out);
void add_cluster_features(const runtime::Cluster& cluster, const translate::Provenance& provenance,
                          std::vector<Explanation::Setting>& out);
// What there is to say of the load balancer beyond its name; often nothing.
std::string balancing_note(const runtime::Cluster& cluster);

// The origin of a field of a resource; empty if the user wrote nothing of it.
Origin origin_of(const translate::Provenance& provenance, std::string_view resource, std::string_view field);

// How many of `hosts` may be ejected at one time, by Envoy's rule.
std::size_t ejectable(const runtime::OutlierDetection& outlier, std::size_t hosts);

}  // namespace lateen::analyze
