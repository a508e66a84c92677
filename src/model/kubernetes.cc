// Reading Kubernetes' own kinds: tolerantly, only the fields that endpoints and services are made of.
#include <algorithm>

#include "model/checks.h"
#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/protocol.h"
#include "model/registry.h"

namespace lateen::model {

namespace {

struct ObjectReference {
  std::string kind, name;
};
struct Conditions {
  std::optional<bool> ready, serving, terminating;
};
struct EndpointAddress {
  std::string ip, node_name;
  ObjectReference target;
};
struct EndpointSubset {
  std::vector<EndpointAddress> addresses, not_ready;
  std::vector<EndpointSlice::Port> ports;
};
struct EndpointsObject {
  std::vector<EndpointSubset> subsets;
};
struct KubernetesPort {
  std::string name, protocol, app_protocol;
  std::uint32_t port = 0, target_port = 0;
  std::string target_port_name;
};
struct Container {
  std::vector<Pod::ContainerPort> ports;
};
struct PodSpec {
  std::string node_name, service_account;
  std::vector<Container> containers;
};
struct PodIp {
  std::string ip;
};
struct PodCondition {
  std::string type, status;
};
struct PodStatus {
  std::string phase, pod_ip;
  std::vector<PodIp> pod_ips;
  std::vector<PodCondition> conditions;
};
struct PodDocument {
  PodSpec spec;
  PodStatus status;
};
struct ServiceDocument {
  Service spec;
};

// A number, or the name of a container's port.
void target_port(Reader& reader, const text::Node& node, KubernetesPort& out) {
  if (node.type == text::Node::Type::kString) out.target_port_name = node.scalar;
  else if (read_value(reader, node, out.target_port)) port_number(reader, out.target_port);
}

}  // namespace

template <>
struct Shape<ObjectReference> : Table<ObjectReference> {
  static constexpr Field<ObjectReference> kFields[] = {{"kind", at<&ObjectReference::kind>}, {"name", at<&ObjectReference::name>}};
};

template <>
struct Shape<KubernetesPort> : Table<KubernetesPort> {
  using T = KubernetesPort;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>},
                                         {"protocol", at<&T::protocol>},
                                         {"appProtocol", at<&T::app_protocol>},
                                         {"port", at<&T::port, port_number>},
                                         {"targetPort", target_port}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    if (!has(node, "port")) reader.error(kMissingField, "the port has no number", "write port: 9080");
  }
};

template <>
struct Shape<Service> : Table<Service> {
  using T = Service;
  static void ports(Reader& reader, const text::Node& node, T& out) {
    std::vector<KubernetesPort> read;
    read_value(reader, node, read);
    for (KubernetesPort& port : read)
      out.ports.push_back({port.port, select_protocol(port.port, port.name, port.protocol, port.app_protocol), std::move(port.name),
                           port.target_port, std::move(port.target_port_name)});
  }
  static constexpr Field<T> kFields[] = {{"clusterIP", at<&T::cluster_ip>},
                                         {"clusterIPs", at<&T::cluster_ips>},
                                         {"type", at<&T::type>},
                                         {"externalName", at<&T::external_name>},
                                         {"trafficDistribution", at<&T::traffic_distribution>},
                                         {"internalTrafficPolicy", at<&T::internal_traffic_policy>},
                                         {"selector", at<&T::selector>},
                                         {"ports", ports}};
};
template <>
struct Shape<ServiceDocument> : Table<ServiceDocument> {
  static constexpr Field<ServiceDocument> kFields[] = {{"spec", at<&ServiceDocument::spec>}};
  static void check(Reader& reader, const ServiceDocument&, const text::Node& node) {
    if (!has(node, "spec")) reader.error(kMissingField, "the Service has no spec", "write spec: {ports: [{name: http, port: 9080}], selector: {app: NAME}}");
  }
};

template <>
struct Shape<Conditions> : Table<Conditions> {
  using T = Conditions;
  static constexpr Field<T> kFields[] = {{"ready", at<&T::ready>}, {"serving", at<&T::serving>}, {"terminating", at<&T::terminating>}};
};

template <>
struct Shape<EndpointSlice::Endpoint> : Table<EndpointSlice::Endpoint> {
  using T = EndpointSlice::Endpoint;
  static void conditions(Reader& reader, const text::Node& node, T& out) {
    Conditions read;
    read_value(reader, node, read);
    out.ready = read.ready.value_or(true);
    out.serving = read.serving.value_or(out.ready);
    out.terminating = read.terminating;
  }
  static void target(Reader& reader, const text::Node& node, T& out) {
    ObjectReference reference;
    if (!read_value(reader, node, reference) || (!reference.kind.empty() && reference.kind != "Pod")) return;
    out.target_pod = std::move(reference.name);
  }
  static constexpr Field<T> kFields[] = {{"addresses", at<&T::addresses>}, {"conditions", conditions}, {"targetRef", target},
                                         {"nodeName", at<&T::node_name>}, {"zone", at<&T::zone>}};
};
template <>
struct Shape<EndpointSlice::Port> : Table<EndpointSlice::Port> {
  using T = EndpointSlice::Port;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}, {"protocol", at<&T::protocol>}, {"appProtocol", at<&T::app_protocol>}, {"port", at<&T::port, port_number>}};
};
template <>
struct Shape<EndpointSlice> : Table<EndpointSlice> {
  using T = EndpointSlice;
  static constexpr Field<T> kFields[] = {{"endpoints", at<&T::endpoints>}, {"ports", at<&T::ports>}};
};

