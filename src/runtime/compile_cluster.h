// Clusters: envoy.config.cluster.v3.Cluster to runtime values.
#pragma once

#include <memory>

#include "runtime/compile_fields.h"
#include "runtime/compile_tls.h"
#include "runtime/snapshot.h"

namespace envoy::config::cluster::v3 {
class Cluster;
class OutlierDetection;
}  // namespace envoy::config::cluster::v3

namespace lateen::runtime {

struct CompiledCluster {
  std::shared_ptr<const Cluster> cluster;          // null if refused
  std::shared_ptr<const EndpointSet> endpoints;    // the resource's own load_assignment; null for kEds
};

// What is valid but not carried out stands in Cluster::unsupported, and requests to the cluster are answered with it.
CompiledCluster compile_cluster(const envoy::config::cluster::v3::Cluster& proto, std::uint64_t content_hash, ClusterId id,
                                Fields& fields);

// For compile_cluster. The type of the cluster must be known already.
void compile_balancer(const envoy::config::cluster::v3::Cluster& proto, Cluster& out, Fields& fields);
// Outlier detection must be compiled already: which statuses are errors stands here.
UpstreamNames compile_http_options(const envoy::config::cluster::v3::Cluster& proto, Cluster& out, Fields& fields);
// type, cluster_type, DNS and EDS.
void compile_discovery(const envoy::config::cluster::v3::Cluster& proto, Cluster& out, Fields& fields);
OutlierDetection compile_outlier_detection(const envoy::config::cluster::v3::OutlierDetection& proto, Fields& fields);

// The transport that an endpoint with this metadata gets: null for the cluster's own.
const Cluster::TransportMatch* find_transport(const Cluster& cluster, const TransportMetadata& metadata);

// Why `cluster` cannot be used with these endpoints: their metadata selects a transport socket that is not supported.
// "" if nothing is in the way.
std::string transport_problem(const Cluster& cluster, const EndpointSet& endpoints);

}  // namespace lateen::runtime
