// ServiceEntries: one service for each host, endpoints inline or selected.
#include <utility>

#include "translate/names.h"
#include "translate/registry.h"

namespace lateen::translate {
namespace {

using model::ServiceEntry;

std::vector<Port> ports_of(const ServiceEntry& entry) {
  std::vector<Port> out;
  for (const model::ServicePort& port : entry.ports)
    out.push_back({port.number, parse_protocol(port.protocol), port.name, port.target_port, ""});
  return out;
}

Resolution resolution_of(const ServiceEntry& entry) {
  switch (entry.resolution) {
    case ServiceEntry::Resolution::kNone: return Resolution::kPassthrough;
    case ServiceEntry::Resolution::kStatic: return Resolution::kEds;
    case ServiceEntry::Resolution::kDns: return Resolution::kDns;
    case ServiceEntry::Resolution::kDnsRoundRobin: return Resolution::kDnsRoundRobin;
    case ServiceEntry::Resolution::kDynamicDns: return Resolution::kDynamicDns;
  }
  return Resolution::kEds;
}

std::uint32_t target_of(const Port& port) { return port.target != 0 ? port.target : port.number; }

std::uint32_t port_at(const std::map<std::string, std::uint32_t>& ports, const Port& port) {
  const auto it = ports.find(port.name);
  return it == ports.end() ? target_of(port) : it->second;
}

Endpoint inline_endpoint(const model::Object& object, const model::WorkloadEntry& from, std::size_t index) {
  Endpoint out;
  out.address = from.address;
  out.weight = from.weight == 0 ? 1 : from.weight;
  out.locality = from.locality;
  out.workload = object.meta.name + "-" + std::to_string(index);
  out.namespace_ = object.meta.namespace_;
  out.account = from.service_account;
  out.network = from.network;
  out.labels = std::make_shared<const Labels>(from.labels);
  out.tls_mode = tls_mode(from.labels, from.service_account);
  return out;
}

void add_inline(const model::Object& object, const ServiceEntry& entry, Service& service) {
  for (std::size_t i = 0; i < entry.endpoints.size(); ++i) {
    Endpoint endpoint = inline_endpoint(object, entry.endpoints[i], i);
    const bool is_socket = endpoint.address.starts_with("unix:");
    for (const Port& port : service.ports) {
      endpoint.port = is_socket ? 0 : port_at(entry.endpoints[i].ports, port);
      service.endpoints[service.port_index(port)].push_back(endpoint);
    }
  }
}

void add_selected(const Workload& workload, Service& service) {
  if (!workload.ready || workload.address.empty()) return;
  Endpoint endpoint;
  endpoint.address = workload.address;
  endpoint.weight = workload.weight;
  endpoint.locality = workload.locality;
  endpoint.workload = workload.name;
  endpoint.namespace_ = workload.namespace_;
  endpoint.account = workload.account;
  endpoint.network = workload.network;
  endpoint.labels = workload.labels;
  endpoint.tls_mode = tls_mode(*workload.labels, workload.pod ? "" : workload.account);
  if (workload.pod) endpoint.health = Health::kHealthy;
  for (const Port& port : service.ports) {
    endpoint.port = workload.pod ? target_of(port) : port_at(workload.ports, port);
    service.endpoints[service.port_index(port)].push_back(endpoint);
  }
}

// With DNS and no endpoint the host itself is the endpoint.
void add_host_itself(const model::Object& object, Service& service) {
  Endpoint endpoint;
  endpoint.address = service.host;
  endpoint.workload = object.meta.name;
  endpoint.namespace_ = object.meta.namespace_;
  endpoint.labels = std::make_shared<const Labels>();
  for (const Port& port : service.ports) {
    endpoint.port = target_of(port);
    service.endpoints[service.port_index(port)].push_back(endpoint);
  }
}

void add_endpoints(const model::Object& object, const ServiceEntry& entry, Service& service,
                   const Workloads& workloads) {
  if (entry.has_workload_selector) {
    for (const Workload* workload : workloads.select(object.meta.namespace_, entry.workload_selector))
      add_selected(*workload, service);
    return;
  }
  add_inline(object, entry, service);
  const bool is_dns = service.resolution == Resolution::kDns || service.resolution == Resolution::kDnsRoundRobin;
  if (is_dns && entry.endpoints.empty()) add_host_itself(object, service);
}

}  // namespace

std::vector<Service> service_entries(const model::Mesh& mesh, const Workloads& workloads) {
  std::vector<Service> out;
  for (const auto& [object, entry] : mesh.all<ServiceEntry>(model::Kind::kServiceEntry)) {
    for (const std::string& host : entry->hosts) {
      Service service;
      service.object = object;
      service.host = lower(host);
      service.name = host;
      service.namespace_ = object->meta.namespace_;
      service.ports = ports_of(*entry);
      service.endpoints.resize(service.ports.size());
      service.addresses = entry->addresses;
      service.resolution = resolution_of(*entry);
      service.external = entry->location == ServiceEntry::Location::kMeshExternal;
      service.selects_workloads = entry->has_workload_selector;
      service.export_to = entry->export_to;
      service.subject_names = entry->subject_alt_names;
      add_endpoints(*object, *entry, service, workloads);
      out.push_back(std::move(service));
    }
  }
  return out;
}

}  // namespace lateen::translate
