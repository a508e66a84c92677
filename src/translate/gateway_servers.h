// The servers of all Gateways that select a workload, put together by the address that they listen on.
#pragma once

#include <cstdint>
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
  std::vector<std::string> hosts;      // "host" or "namespace/host", lower case

  // Those of its hosts that VirtualServices of `namespace_` may use.
  std::vector<std::string> hosts_for(const std::string& namespace_) const;
  Origin origin() const;
};

struct GatewayListener {
  std::string bind = "0.0.0.0";
  std::uint32_t port = 0;              // that is listened on
  bool http = false;
  std::string route_table;             // "http.8080"; with an own address "http.8080.10.0.0.1"
  std::vector<GatewayServerSource> servers;
};

// By listener name. Oldest Gateway first; what cannot share an address with an older one is said in `notes`.
std::map<std::string, GatewayListener> gateway_listeners(const Scope& scope, Notes notes);

// The hosts that both lists allow: the narrower of each two that match.
std::vector<std::string> common_hosts(const std::vector<std::string>& servers, const std::vector<std::string>& rules);

}  // namespace lateen::translate
