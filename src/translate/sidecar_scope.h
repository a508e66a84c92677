// What a workload sees of the mesh: everything that is exported to it, or what the Sidecar that holds for it lets in.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"

namespace lateen::translate {

// An egress listener with what it lets in. Listeners and routes of its ports are made of nothing else.
struct EgressListener {
  const model::IstioEgressListener* spec = nullptr;      // null: no Sidecar says anything
  std::vector<const Service*> services;                  // older ones first
  const std::vector<VisibleVirtualService>* virtual_services = nullptr;

  bool has_port() const { return spec != nullptr && spec->port.has_value(); }
};

// Keeps pointers into all that it is made of, which must outlive it.
class SidecarScope {
 public:
  // `virtual_services`: all that the view sees, in order of precedence.
  SidecarScope(const model::Mesh& mesh, const View& view, const Registry& registry,
               const std::vector<VisibleVirtualService>& virtual_services);
  // Of a gateway: all that is exported to it.
  SidecarScope(const View& view, const Registry& registry);
  SidecarScope(const SidecarScope&) = delete;
  SidecarScope& operator=(const SidecarScope&) = delete;

  // Null where no Sidecar holds for the workload.
  const model::Object* object() const { return object_; }
  const model::Sidecar* spec() const { return spec_; }
  bool has_ingress() const { return spec_ != nullptr && !spec_->ingress.empty(); }

  const std::vector<EgressListener>& egress() const { return egress_; }
  // The one whose services the routes of a port are for; null if no listener has it. `bind` matters for port 0 alone.
  const EgressListener* egress_on(std::uint32_t port, const std::string& bind) const;
  // Of all egress listeners together: what clusters are made for.
  const ServicesByHost& services() const { return services_; }

  bool allows_any() const { return allows_any_; }
  // The cluster for connections to unknown addresses.
  std::string cluster_for_unknown() const;
  // Limits of an inbound port: its listener's, else the Sidecar's; null if neither has any.
  const model::ConnectionPool* inbound_pool(std::uint32_t port) const;

 private:
  void add_listener(const View& view, const Registry& registry, const model::IstioEgressListener* spec,
                    const std::vector<VisibleVirtualService>& all);
  void add_union(const Registry& registry, const View& view);
  void add_to_union(const Service& service);
  // The service itself, or one with those of its ports alone; null if it has none of them.
  const Service* with_ports(const Service& service, const std::vector<std::uint32_t>& ports);
  // The service itself, or one with those of its aliases alone.
  const Service* with_aliases(const Service& service, const std::function<bool(const std::string&)>& wanted);

  const model::Object* object_ = nullptr;
  const model::Sidecar* spec_ = nullptr;
  bool allows_any_ = true;
  std::vector<EgressListener> egress_;
  ServicesByHost services_;
  std::deque<Service> made_;                                     // services with some of their ports
  std::deque<std::vector<VisibleVirtualService>> selected_;      // for listeners that do not take all
};

}  // namespace lateen::translate
