// DestinationRule traffic policy -> the settings of a cluster: limits, outlier detection, load balancing.
#pragma once

#include "model/mesh.h"
#include "translate/destination_rules.h"
#include "translate/locality.h"
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
  const EffectivePolicy& policy;
  Protocol protocol = Protocol::kUnsupported;
  Compat compat = Compat::kLateen;
  const model::MeshConfig& config;
  bool sidecar = true;                           // a gateway does not sniff, and so speaks one protocol upstream
  bool outbound = true;                          // the server's side is never upgraded to HTTP/2
  LocalityChoice locality = {};
  bool tells_unhealthy = false;                  // of endpoints in any health, so that there is nothing to panic about
};

// `out` has its type already. Leaves `http` empty where nothing asks for protocol options.
void apply_policy(envoy::config::cluster::v3::Cluster& out,
                  envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const PolicyInput& input);

// The part of it that is about connections: time outs, limits, protocol. All that there is on the server's side.
void apply_connection_policy(envoy::config::cluster::v3::Cluster& out,
                             envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const PolicyInput& input);

// Only the limits of `pool` (null: none), every other at its maximum: Envoy's own defaults (1024 and 3) would limit where
// the user set nothing. For clusters that no rule is about.
void apply_limits(envoy::config::cluster::v3::Cluster& out,
                  envoy::extensions::upstreams::http::v3::HttpProtocolOptions& http, const model::ConnectionPool* pool,
                  const model::MeshConfig& config);

}  // namespace lateen::translate
