#include "cli/gateway_workloads.h"

#include "model/gateway_workload.h"

namespace lateen::cli {

namespace {

using Labels = std::map<std::string, std::string>;

std::string name_of(const Labels& selector) {
  if (selector.empty()) return "gateway";
  if (const auto istio = selector.find("istio"); istio != selector.end()) return "istio-" + istio->second;
  if (const auto app = selector.find("app"); app != selector.end()) return app->second;
  return selector.begin()->second;
}

}  // namespace

std::vector<GatewayWorkload> gateway_workloads(const model::Mesh& mesh) {
  std::map<Labels, GatewayWorkload> by_selector;
  for (const auto& [object, gateway] : mesh.all<model::Gateway>(model::Kind::kGateway)) {
    translate::View view;
    view.kind = translate::View::Kind::kRouter;
    view.name = name_of(gateway->selector);
    view.namespace_ = model::workload_namespace(*gateway, object->meta.namespace_, mesh.config.root_namespace);
    view.labels = gateway->selector;
    by_selector.try_emplace(gateway->selector, GatewayWorkload{gateway->selector, object, std::move(view)});
  }
  // A Gateway without a selector belongs to every gateway workload: it needs one of its own only where there is no other.
  if (by_selector.size() > 1) by_selector.erase(Labels{});
  std::vector<GatewayWorkload> out;
  for (auto& [selector, workload] : by_selector) out.push_back(std::move(workload));
  return out;
}

bool names_view(const translate::View& view, std::string_view name) {
  return name == view.name || name == view.namespace_ + "/" + view.name || name == view.name + "." + view.namespace_;
}

std::optional<translate::View> find_gateway_view(const model::Mesh& mesh, std::string_view name) {
  for (GatewayWorkload& workload : gateway_workloads(mesh))
    if (names_view(workload.view, name)) return std::move(workload.view);
  return std::nullopt;
}

}  // namespace lateen::cli
