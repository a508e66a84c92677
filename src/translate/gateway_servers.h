// The servers of all Gateways that select a workload, put together by the address that they listen on.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "translate/scope.h"

namespace lateen::translate {

struct GatewayServerSource {
  const model::Object* object = nullptr;
  const model::GatewayServer* server = nullptr;
  std::size_t index = 0;               // in its Gateway
  std::string gateway;                 // "namespace/name"
  std::vector<std::string> hosts;      // "host" or "namespace/host", as written
  std::string route_table;             // of HTTP, and of HTTPS that ends here; "" for opaque traffic

  // Those of its hosts that VirtualServices of `namespace_` may use.
  std::vector<std::string> hosts_for(const std::string& namespace_) const;
  // Names that clients may ask for in a TLS handshake.
  std::vector<std::string> server_names() const;
  bool has_tls() const { return server->tls.has_value(); }
  bool is_passthrough() const;         // TLS that is passed on as it is
  bool is_auto_passthrough() const;    // ... to the cluster that the SNI names
  Origin origin() const;
};

// Servers that stand on one address with one protocol.
struct GatewayPort {
  std::string bind;                    // "" for all addresses
  std::uint32_t port = 0;              // that is listened on; 0 for a unix socket
  std::string protocol;
  std::vector<const GatewayServerSource*> servers;

  bool http() const;                   // plain HTTP: one chain for all servers
};

// In the order in which they came up. Oldest Gateway first; what cannot share an address with an older one is said in
// `notes`. The rules are istiod's, with all their corners.
struct MergedGateway {
  std::deque<GatewayServerSource> sources;
  std::vector<GatewayPort> ports;
  std::map<std::string, std::vector<const GatewayServerSource*>> by_table;
  bool auto_passthrough = false;   // some server passes mTLS on by its SNI
};
MergedGateway merged_gateway(const Scope& scope, Notes notes);

// Whether a server passes mTLS on by its SNI alone: to clusters of their own.
bool has_auto_passthrough(const Scope& scope);

// The hosts that both lists allow: the narrower of each two that match.
std::vector<std::string> common_hosts(const std::vector<std::string>& servers, const std::vector<std::string>& rules);

}  // namespace lateen::translate
