// Which endpoints of a cluster a client is to prefer: by the place where they are, by labels, by shares for places.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "model/mesh.h"
#include "translate/registry.h"
#include "translate/translate.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}

namespace lateen::translate {

// Where the client is, and the labels that Istio compares with those of endpoints.
struct ClientPlace {
  std::string locality;                        // "region/zone/subzone"; "" where nobody knows
  Labels labels;                               // the workload's, with those that tell its place
  std::string node = {};                       // of Kubernetes; "" where nobody says
};
// The pod's node is asked first, then what the client says of itself.
ClientPlace client_place(const model::Mesh& mesh, const View& view, const Options& options);

// Nothing, or one of the two settings.
using LocalityChoice = std::variant<std::monostate, const model::LocalityLbSetting*, const model::ZoneAwareLbSetting*>;
// The rule's, else the service's annotation, else the mesh's. One that is turned off hides the others.
LocalityChoice locality_choice(const model::LoadBalancer* rule, const Service& service, const model::Mesh& mesh);

// Whether the service, or its namespace, asks for endpoints that are near.
bool has_traffic_distribution(const Service& service, const model::Mesh& mesh);

// The endpoints of one locality and one priority.
struct EndpointGroup {
  std::string locality;
  std::vector<const Endpoint*> endpoints;
  std::uint32_t weight = 0, priority = 0;
};
// `failover`: somebody notices hosts that fail; otherwise Envoy would never leave the first priority.
void apply_locality(std::vector<EndpointGroup>& groups, const LocalityChoice& choice, const ClientPlace& place, bool failover);

// common_lb_config of a cluster: how it uses the weights of localities.
void apply_locality(envoy::config::cluster::v3::Cluster& out, const LocalityChoice& choice, bool failover);

// Whether the endpoint has all the labels; those that tell its place are labels as well.
bool has_labels(const Endpoint& endpoint, const Labels& wanted, const std::string& cluster_id);

}  // namespace lateen::translate
