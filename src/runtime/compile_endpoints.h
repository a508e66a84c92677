// Endpoints: envoy.config.endpoint.v3.ClusterLoadAssignment to runtime values.
#pragma once

#include <memory>

#include "runtime/compile_fields.h"
#include "runtime/snapshot.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}

namespace lateen::runtime {

// Null if refused; what is not supported is refused too: an endpoint cannot say so by itself.
std::shared_ptr<const EndpointSet> compile_endpoints(const envoy::config::endpoint::v3::ClusterLoadAssignment& proto,
                                                     std::uint64_t content_hash, Fields& fields);

}  // namespace lateen::runtime
