// What stands between a cluster's connections and TCP: TLS, a PROXY header before it, both or nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "proxy/tls_contexts.h"
#include "runtime/cluster.h"
#include "stream/client_pool.h"

namespace lateen::proxy {

// Where connectors find contexts and secrets. Both outlive what is made with them.
struct TransportSource {
  TlsContexts* contexts = nullptr;
  const SecretSource* secrets = nullptr;
};

// For whom a connection is made. The views are copied where they are kept.
struct ConnectionWish {
  std::string_view authority;                 // the request's, for auto_sni; with or without a port
  const net::Address* source = nullptr;       // of the client, for PROXY headers; null: nobody's
  const net::Address* destination = nullptr;
};

// What connections to this endpoint get: the cluster's transport_socket_matches, held against the endpoint's metadata.
const runtime::Transport& transport_of(const runtime::Cluster& cluster, const runtime::EndpointSet* endpoints,
                                       const runtime::Endpoint& endpoint);

// What of the wish makes connections of one host different from others; "" for most clusters.
std::string connection_key(const runtime::Transport& transport, const ConnectionWish& wish);

// Null for plain TCP. `host`: the endpoint's name or address, for auto_host_sni. `default_alpn`: where the settings of
// TLS have none.
std::shared_ptr<const stream::Connector> make_connector(const runtime::Transport& transport, const ConnectionWish& wish,
                                                        std::string_view host, std::vector<std::string> default_alpn,
                                                        const TransportSource& source);

}  // namespace lateen::proxy
