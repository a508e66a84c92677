// Kubernetes Services: ports, and endpoints from EndpointSlices and Endpoints; where there are none of these, from the
// Pods and WorkloadEntries that the Service selects.
#include <algorithm>
#include <utility>

#include "translate/names.h"
#include "translate/registry.h"

namespace lateen::translate {
namespace {

using Slices = std::map<std::pair<std::string, std::string>, std::vector<const model::EndpointSlice*>>;

constexpr std::string_view kExportToAnnotation = "networking.istio.io/exportTo";

std::vector<Port> ports_of(const model::Service& service) {
  std::vector<Port> out;
  for (const model::ServicePort& port : service.ports)
    out.push_back({port.number, parse_protocol(port.protocol), port.name, port.target_port, port.target_port_name});
  return out;
}

std::string slice_locality(const model::EndpointSlice::Endpoint& endpoint, const Options& options) {
  if (const auto it = options.node_localities.find(endpoint.node_name); it != options.node_localities.end())
    return it->second;
  return endpoint.zone.empty() ? std::string() : "/" + endpoint.zone;
}

Endpoint slice_endpoint(const model::EndpointSlice::Endpoint& from, const std::string& address, const Workload* pod,
                        const Service& service, const Options& options) {
  static const auto kNoLabels = std::make_shared<const Labels>();
  Endpoint out;
  out.address = address;
  out.health = from.ready ? Health::kHealthy : Health::kUnhealthy;
  out.labels = kNoLabels;
  // istiod knows nothing of an endpoint without a pod, and of one with a pod what the pod says.
  if (options.compat != Compat::kIstio) {
    out.namespace_ = service.namespace_;
    out.locality = slice_locality(from, options);
  }
  if (pod == nullptr) return out;
  out.namespace_ = pod->namespace_;
  out.workload = pod->name;
  out.account = pod->account;
  out.labels = pod->labels;
  out.node = pod->node;
  out.tls_mode = tls_mode(*pod->labels, "");
  if (!pod->locality.empty()) out.locality = pod->locality;
  return out;
}


// Whether clients are told of the endpoint. istiod takes one that is not ready for one that ends, unless it says no.
bool is_served(const model::EndpointSlice::Endpoint& endpoint, const Options& options) {
  return endpoint.ready || (options.compat == Compat::kIstio && !endpoint.terminating.value_or(true));
}

// A slice's port serves the service port of the same name; an unnamed one serves an unnamed.
void add_slice(const model::EndpointSlice& slice, Service& service, const Workloads& workloads, const Options& options) {
  for (const model::EndpointSlice::Endpoint& from : slice.endpoints) {
    if (!is_served(from, options)) continue;
    for (const std::string& address : from.addresses) {
      const bool names_pod = !from.target_pod.empty();
      const Workload* pod = names_pod ? workloads.pod(service.namespace_, from.target_pod) : workloads.pod_at(address, service.namespace_);
      // istiod waits for a pod that it does not know yet.
      if (names_pod && pod == nullptr && options.compat == Compat::kIstio) continue;
      Endpoint endpoint = slice_endpoint(from, address, pod, service, options);
      for (const Port& port : service.ports) {
        const auto it = std::find_if(slice.ports.begin(), slice.ports.end(),
                                     [&](const auto& candidate) { return candidate.name == port.name; });
        if (it == slice.ports.end()) continue;
        endpoint.port = it->port;
        service.endpoints[service.port_index(port)].push_back(endpoint);
      }
    }
  }
}

// The port on which a selected workload serves `port`; 0 where it does not.
std::uint32_t port_of_workload(const Workload& workload, const Port& port) {
  if (!port.target_name.empty()) {
    const auto it = workload.ports.find(port.target_name);
    if (it != workload.ports.end()) return it->second;
    if (workload.pod) return 0;
  }
  if (!workload.pod) {
    if (const auto it = workload.ports.find(port.name); it != workload.ports.end()) return it->second;
  }
  // A named port that the workload does not have is not served.
  if (!port.target_name.empty()) return 0;
  return port.target != 0 ? port.target : port.number;
}

void add_selected(const Workload& workload, Service& service) {
  if (!workload.ready || workload.address.empty()) return;
  Endpoint endpoint;
  endpoint.address = workload.address;
  endpoint.health = workload.pod ? Health::kHealthy : Health::kUnknown;
  endpoint.weight = workload.weight;
  endpoint.namespace_ = workload.namespace_;
  endpoint.workload = workload.name;
  endpoint.account = workload.account;
  endpoint.network = workload.network;
  endpoint.labels = workload.labels;
  endpoint.node = workload.node;
  endpoint.tls_mode = tls_mode(*workload.labels, workload.pod ? "" : workload.account);
  endpoint.locality = workload.locality;
  for (const Port& port : service.ports) {
    endpoint.port = port_of_workload(workload, port);
    if (endpoint.port != 0) service.endpoints[service.port_index(port)].push_back(endpoint);
  }
}

void add_endpoints(const Slices& slices, const model::Service& spec, Service& service, const Workloads& workloads,
                   const Options& options) {
  const auto it = slices.find({service.namespace_, service.name});
  const bool has_slices = it != slices.end();
  if (has_slices)
    for (const model::EndpointSlice* slice : it->second) add_slice(*slice, service, workloads, options);
  // Kubernetes makes slices of Pods, never of WorkloadEntries; where nobody made any, the Pods are taken themselves.
  const bool takes_pods = !has_slices && options.compat != Compat::kIstio;
  for (const Workload* workload : workloads.select(service.namespace_, spec.selector))
    if (!workload->pod || takes_pods) add_selected(*workload, service);
}

Service service_of(const model::Object& object, const model::Service& spec, const std::string& domain) {
  Service out;
  out.object = &object;
  out.kubernetes = true;
  out.name = object.meta.name;
  out.namespace_ = object.meta.namespace_;
  out.host = lower(out.name + "." + out.namespace_ + ".svc." + domain);
  out.ports = ports_of(spec);
  out.endpoints.resize(out.ports.size());
  out.selects_workloads = !spec.selector.empty();
  out.node_local = spec.internal_traffic_policy == "Local";
  out.traffic_distribution = spec.traffic_distribution;
  if (!spec.external_name.empty()) {
    out.resolution = Resolution::kAlias;
    out.external_name = spec.external_name;
  } else if (spec.cluster_ip == "None") {
    out.resolution = Resolution::kPassthrough;
  } else if (!spec.cluster_ip.empty()) {
    out.addresses.push_back(spec.cluster_ip);  // of a second family istiod knows nothing by default
  }
  if (const auto it = object.meta.annotations.find(std::string(kExportToAnnotation));
      it != object.meta.annotations.end())
    for (const std::string_view part : split(it->second, ',')) {
      const std::size_t first = part.find_first_not_of(' ');
      if (first != std::string_view::npos)
        out.export_to.emplace_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
    }
  return out;
}

}  // namespace

std::vector<Service> kubernetes_services(const model::Mesh& mesh, const Workloads& workloads, const Options& options) {
  Slices slices;
  for (const model::Kind kind : {model::Kind::kEndpointSlice, model::Kind::kEndpoints})
    for (const auto& [object, slice] : mesh.all<model::EndpointSlice>(kind)) {
      auto& of_service = slices[{object->meta.namespace_, slice->service}];
      // Kubernetes mirrors every Endpoints object into slices; both would count everything twice.
      if (kind == model::Kind::kEndpointSlice || of_service.empty()) of_service.push_back(slice);
    }
  std::vector<Service> out;
  for (const auto& [object, spec] : mesh.all<model::Service>(model::Kind::kService)) {
    Service service = service_of(*object, *spec, mesh.config.cluster_domain);
    add_endpoints(slices, *spec, service, workloads, options);
    out.push_back(std::move(service));
  }
  return out;
}

}  // namespace lateen::translate
