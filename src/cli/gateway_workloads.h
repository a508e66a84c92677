// The gateway workloads that a mesh's Gateways ask for: one for each selector.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"
#include "translate/translate.h"

namespace lateen::cli {

struct GatewayWorkload {
  std::map<std::string, std::string> selector;
  const model::Object* gateway;   // the first with the selector; owned by the mesh
  translate::View view;
};

// By selector. "istio: ingressgateway" is Istio's own selector; its workload is called istio-ingressgateway.
std::vector<GatewayWorkload> gateway_workloads(const model::Mesh& mesh);

// Whether `name` means this view: NAME, NAMESPACE/NAME or, as istioctl writes it, NAME.NAMESPACE.
bool names_view(const translate::View& view, std::string_view name);

// The view of the gateway workload called `name`; absent: there is none.
std::optional<translate::View> find_gateway_view(const model::Mesh& mesh, std::string_view name);

}  // namespace lateen::cli
