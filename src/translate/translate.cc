#include "translate/translate.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "translate/clusters.h"
#include "translate/destination_rules.h"
#include "translate/discovery.h"
#include "translate/envoy_filter.h"
#include "translate/gateway.h"
#include "translate/grpc.h"
#include "translate/inbound.h"
#include "translate/listeners.h"
#include "translate/mesh_settings.h"
#include "translate/registry.h"
#include "translate/scope.h"
#include "translate/secrets.h"
#include "translate/sidecar_scope.h"
#include "translate/virtual_hosts.h"
#include "translate/virtual_services.h"

namespace lateen::translate {
namespace {

// One rule is looked at for several tables, and is to be told once.
void drop_repeated(std::vector<LeftOut>& left_out) {
  const auto key = [](const LeftOut& entry) {
    return std::tie(entry.rule.file, entry.rule.line, entry.rule.column, entry.rule.object, entry.rule.field_path,
                    entry.host, entry.port, entry.why, entry.text);
  };
  std::stable_sort(left_out.begin(), left_out.end(), [&](const LeftOut& a, const LeftOut& b) { return key(a) < key(b); });
  left_out.erase(std::unique(left_out.begin(), left_out.end(),
                             [&](const LeftOut& a, const LeftOut& b) { return key(a) == key(b); }),
                 left_out.end());
}

// What is known of the pod goes before what its node says of itself.
View as_workload(const View& asked, const Registry& registry) {
  View out = asked;
  const Workload* workload = registry.find_workload(asked);
  if (workload == nullptr) return out;
  out.labels = *workload->labels;
  if (out.locality.empty()) out.locality = workload->locality;
  return out;
}

// In istiod only the listeners that such a service brings look names up.
const Service* first_dynamic(const ServicesByHost& services, Compat compat) {
  if (compat == Compat::kIstio) return nullptr;
  const auto found = std::find_if(services.begin(), services.end(), [](const auto& entry) {
    return entry.second->resolution == Resolution::kDynamicDns;
  });
  return found == services.end() ? nullptr : found->second;
}

}  // namespace

Translation translate(const model::Mesh& mesh, const View& asked, const Options& options) {
  if (!mesh.config.discovery_selectors.empty()) return translate(discovered(mesh), asked, options);
  Translation out;
  const Notes notes{out.provenance, out.left_out};
  const Registry registry(mesh, options);
  const View view = options.inbound ? as_workload(asked, registry) : asked;
  const DestinationRules rules(mesh);
  const std::vector<VisibleVirtualService> virtual_services = visible_virtual_services(mesh, view, notes);
  std::optional<SidecarScope> sidecar, gateway;
  if (view.kind == View::Kind::kSidecar) sidecar.emplace(mesh, view, registry, virtual_services);
  else gateway.emplace(view, registry);
  const ServicesByHost& services = sidecar ? sidecar->services() : gateway->services();
  const Scope scope{mesh, view, options, services, rules, sidecar ? &*sidecar : nullptr, first_dynamic(services, options.compat)};
  if (sidecar && view.generator == "grpc") {
    add_grpc_listeners(scope, out.resources);
    return out;
  }
  add_clusters(scope, notes, out.resources);
  if (sidecar) {
    const std::set<std::string> tables = add_sidecar_listeners(scope, out.resources);
    add_sidecar_routes(scope, virtual_services, tables, notes, out.resources);
    if (options.inbound) {
      const std::vector<ServiceTarget> targets = registry.targets(view);
      add_inbound_listeners(scope, targets, out.resources);
      add_inbound_clusters(scope, targets, out.resources);
    }
  } else {
    add_gateway(scope, virtual_services, notes, out.resources);
  }
  apply_mesh_settings(scope, out.resources);
  apply_envoy_filters(scope, notes, out.resources);
  if (options.secrets) add_secrets(scope, out.resources);
  drop_repeated(out.left_out);
  return out;
}

}  // namespace lateen::translate
