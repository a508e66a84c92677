// Every cluster of a view, with the endpoints of those whose endpoints travel apart (EDS).
#pragma once

#include "translate/scope.h"
#include "xds/resources.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}

namespace lateen::translate {

void add_clusters(const Scope& scope, Notes notes, xds::Resources& out);

// To where the connection was meant to go.
envoy::config::cluster::v3::Cluster passthrough_cluster(const Scope& scope, const char* name);

}  // namespace lateen::translate
