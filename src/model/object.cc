#include <algorithm>
#include <array>
#include <tuple>

#include "model/mesh.h"

namespace lateen::model {

namespace {

constexpr std::array<KindNames, kKindCount> kNames = {{
    {Kind::kVirtualService, "VirtualService", "virtual-service", "virtualservices", "vs", "networking.istio.io", true},
    {Kind::kDestinationRule, "DestinationRule", "destination-rule", "destinationrules", "dr", "networking.istio.io", true},
    {Kind::kGateway, "Gateway", "gateway", "gateways", "gw", "networking.istio.io", true},
    {Kind::kServiceEntry, "ServiceEntry", "service-entry", "serviceentries", "se", "networking.istio.io", true},
    {Kind::kWorkloadEntry, "WorkloadEntry", "workload-entry", "workloadentries", "we", "networking.istio.io", true},
    {Kind::kService, "Service", "service", "services", "svc", "", false},
    {Kind::kEndpointSlice, "EndpointSlice", "endpoint-slice", "endpointslices", "eps", "discovery.k8s.io", false},
    {Kind::kEndpoints, "Endpoints", "endpoints", "endpoints", "ep", "", false},
    {Kind::kPod, "Pod", "pod", "pods", "po", "", false},
    {Kind::kNamespace, "Namespace", "namespace", "namespaces", "ns", "", false},
    {Kind::kSidecar, "Sidecar", "sidecar", "sidecars", "", "networking.istio.io", true},
    {Kind::kEnvoyFilter, "EnvoyFilter", "envoy-filter", "envoyfilters", "", "networking.istio.io", true},
    {Kind::kProxyConfig, "ProxyConfig", "proxy-config", "proxyconfigs", "", "networking.istio.io", true},
    {Kind::kWorkloadGroup, "WorkloadGroup", "workload-group", "workloadgroups", "wg", "networking.istio.io", true},
    {Kind::kSecret, "Secret", "secret", "secrets", "", "", false},
}};

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

const KindNames& names(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<Kind> parse_kind(std::string_view text) {
  // kubectl also takes "virtualservices.networking.istio.io".
  const std::string_view word = text.substr(0, text.find('.'));
  if (word.empty()) return std::nullopt;
  for (const KindNames& candidate : kNames)
    for (std::string_view name : {candidate.name, candidate.hyphenated, candidate.plural, candidate.short_name})
      if (equals_ignoring_case(word, name)) return candidate.kind;
  return std::nullopt;
}

std::string to_string(const Key& key) {
  std::string text(names(key.kind).name);
  text += ' ';
  if (key.kind != Kind::kNamespace) text += key.namespace_ + "/";
  return text + key.name;
}

Origin Object::origin(std::string_view field_path) const {
  Origin origin{file, 0, 0, to_string(key()), std::string(field_path)};
  std::string_view path = field_path;
  while (true) {
    if (const std::optional<Position> found = positions.find(path)) {
      origin.line = found->line;
      origin.column = found->column;
      return origin;
    }
    if (path.empty()) return origin;
    const auto cut = path.find_last_of(".[");
    path = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
  }
}

bool older(const Object& a, const Object& b) {
  // Without a time an object counts as newest: it has not been seen yet. Kubernetes knows whole seconds only; what is
  // applied here is told apart within a second too, so that the one that was there first stays the owner.
  const auto created = [](const Object& object) { return object.meta.created.value_or(WallTime::max()); };
  return std::tuple(created(a), std::string_view(a.meta.name), std::string_view(a.meta.namespace_)) <
         std::tuple(created(b), std::string_view(b.meta.name), std::string_view(b.meta.namespace_));
}

}  // namespace lateen::model