template <>
struct Shape<EndpointAddress> : Table<EndpointAddress> {
  using T = EndpointAddress;
  static constexpr Field<T> kFields[] = {{"ip", at<&T::ip, not_empty>}, {"nodeName", at<&T::node_name>}, {"targetRef", at<&T::target>}};
};
template <>
struct Shape<EndpointSubset> : Table<EndpointSubset> {
  using T = EndpointSubset;
  static constexpr Field<T> kFields[] = {{"addresses", at<&T::addresses>}, {"notReadyAddresses", at<&T::not_ready>}, {"ports", at<&T::ports>}};
};
template <>
struct Shape<EndpointsObject> : Table<EndpointsObject> {
  static constexpr Field<EndpointsObject> kFields[] = {{"subsets", at<&EndpointsObject::subsets>}};
};

template <>
struct Shape<Pod::ContainerPort> : Table<Pod::ContainerPort> {
  using T = Pod::ContainerPort;
  static constexpr Field<T> kFields[] = {{"name", at<&T::name>}, {"containerPort", at<&T::port, port_number>}};
};
template <>
struct Shape<Container> : Table<Container> {
  static constexpr Field<Container> kFields[] = {{"ports", at<&Container::ports>}};
};
template <>
struct Shape<PodSpec> : Table<PodSpec> {
  using T = PodSpec;
  static constexpr Field<T> kFields[] = {{"nodeName", at<&T::node_name>}, {"serviceAccountName", at<&T::service_account>}, {"containers", at<&T::containers>}};
};
template <>
struct Shape<PodIp> : Table<PodIp> {
  static constexpr Field<PodIp> kFields[] = {{"ip", at<&PodIp::ip>}};
};
template <>
struct Shape<PodCondition> : Table<PodCondition> {
  static constexpr Field<PodCondition> kFields[] = {{"type", at<&PodCondition::type>}, {"status", at<&PodCondition::status>}};
};
template <>
struct Shape<PodStatus> : Table<PodStatus> {
  using T = PodStatus;
  static constexpr Field<T> kFields[] = {{"phase", at<&T::phase>}, {"podIP", at<&T::pod_ip>}, {"podIPs", at<&T::pod_ips>}, {"conditions", at<&T::conditions>}};
};
template <>
struct Shape<PodDocument> : Table<PodDocument> {
  static constexpr Field<PodDocument> kFields[] = {{"spec", at<&PodDocument::spec>}, {"status", at<&PodDocument::status>}};
};

Service read_service(Reader& reader, const text::Node& document) {
  ServiceDocument read;
  read_value(reader, document, read);
  if (read.spec.cluster_ip.empty() && !read.spec.cluster_ips.empty()) read.spec.cluster_ip = read.spec.cluster_ips.front();
  return std::move(read.spec);
}

EndpointSlice read_endpoint_slice(Reader& reader, const text::Node& document) {
  EndpointSlice slice;
  read_value(reader, document, slice);
  const text::Node* service = document.at({"metadata", "labels", "kubernetes.io/service-name"});
  if (service != nullptr) slice.service = service->text();
  if (slice.service.empty())
    reader.error_below("metadata.labels", kMissingField, "the EndpointSlice belongs to no Service", "label it kubernetes.io/service-name: NAME");
  return slice;
}

EndpointSlice read_endpoints(Reader& reader, const text::Node& document) {
  EndpointsObject read;
  read_value(reader, document, read);
  EndpointSlice slice;
  if (const text::Node* name = document.at({"metadata", "name"})) slice.service = name->text();
  for (std::size_t i = 0; i < read.subsets.size(); ++i) {
    EndpointSubset& subset = read.subsets[i];
    if (i == 0) slice.ports = subset.ports;
    else if (subset.ports != slice.ports)
      reader.error_below("subsets[" + std::to_string(i) + "].ports", kUnsupportedField, "subsets with different ports are not supported yet", "write one EndpointSlice for each set of ports");
    const auto add = [&](std::vector<EndpointAddress>& addresses, bool ready) {
      for (EndpointAddress& address : addresses)
        slice.endpoints.push_back({{std::move(address.ip)}, ready, ready, false, std::move(address.target.name), std::move(address.node_name), {}});
    };
    add(subset.addresses, true);
    add(subset.not_ready, false);
  }
  return slice;
}

Pod read_pod(Reader& reader, const text::Node& document) {
  PodDocument read;
  read_value(reader, document, read);
  Pod pod;
  pod.ip = std::move(read.status.pod_ip);
  if (pod.ip.empty() && !read.status.pod_ips.empty()) pod.ip = std::move(read.status.pod_ips.front().ip);
  pod.node_name = std::move(read.spec.node_name);
  pod.service_account = std::move(read.spec.service_account);
  pod.phase = std::move(read.status.phase);
  for (Container& container : read.spec.containers) std::move(container.ports.begin(), container.ports.end(), std::back_inserter(pod.ports));
  for (const PodCondition& condition : read.status.conditions)
    if (condition.type == "Ready") pod.ready = condition.status == "True";
  if (!pod.phase.empty() && pod.phase != "Running") pod.ready = false;
  if (pod.ip.empty())
    reader.warn(kNoEffect, "the Pod has no status.podIP and so no endpoint: containers are not started here",
                "start a workload with `lateen echo --service NAME --version v1`, or give the address of one that runs: status: {podIP: 127.0.0.1}");
  return pod;
}

Namespace read_namespace(Reader&, const text::Node&) { return {}; }

}  // namespace lateen::model
