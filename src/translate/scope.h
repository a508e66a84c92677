// What the parts of translation read, and where they write beside the resources.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "model/mesh.h"
#include "translate/registry.h"
#include "translate/translate.h"

namespace lateen::translate {

class DestinationRules;
class SidecarScope;

using ServicesByHost = std::map<std::string, const Service*, std::less<>>;

// One view's look at a mesh. Everything it refers to outlives it.
struct Scope {
  const model::Mesh& mesh;
  const View& view;
  const Options& options;
  const ServicesByHost& services;   // visible to the view
  const DestinationRules& rules;
  const SidecarScope* sidecar = nullptr;   // null: the view is a gateway
  // Of the services with DYNAMIC_DNS the first; null: there is none, or sidecars do not serve them (Compat::kIstio).
  const Service* dynamic = nullptr;

  const Service* find_service(std::string_view host) const {
    const auto it = services.find(host);
    return it == services.end() ? nullptr : it->second;
  }
};

// The two side tables of a Translation.
struct Notes {
  Provenance& provenance;
  std::vector<LeftOut>& left_out;

  void came_from(std::string resource, std::string field, Origin origin) {
    provenance.insert_or_assign({std::move(resource), std::move(field)}, std::move(origin));
  }
};

}  // namespace lateen::translate
