// Clusters: envoy.config.cluster.v3.Cluster to runtime values.
#pragma once

#include <memory>

#include "runtime/compile_fields.h"
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

OutlierDetection compile_outlier_detection(const envoy::config::cluster::v3::OutlierDetection& proto, Fields& fields);

// Why `cluster` cannot be used with these endpoints: the endpoint metadata selects a transport socket that is not
// plain. "" if nothing is in the way.
std::string transport_problem(const Cluster& cluster, const EndpointSet& endpoints);

}  // namespace lateen::runtime
