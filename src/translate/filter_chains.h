// Filter chains of an outbound listener before they become messages: several services may bring chains for one address.
#pragma once

#include <cstdint>
#include <optional>
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
  Protocol http_protocol = Protocol::kUnsupported; // of the port that brought it, where that is HTTP
  bool forward_proxy = false;
  const Service* dynamic = nullptr;                // whose names are looked up when a request comes; null: none
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

// A wildcard whose names are looked up one by one.
bool is_dynamic(const Service& service);

Chain http_chain(std::string route_table, bool sniffed);
// The VirtualServices that have rules for opaque traffic of workloads: the only ones that opaque_chains() looks at.
using OpaqueRules = std::vector<const VisibleVirtualService*>;
OpaqueRules opaque_rules(const std::vector<VisibleVirtualService>& virtual_services);

// One chain for each tls or tcp rule that holds for the client on `port`; without any, all to the service itself.
// `subnets`: the addresses by which the service is told from others on a listener for all of them, if it has such.
// `bind_any`: the listener is bound to every address.
std::vector<Chain> opaque_chains(const Scope& scope, const OpaqueRules& rules, const Service& service, const Port& port,
                                 std::vector<std::string> subnets, bool bind_any);

// Where a tls or tcp rule sends to, as a listener on `port` does it. Nothing where every weight is 0.
std::optional<TcpFilterSettings> tcp_settings(const Scope& scope, const model::L4Route& route,
                                              const VisibleVirtualService& source, std::uint32_t port);
// To one cluster of a service, or of a subset of it.
TcpFilterSettings tcp_settings(const Scope& scope, const Service& service, const std::string& subset, const std::string& cluster);

}  // namespace lateen::translate
