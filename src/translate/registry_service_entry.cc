// ServiceEntries: one service for each host, endpoints inline or selected.
#include <algorithm>
#include <map>
#include <set>
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
  out.locality = locality_of(from);
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
  endpoint.node = workload.node;
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

// A subnet of one address is an address.
std::vector<std::string> dialled_addresses(const ServiceEntry& entry) {
  std::vector<std::string> out = entry.addresses;
  for (std::string& address : out) {
    const bool is_v6 = address.find(':') != std::string::npos;
    const std::string_view whole = is_v6 ? "/128" : "/32";
    if (address.ends_with(whole)) address.resize(address.size() - whole.size());
  }
  return out;
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

// Those of one namespace and host, oldest first. A name that is resolved in turns can be one alone on a port.
void merge_group(const std::vector<Service*>& group) {
  std::map<std::string, std::vector<Endpoint>> by_port;
  std::set<std::uint32_t> taken;
  for (const Service* service : group) {
    std::set<std::uint32_t> own;
    for (const Port& port : service->ports) {
      const std::vector<Endpoint>& endpoints = service->endpoints[service->port_index(port)];
      const bool in_turns = service->resolution == Resolution::kDnsRoundRobin;
      if (endpoints.empty() || (in_turns && taken.contains(port.number))) continue;
      own.insert(port.number);
      auto& all = by_port[port.name];
      all.insert(all.end(), endpoints.begin(), endpoints.end());
    }
    taken.insert(own.begin(), own.end());
  }
  // The names of servers are those that the youngest gives, and the accounts of all.
  std::set<std::pair<std::string, std::string>> accounts;
  for (const Service* service : group)
    for (const auto& endpoints : service->endpoints)
      for (const Endpoint& endpoint : endpoints)
        if (!endpoint.account.empty()) accounts.emplace(endpoint.namespace_, endpoint.account);
  for (Service* service : group) {
    service->subject_names = group.back()->subject_names;
    service->accounts = accounts;
  }
  for (Service* service : group)
    for (const Port& port : service->ports) service->endpoints[service->port_index(port)] = by_port[port.name];
}

}  // namespace

std::string locality_of(const model::WorkloadEntry& entry) {
  if (!entry.locality.empty()) return entry.locality;
  for (const char* key : {"topology.istio.io/locality", "istio-locality"}) {
    const auto it = entry.labels.find(key);
    if (it == entry.labels.end()) continue;
    std::string out = it->second;  // "region.zone.subzone": a label cannot hold a slash
    if (out.find('/') == std::string::npos) std::replace(out.begin(), out.end(), '.', '/');
    return out;
  }
  return {};
}

void merge_endpoints(std::vector<Service>& services) {
  std::map<std::pair<std::string, std::string>, std::vector<Service*>> by_host;
  for (Service& service : services)
    if (service.resolution != Resolution::kAlias) by_host[{service.namespace_, service.host}].push_back(&service);
  for (auto& [key, group] : by_host) {
    if (group.size() < 2) continue;
    std::stable_sort(group.begin(), group.end(), [](const Service* a, const Service* b) { return model::older(*a->object, *b->object); });
    merge_group(group);
  }
}

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
      service.addresses = dialled_addresses(*entry);
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
