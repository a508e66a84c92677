// The seam between the two halves: named Envoy v3 resources with content hashes, for one view.
//
// Resources cross as serialised bytes, so that neither half sees the other's objects and a dump costs nothing to keep.
// Virtual hosts travel singly (VHDS granularity); RouteConfigurations are put together only for the wire and for dumps.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lateen::xds {

struct Resource {
  std::string name;
  std::string bytes;        // the serialised message, deterministic
  std::uint64_t hash = 0;   // of bytes
};
using ResourcePtr = std::shared_ptr<const Resource>;

// Ordered by name: output is diffed.
using ResourceMap = std::map<std::string, ResourcePtr, std::less<>>;

// A RouteConfiguration without its virtual hosts, and these in their order.
struct RouteConfigurationParts {
  ResourcePtr shell;
  std::vector<ResourcePtr> virtual_hosts;
};

struct Resources {
  ResourceMap clusters;                                            // envoy.config.cluster.v3.Cluster
  ResourceMap endpoints;                                           // envoy.config.endpoint.v3.ClusterLoadAssignment
  ResourceMap listeners;                                           // envoy.config.listener.v3.Listener
  std::map<std::string, RouteConfigurationParts, std::less<>> routes;
  ResourceMap secrets;                                             // envoy.extensions.transport_sockets.tls.v3.Secret
  ResourceMap extension_configs;                                   // envoy.config.core.v3.TypedExtensionConfig
};

// 64-bit content hash, the same on every machine and in every run.
std::uint64_t content_hash(std::string_view bytes);

}  // namespace lateen::xds
