// Filter chains of an outbound listener before they become messages: several services may bring chains for one address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "translate/network_filters.h"
#include "translate/scope.h"
#include "translate/virtual_services.h"

namespace lateen::translate {

struct Chain {
  std::vector<std::string> server_names;           // SNI; empty: any
  std::vector<std::string> destinations;           // CIDR or address; empty: any
  std::vector<std::string> application_protocols;  // as sniffed; empty: any
  bool only_plain_text = false;                    // transport protocol raw_buffer
  const model::Object* config = nullptr;           // the VirtualService that made it
  std::string route_table;                         // HTTP; empty: TCP
  bool forward_proxy = false;
  TcpFilterSettings tcp;
  bool mongo = false;

  bool matches_all() const {
    return (server_names.empty() || has_any_name()) && destinations.empty() && application_protocols.empty() &&
           !only_plain_text;
  }
  bool has_any_name() const;
  // Envoy refuses two chains of one listener with the same match.
  bool same_match(const Chain& other) const;
};

Chain http_chain(std::string route_table, bool sniffed);
// The VirtualServices that have rules for opaque traffic of workloads: the only ones that opaque_chains() looks at.
using OpaqueRules = std::vector<const VisibleVirtualService*>;
OpaqueRules opaque_rules(const std::vector<VisibleVirtualService>& virtual_services);

// One chain for each tls or tcp rule that holds for the client on `port`; without any, all to the service itself.
// `bind_any`: the listener is bound to 0.0.0.0.
std::vector<Chain> opaque_chains(const Scope& scope, const OpaqueRules& rules, const Service& service, const Port& port,
                                 bool bind_any);

// Of the tcp rules of one VirtualService that is bound to a gateway's server on `port`.
std::vector<Chain> gateway_tcp_chains(const Scope& scope, const VisibleVirtualService& source,
                                      const std::string& gateway, std::uint32_t port);

}  // namespace lateen::translate
