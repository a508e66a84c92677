// TLS that a gateway's server ends: certificates, what is asked of clients, versions and ciphers.
#pragma once

#include "model/gateway.h"
#include "model/mesh_config.h"

namespace envoy::config::core::v3 {
class TransportSocket;
}

namespace lateen::translate {

// `opaque`: behind it is no HTTP. Not for modes that pass TLS on.
void fill_downstream_tls(envoy::config::core::v3::TransportSocket& out, const model::ServerTls& tls,
                         const model::MeshTls& defaults, bool opaque);

}  // namespace lateen::translate
