#include "translate/registry.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "translate/names.h"
#include "xds/resources.h"

namespace lateen::translate {
namespace {

// Which of two services of one host a client in `client` sees.
bool goes_before(const Service& one, const Service& other, std::string_view client) {
  if (one.kubernetes != other.kubernetes) return one.kubernetes;
  const bool one_is_near = one.namespace_ == client, other_is_near = other.namespace_ == client;
  if (one_is_near != other_is_near) return one_is_near;
  return model::older(*one.object, *other.object);
}

// Age, then name, then namespace: istiod's order of services.
bool goes_first(const Service& one, const Service& other) {
  const WallTime a = one.object->meta.created.value_or(WallTime::max());
  const WallTime b = other.object->meta.created.value_or(WallTime::max());
  if (a != b) return a < b;
  return std::tie(one.name, one.namespace_) < std::tie(other.name, other.namespace_);
}

std::string locality_of_node(const Options& options, const std::string& node) {
  const auto it = options.node_localities.find(node);
  return it == options.node_localities.end() ? std::string() : it->second;
}

// A pod may say where it is: "region.zone.subzone".
std::string locality_of_label(const Labels& labels) {
  const auto it = labels.find("istio-locality");
  if (it == labels.end()) return {};
  std::string out = it->second;
  if (out.find('/') == std::string::npos) std::replace(out.begin(), out.end(), '.', '/');
  return out;
}

std::string label_key(std::string_view namespace_, std::string_view key, std::string_view value) {
  std::string out(namespace_);
  out += '/';
  out += key;
  out += '=';
  out += value;
  return out;
}

Workload workload_of_pod(const model::Object& object, const model::Pod& pod, const Options& options) {
  Workload out;
  out.object = &object;
  out.address = pod.ip;
  out.name = object.meta.name;
  out.namespace_ = object.meta.namespace_;
  out.locality = locality_of_label(object.meta.labels);
  if (out.locality.empty()) out.locality = locality_of_node(options, pod.node_name);
  out.account = pod.service_account;
  out.node = pod.node_name;
  for (const auto& port : pod.ports)
    if (!port.name.empty()) out.ports.emplace(port.name, port.port);
  out.pod = true;
  out.ready = pod.ready && (pod.phase.empty() || pod.phase == "Running");
  out.labels = std::make_shared<const Labels>(object.meta.labels);
  return out;
}

Workload workload_of_entry(const model::Object& object, const model::WorkloadEntry& entry) {
  Workload out;
  out.object = &object;
  out.address = entry.address;
  out.name = object.meta.name;
  out.namespace_ = object.meta.namespace_;
  out.locality = locality_of(entry);
  out.account = entry.service_account;
  out.network = entry.network;
  out.ports = entry.ports;
  out.weight = entry.weight == 0 ? 1 : entry.weight;
  Labels labels = object.meta.labels;
  labels.insert(entry.labels.begin(), entry.labels.end());  // its metadata's labels go before the entry's own
  out.labels = std::make_shared<const Labels>(std::move(labels));
  return out;
}

}  // namespace

const Port* Service::find_port(std::uint32_t number) const {
  const auto it = std::find_if(ports.begin(), ports.end(), [&](const Port& port) { return port.number == number; });
  return it == ports.end() ? nullptr : &*it;
}

std::string Service::listen_address() const { return addresses.empty() ? std::string("0.0.0.0") : addresses.front(); }

Workloads::Workloads(const model::Mesh& mesh, const Options& options) {
  for (const auto& [object, pod] : mesh.all<model::Pod>(model::Kind::kPod)) add(workload_of_pod(*object, *pod, options));
  for (const auto& [object, entry] : mesh.all<model::WorkloadEntry>(model::Kind::kWorkloadEntry))
    add(workload_of_entry(*object, *entry));
}

void Workloads::add(Workload workload) {
  const std::size_t index = all_.size();
  if (workload.pod) {
    pods_.emplace(std::pair(workload.namespace_, workload.name), index);
    if (!workload.address.empty()) by_address_.emplace(workload.address, index);
  }
  for (const auto& [key, value] : *workload.labels)
    by_label_[label_key(workload.namespace_, key, value)].push_back(index);
  all_.push_back(std::move(workload));
}

const Workload* Workloads::pod(std::string_view namespace_, std::string_view name) const {
  const auto it = pods_.find(std::pair(std::string(namespace_), std::string(name)));
  return it == pods_.end() ? nullptr : &all_[it->second];
}

const Workload* Workloads::pod_at(std::string_view address, std::string_view namespace_) const {
  const auto [first, last] = by_address_.equal_range(address);
  for (auto it = first; it != last; ++it)
    if (namespace_.empty() || all_[it->second].namespace_ == namespace_) return &all_[it->second];
  return nullptr;
}

const Workload* Workloads::entry_at(std::string_view namespace_, std::string_view address) const {
  const auto it = std::find_if(all_.begin(), all_.end(), [&](const Workload& workload) {
    return !workload.pod && workload.namespace_ == namespace_ && workload.address == address;
  });
  return it == all_.end() ? nullptr : &*it;
}

std::vector<const Workload*> Workloads::select(std::string_view namespace_, const Labels& selector) const {
  // Only those with the rarest of the labels are looked at.
  const std::vector<std::size_t>* fewest = nullptr;
  for (const auto& [key, value] : selector) {
    const auto it = by_label_.find(label_key(namespace_, key, value));
    if (it == by_label_.end()) return {};
    if (fewest == nullptr || it->second.size() < fewest->size()) fewest = &it->second;
  }
  std::vector<const Workload*> found;
  if (fewest == nullptr) return found;
  for (const std::size_t index : *fewest)
    if (selects(selector, *all_[index].labels)) found.push_back(&all_[index]);
  return found;
}

std::string tls_mode(const Labels& labels, const std::string& entry_account) {
  if (const auto it = labels.find("security.istio.io/tlsMode"); it != labels.end()) return it->second;
  return entry_account.empty() ? std::string() : std::string("istio");
}

void allocate_addresses(std::vector<Service>& services) {
  // 240.240.0.0/16 without its first and last address. The place is a hash of the name, so that one service more does
  // not move the others; a taken place gives the next free one, in the order of the hosts.
  constexpr std::uint32_t kPlaces = 65'534;
  std::map<std::pair<std::string_view, std::string_view>, Service*> wanting;
  std::set<std::uint32_t> taken;
  for (Service& service : services)
    if (service.addresses.empty() && !service.kubernetes && !is_wildcard(service.host))
      wanting.emplace(std::pair(std::string_view(service.host), std::string_view(service.namespace_)), &service);
  for (const auto& [key, service] : wanting) {
    if (taken.size() == kPlaces) return;  // the rest stays reachable by name
    const std::string text = std::string(key.second) + "/" + std::string(key.first);
    auto place = static_cast<std::uint32_t>(xds::content_hash(text) % kPlaces);
    while (!taken.insert(place).second) place = (place + 1) % kPlaces;
    const std::uint32_t low = place + 1;
    service->addresses.push_back("240.240." + std::to_string(low >> 8) + "." + std::to_string(low & 0xff));
  }
}

Registry::Registry(const model::Mesh& mesh, const Options& options)
    : workloads_(std::make_unique<const Workloads>(mesh, options)) {
  services_ = kubernetes_services(mesh, *workloads_, options);
  std::vector<Service> entries = service_entries(mesh, *workloads_);
  std::move(entries.begin(), entries.end(), std::back_inserter(services_));
  if (const auto& standard = mesh.config.service_export_to; standard != std::vector<std::string>{"*"})
    for (Service& service : services_)
      if (service.export_to.empty()) service.export_to = standard;
  if (options.allocate_addresses) allocate_addresses(services_);
  if (options.compat == Compat::kIstio) repeat_by_address();
  merge_endpoints(services_);
  for (const Service& service : services_) by_host_[service.host].push_back(&service);
  link_aliases();
}

// istiod has a service for each address of a ServiceEntry, and the endpoints of all under one name.
void Registry::repeat_by_address() {
  for (Service& service : services_) {
    if (service.kubernetes || service.resolution == Resolution::kDnsRoundRobin) continue;
    for (std::vector<Endpoint>& endpoints : service.endpoints) {
      const std::vector<Endpoint> once = endpoints;
      for (std::size_t i = 1; i < service.addresses.size(); ++i) endpoints.insert(endpoints.end(), once.begin(), once.end());
    }
  }
}

void Registry::link_aliases() {
  constexpr int kStepsMax = 10;  // of aliases for aliases
  std::map<std::string_view, Service*> kubernetes;
  for (Service& service : services_)
    if (service.kubernetes) kubernetes.emplace(service.host, &service);
  for (const Service& alias : services_) {
    if (alias.resolution != Resolution::kAlias) continue;
    const Service* at = &alias;
    for (int step = 0; step < kStepsMax; ++step) {
      const auto it = kubernetes.find(at->external_name);
      if (it == kubernetes.end()) break;
      at = it->second;
      if (at->resolution == Resolution::kAlias) continue;
      it->second->aliases.push_back(alias.host);
      break;
    }
  }
}

Registry::~Registry() = default;

std::map<std::string, const Service*, std::less<>> Registry::visible(std::string_view client_namespace) const {
  std::map<std::string, const Service*, std::less<>> out;
  for (const Service& service : services_) {
    if (!exported(service.export_to, service.namespace_, client_namespace)) continue;
    const auto [it, is_new] = out.emplace(service.host, &service);
    if (!is_new && goes_before(service, *it->second, client_namespace)) it->second = &service;
  }
  return out;
}

std::vector<const Service*> Registry::exported_to(std::string_view client_namespace) const {
  const auto is_public = [](const Service& service) {
    const auto& to = service.export_to;
    return to.empty() || std::find(to.begin(), to.end(), "*") != to.end();
  };
  std::vector<const Service*> out;
  for (const Service& service : services_)
    if (exported(service.export_to, service.namespace_, client_namespace)) out.push_back(&service);
  std::stable_sort(out.begin(), out.end(), [&](const Service* a, const Service* b) {
    if (is_public(*a) != is_public(*b)) return is_public(*b);
    return goes_first(*a, *b);
  });
  return out;
}

const Service* Registry::best(std::string_view host, std::string_view client_namespace) const {
  const auto it = by_host_.find(host);
  if (it == by_host_.end()) return nullptr;
  const Service* found = nullptr;
  for (const Service* service : it->second) {
    if (service->namespace_ == client_namespace) return service;
    if (!exported(service->export_to, service->namespace_, client_namespace)) continue;
    const bool better = found == nullptr || (service->kubernetes && !found->kubernetes) ||
                        (service->kubernetes == found->kubernetes && goes_first(*service, *found));
    if (better) found = service;
  }
  return found;
}

std::vector<ServiceAddress> service_addresses(const model::Mesh& mesh, std::string_view client_namespace,
                                              const Options& options) {
  const Registry registry(mesh, options);
  std::vector<ServiceAddress> out;
  for (const auto& [host, service] : registry.visible(client_namespace)) {
    ServiceAddress address;
    address.host = host;
    address.namespace_ = service->namespace_;
    if (service->kubernetes) {
      const std::string short_name = service->name + "." + service->namespace_;
      if (service->namespace_ == client_namespace) address.aliases.push_back(service->name);
      address.aliases.push_back(short_name);
      address.aliases.push_back(short_name + ".svc");
    }
    address.addresses = service->addresses;
    for (const Port& port : service->ports) address.ports.push_back(port.number);
    out.push_back(std::move(address));
  }
  return out;
}

}  // namespace lateen::translate
