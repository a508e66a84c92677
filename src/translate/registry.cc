#include "translate/registry.h"

#include <algorithm>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

// Which of two services of one host a client in `client` sees.
bool goes_before(const Service& one, const Service& other, std::string_view client) {
  if (one.kubernetes != other.kubernetes) return one.kubernetes;
  const bool one_is_near = one.namespace_ == client, other_is_near = other.namespace_ == client;
  if (one_is_near != other_is_near) return one_is_near;
  return model::older(*one.object, *other.object);
}

std::string locality_of_node(const Options& options, const std::string& node) {
  const auto it = options.node_localities.find(node);
  return it == options.node_localities.end() ? std::string() : it->second;
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
  out.locality = locality_of_node(options, pod.node_name);
  out.account = pod.service_account;
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
  out.locality = entry.locality;
  out.account = entry.service_account;
  out.network = entry.network;
  out.ports = entry.ports;
  out.weight = entry.weight == 0 ? 1 : entry.weight;
  Labels labels = object.meta.labels;
  for (const auto& [key, value] : entry.labels) labels[key] = value;  // the entry's own labels go before its metadata's
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

const Workload* Workloads::pod_at(std::string_view address) const {
  const auto it = by_address_.find(address);
  return it == by_address_.end() ? nullptr : &all_[it->second];
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

Registry::Registry(const model::Mesh& mesh, const Options& options) {
  const Workloads workloads(mesh, options);
  services_ = kubernetes_services(mesh, workloads, options);
  std::vector<Service> entries = service_entries(mesh, workloads);
  std::move(entries.begin(), entries.end(), std::back_inserter(services_));
}

std::map<std::string, const Service*, std::less<>> Registry::visible(std::string_view client_namespace) const {
  std::map<std::string, const Service*, std::less<>> out;
  for (const Service& service : services_) {
    if (!exported(service.export_to, service.namespace_, client_namespace)) continue;
    const auto [it, is_new] = out.emplace(service.host, &service);
    if (!is_new && goes_before(service, *it->second, client_namespace)) it->second = &service;
  }
  return out;
}

}  // namespace lateen::translate
