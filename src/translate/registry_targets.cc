// What a workload serves itself: the services that select it, by its pod's labels or by what its node says.
#include <algorithm>
#include <set>
#include <utility>

#include "translate/names.h"
#include "translate/registry.h"

namespace lateen::translate {
namespace {

// A port that Kubernetes was not told a target for has the port itself as target.
std::uint32_t plain_target(const Port& port) { return port.target != 0 ? port.target : port.number; }

// The port on which `pod` serves `port`; 0 where its containers do not have the name.
std::uint32_t target_on_pod(const Workload& pod, const Port& port) {
  if (port.target_name.empty()) return plain_target(port);
  const auto it = pod.ports.find(port.target_name);
  return it == pod.ports.end() ? 0 : it->second;
}

// One for each target port and protocol, in the order of the service.
template <class TargetOf>
void add_ports(std::vector<ServiceTarget>& out, const Service& service, TargetOf target_of) {
  std::set<std::pair<std::uint32_t, Protocol>> seen;
  for (const Port& port : service.ports) {
    const std::optional<std::uint32_t> target = target_of(port);
    if (target && seen.emplace(*target, port.protocol).second) out.push_back({&service, &port, *target});
  }
}

const model::Service& spec_of(const Service& service) { return std::get<model::Service>(service.object->spec); }

bool selects_labels(const Service& service, const std::string& namespace_, const Labels& labels) {
  return service.kubernetes && service.namespace_ == namespace_ && !spec_of(service).selector.empty() &&
         selects(spec_of(service).selector, labels);
}

// Services without a selector whose endpoints have the address.
void add_by_address(std::vector<ServiceTarget>& out, const std::vector<Service>& services, const std::string& namespace_,
                    const std::vector<std::string>& addresses, bool kubernetes) {
  for (const Service& service : services) {
    if (service.kubernetes != kubernetes || service.namespace_ != namespace_) continue;
    if (kubernetes && !spec_of(service).selector.empty()) continue;
    for (const std::string& address : addresses)
      for (const Port& port : service.ports) {
        const auto& endpoints = service.endpoints[service.port_index(port)];
        const auto it = std::find_if(endpoints.begin(), endpoints.end(), [&](const Endpoint& endpoint) { return endpoint.address == address; });
        if (it != endpoints.end()) out.push_back({&service, &port, it->port});
      }
  }
}

}  // namespace

const Workload* Registry::find_workload(const View& view) const {
  return workloads_->pod(view.namespace_, view.name);
}

std::vector<ServiceTarget> Registry::targets(const View& view) const {
  std::vector<ServiceTarget> out;
  const Workload* entry = view.addresses.empty() ? nullptr : workloads_->entry_at(view.namespace_, view.addresses.front());
  const Workload* pod = find_workload(view);
  if (entry != nullptr) {
    for (const Service& service : services_)
      if (selects_labels(service, entry->namespace_, *entry->labels) && service.resolution == Resolution::kEds)
        add_ports(out, service, [&](const Port& port) -> std::optional<std::uint32_t> {
          if (port.protocol == Protocol::kUdp) return std::nullopt;
          const auto it = entry->ports.find(port.name);
          return it == entry->ports.end() ? plain_target(port) : it->second;
        });
  } else if (pod != nullptr) {
    for (const Service& service : services_)
      if (selects_labels(service, pod->namespace_, *pod->labels))
        add_ports(out, service, [&](const Port& port) -> std::optional<std::uint32_t> {
          const std::uint32_t target = target_on_pod(*pod, port);
          return target == 0 ? std::nullopt : std::optional(target);
        });
    if (out.empty()) add_by_address(out, services_, pod->namespace_, {pod->address}, true);
  } else if (!view.labels.empty()) {
    for (const Service& service : services_)
      if (selects_labels(service, view.namespace_, view.labels))
        add_ports(out, service, [](const Port& port) { return std::optional(port.target_name.empty() ? plain_target(port) : 0); });
  }
  add_by_address(out, services_, view.namespace_, view.addresses, false);
  std::stable_sort(out.begin(), out.end(), [](const ServiceTarget& a, const ServiceTarget& b) {
    const auto created = [](const ServiceTarget& target) { return target.service->object->meta.created.value_or(WallTime::max()); };
    if (created(a) != created(b)) return created(a) < created(b);
    return a.service->host < b.service->host;
  });
  return out;
}

}  // namespace lateen::translate
