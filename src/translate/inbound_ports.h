// The ports on which a workload's proxy takes connections for the workload: those of the services that it belongs to,
// or the ingress listeners of its Sidecar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "translate/scope.h"

namespace lateen::translate {

struct InboundPort {
  std::uint32_t target = 0;                    // where connections arrive
  std::uint32_t number = 0;                    // of the service; differs from `target` where the service says so
  Protocol protocol = Protocol::kUnsupported;
  std::string port_name;
  std::string host;                            // whose requests these are, for traces
  std::string bind;
  bool own_listener = false;                   // bound to its port, not fed by capture
  const model::Object* config = nullptr;       // the Sidecar that asks for it; null: a service
  const model::IstioIngressListener* listener = nullptr;
  std::vector<const ServiceTarget*> targets;   // all on this port, the one that decides first; empty: none

  std::string name() const { return bind + "_" + std::to_string(target); }
  std::string cluster() const { return "inbound|" + std::to_string(target) + "||"; }
};

// By target port. `targets` outlives the result.
std::vector<InboundPort> inbound_ports(const Scope& scope, const std::vector<ServiceTarget>& targets);

// Whether a proxy without privileges, and beside its own listeners, can have a listener there. `bind` may be empty.
bool can_bind(const Scope& scope, bool own_listener, const std::string& bind, std::uint32_t port, Protocol protocol);

}  // namespace lateen::translate
