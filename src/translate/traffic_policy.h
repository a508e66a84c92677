// DestinationRule traffic policy -> the settings of a cluster: limits, outlier detection, load balancing.
#pragma once

#include "model/mesh.h"
#include "translate/protocol.h"
#include "translate/translate.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}
namespace envoy::extensions::upstreams::http::v3 {
class HttpProtocolOptions;
}

namespace lateen::translate {

struct PolicyInput {
  const model::PolicyBlocks& blocks;
  const model::TrafficPolicy* whole = nullptr;   // for retryBudget, which no port overrides; null: none
  Protocol protocol = Protocol::kUnsupported;
  Compat compat = Compat::kLateen;
  const model::MeshConfig& config;
};

// `out` has its type already. Leaves `http` empty where nothing asks for protocol options.
void apply_policy(envoy::config::cluster::v3::Cluster& out,
                  envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const PolicyInput& input);

// Every limit at its maximum: Envoy's own defaults (1024 and 3) would limit where the user set nothing.
void apply_no_limits(envoy::config::cluster::v3::Cluster& out);

}  // namespace lateen::translate
