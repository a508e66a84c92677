#include "translate/translate.h"

#include <algorithm>
#include <tuple>

#include "translate/clusters.h"
#include "translate/destination_rules.h"
#include "translate/envoy_filter.h"
#include "translate/gateway.h"
#include "translate/listeners.h"
#include "translate/registry.h"
#include "translate/scope.h"
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

}  // namespace

Translation translate(const model::Mesh& mesh, const View& view, const Options& options) {
  Translation out;
  const Notes notes{out.provenance, out.left_out};
  const Registry registry(mesh, options);
  const ServicesByHost services = registry.visible(view.namespace_);
  const DestinationRules rules(mesh);
  const Scope scope{mesh, view, options, services, rules};
  const std::vector<VisibleVirtualService> virtual_services = visible_virtual_services(mesh, view, notes);
  add_clusters(scope, notes, out.resources);
  if (view.kind == View::Kind::kSidecar) {
    add_sidecar_routes(scope, virtual_services, notes, out.resources);
    add_sidecar_listeners(scope, virtual_services, out.resources);
  } else {
    add_gateway(scope, virtual_services, notes, out.resources);
  }
  apply_envoy_filters(scope, notes, out.resources);
  drop_repeated(out.left_out);
  return out;
}

}  // namespace lateen::translate
