#include "model/kinds.h"

#include <algorithm>
#include <array>

#include "text/edit_distance.h"

namespace lateen::model {

namespace {

constexpr std::array<std::string_view, 3> kIstioVersions = {"v1", "v1beta1", "v1alpha3"};
constexpr std::array<std::string_view, 1> kEnvoyFilterVersions = {"v1alpha3"};
constexpr std::array<std::string_view, 1> kProxyConfigVersions = {"v1beta1"};
constexpr std::array<std::string_view, 1> kCoreVersions = {"v1"};
constexpr std::array<std::string_view, 2> kSliceVersions = {"v1", "v1beta1"};

template <class T, T (*Read)(Reader&, const text::Node&)>
Spec read_as(Reader& reader, const text::Node& node) {
  return Read(reader, node);
}

constexpr KindReader kReaders[] = {
    {Kind::kVirtualService, kIstioVersions, true, read_as<VirtualService, read_virtual_service>},
    {Kind::kDestinationRule, kIstioVersions, true, read_as<DestinationRule, read_destination_rule>},
    {Kind::kGateway, kIstioVersions, true, read_as<Gateway, read_gateway>},
    {Kind::kServiceEntry, kIstioVersions, true, read_as<ServiceEntry, read_service_entry>},
    {Kind::kWorkloadEntry, kIstioVersions, true, read_as<WorkloadEntry, read_workload_entry>},
    {Kind::kSidecar, kIstioVersions, true, read_as<Sidecar, read_sidecar>},
    {Kind::kEnvoyFilter, kEnvoyFilterVersions, true, read_as<EnvoyFilter, read_envoy_filter>},
    {Kind::kProxyConfig, kProxyConfigVersions, true, read_as<ProxyConfig, read_proxy_config>},
    {Kind::kWorkloadGroup, kIstioVersions, true, read_as<WorkloadGroup, read_workload_group>},
    {Kind::kService, kCoreVersions, false, read_as<Service, read_service>},
    {Kind::kEndpointSlice, kSliceVersions, false, read_as<EndpointSlice, read_endpoint_slice>},
    {Kind::kEndpoints, kCoreVersions, false, read_as<EndpointSlice, read_endpoints>},
    {Kind::kPod, kCoreVersions, false, read_as<Pod, read_pod>},
    {Kind::kNamespace, kCoreVersions, false, read_as<Namespace, read_namespace>},
    {Kind::kSecret, kCoreVersions, false, read_as<Secret, read_secret>},
};

// Kinds that would change what traffic does: to pass over them in silence would be a lie.
struct Refused {
  std::string_view group, kind, message, fix;
};
constexpr std::string_view kSecurity = "is not yet enforced, and so it is refused rather than ignored";
constexpr std::string_view kNotYet = "is not supported yet, and so it is refused rather than ignored";
constexpr std::array<Refused, 26> kRefused = {{
    {"security.istio.io", "PeerAuthentication", kSecurity, "take it out; traffic is plain text until mutual TLS exists"},
    {"security.istio.io", "AuthorizationPolicy", kSecurity, "take it out, and know that every caller is let in"},
    {"security.istio.io", "RequestAuthentication", kSecurity, "take it out, and know that no token is checked"},
    {"telemetry.istio.io", "Telemetry", kNotYet, "take it out"},
    {"extensions.istio.io", "WasmPlugin", kNotYet, "take it out"},
    {"extensions.istio.io", "TrafficExtension", kNotYet, "take it out"},
    {"gateway.networking.k8s.io", "Gateway", kNotYet, "write a Gateway of networking.istio.io/v1"},
    {"gateway.networking.k8s.io", "GatewayClass", kNotYet, "write a Gateway of networking.istio.io/v1"},
    {"gateway.networking.k8s.io", "HTTPRoute", kNotYet, "write a VirtualService"},
    {"gateway.networking.k8s.io", "GRPCRoute", kNotYet, "write a VirtualService"},
    {"gateway.networking.k8s.io", "TCPRoute", kNotYet, "write a VirtualService"},
    {"gateway.networking.k8s.io", "TLSRoute", kNotYet, "write a VirtualService"},
    {"gateway.networking.k8s.io", "UDPRoute", kNotYet, "take it out"},
    {"gateway.networking.k8s.io", "ReferenceGrant", kNotYet, "take it out"},
    {"gateway.networking.k8s.io", "BackendTLSPolicy", kNotYet, "take it out"},
    {"gateway.networking.k8s.io", "ListenerSet", kNotYet, "take it out"},
    {"networking.k8s.io", "Ingress", kNotYet, "write a Gateway and a VirtualService"},
    {"networking.k8s.io", "NetworkPolicy", kSecurity, "take it out, and know that every caller is let in"},
    {"apps", "Deployment", "", ""},
    {"apps", "StatefulSet", "", ""},
    {"apps", "DaemonSet", "", ""},
    {"apps", "ReplicaSet", "", ""},
    {"", "ReplicationController", "", ""},
    {"batch", "Job", "", ""},
    {"batch", "CronJob", "", ""},
    {"serving.knative.dev", "Service", "", ""},
}};

constexpr std::array<std::string_view, 15> kIstioKinds = {
    "VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "WorkloadEntry", "Sidecar", "EnvoyFilter", "ProxyConfig", "WorkloadGroup",
    "PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication", "Telemetry", "WasmPlugin", "TrafficExtension"};
constexpr std::array<std::string_view, 5> kCoreKindsOfOurs = {"Service", "Endpoints", "Pod", "Namespace", "EndpointSlice"};
// Kinds of Kubernetes' core group whose names are near to ours without being a slip of the pen.
constexpr std::array<std::string_view, 3> kCoreNeighbours = {"ServiceAccount", "Node", "PodTemplate"};

// The command that does what the manifest asks for.
std::string echo_command(const text::Node& document) {
  const text::Node* labels = document.at({"spec", "template", "metadata", "labels"});
  if (labels == nullptr) labels = document.at({"metadata", "labels"});
  const auto word = [&](std::string_view key, std::string_view otherwise) {
    const text::Node* value = labels == nullptr ? nullptr : labels->find(key);
    return std::string(value == nullptr || value->text().empty() ? otherwise : value->text());
  };
  const text::Node* name = document.at({"metadata", "name"});
  const std::string otherwise(name == nullptr || name->text().empty() ? "NAME" : name->text());
  return "`lateen echo --service " + word("app", otherwise) + " --version " + word("version", "v1") + "`";
}

Classified refuse(std::string_view code, std::string message, std::string fix) {
  return {Classified::As::kRefused, nullptr, code, std::move(message), std::move(fix)};
}

bool is_istio_group(std::string_view group) { return group == "istio.io" || group.ends_with(".istio.io"); }

Classified unknown(std::string_view group, std::string_view kind) {
  const std::string shown = "unknown kind \"" + std::string(kind) + "\"";
  if (is_istio_group(group)) {
    const auto guess = text::closest(kind, kIstioKinds);
    return refuse(kUnknownKind, shown + " in " + std::string(group), guess ? "did you mean " + std::string(*guess) + "?" : "");
  }
  if (group.empty() && std::find(kCoreNeighbours.begin(), kCoreNeighbours.end(), kind) == kCoreNeighbours.end())
    if (const auto guess = text::closest(kind, kCoreKindsOfOurs); guess && text::edit_distance(kind, *guess) <= 2)
      return refuse(kUnknownKind, shown, "did you mean " + std::string(*guess) + "?");
  return {};
}

}  // namespace

ApiVersion split_api_version(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {"", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

Classified classify(std::string_view api_version, std::string_view kind, const text::Node& document) {
  const auto [group, version] = split_api_version(api_version);
  for (const KindReader& reader : kReaders) {
    const KindNames& known = names(reader.kind);
    if (known.name != kind || known.api_group != group) continue;
    if (std::find(reader.versions.begin(), reader.versions.end(), version) != reader.versions.end()) return {Classified::As::kOurs, &reader, {}, {}, {}};
    const std::string right = (group.empty() ? "" : std::string(group) + "/") + std::string(reader.versions.front());
    return refuse(kUnknownKind, "apiVersion " + std::string(api_version) + " of " + std::string(kind) + " is not known", "write apiVersion: " + right);
  }
  for (const Refused& refused : kRefused) {
    if (refused.kind != kind || refused.group != group) continue;
    if (!refused.message.empty()) return refuse(kUnsupportedKind, std::string(kind) + " " + std::string(refused.message), std::string(refused.fix));
    return refuse(kUnsupportedKind, std::string(kind) + " starts containers, which is not done here", "start a workload with " + echo_command(document));
  }
  // A kind that only Istio has, in a group that it does not belong to.
  for (const KindReader& reader : kReaders)
    if (names(reader.kind).is_istio && names(reader.kind).name == kind && kind != "Gateway")
      return refuse(kUnknownKind, std::string(kind) + " does not belong to apiVersion " + std::string(api_version), "write apiVersion: networking.istio.io/v1");
  return unknown(group, kind);
}

}  // namespace lateen::model
