// The VirtualServices that a view sees, with full host names, in Istio's order of precedence; delegates put in place.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"
#include "translate/scope.h"

namespace lateen::translate {

// One http rule and where it was written: a delegate's rules keep their own object, under their root's position.
struct RuleSource {
  model::HttpRoute route;               // destinations and mirrors with full host names
  const model::Object* object = nullptr;
  std::string path;                     // "spec.http[2]"

  Origin origin(std::string_view below = "") const { return object->origin(path + std::string(below)); }
};

struct VisibleVirtualService {
  const model::Object* object = nullptr;
  const model::VirtualService* spec = nullptr;
  std::vector<std::string> hosts;       // full, lower case
  std::vector<std::string> gateways;    // "mesh" or "namespace/name"
  std::vector<RuleSource> http;
  std::vector<model::L4Route> tls, tcp; // destinations with full host names

  bool on_gateway(std::string_view gateway) const;
};

// Visible to the view's namespace: oldest first, after those that are private to the namespace (as istiod lists them).
// Says in `notes` which ones are not exported to it, and which delegates are missing or conflict.
std::vector<VisibleVirtualService> visible_virtual_services(const model::Mesh& mesh, const View& view, Notes notes);

// delegate.cc: the rules of `root`, delegates replaced by the rules that they name (ISTIO_FACTS 3.7).
std::vector<RuleSource> with_delegates(const model::Mesh& mesh, const model::Object& root,
                                       const model::VirtualService& spec, Notes notes);

}  // namespace lateen::translate
