// Object and Mesh: all resources of one mesh as immutable values.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "model/common.h"
#include "model/destination_rule.h"
#include "model/envoy_filter.h"
#include "model/field_positions.h"
#include "model/gateway.h"
#include "model/mesh_config.h"
#include "model/proxy_config.h"
#include "model/registry.h"
#include "model/sidecar.h"
#include "model/virtual_service.h"

namespace lateen::model {

using Spec = std::variant<VirtualService, DestinationRule, Gateway, ServiceEntry, WorkloadEntry, Service, EndpointSlice, Pod, Namespace,
                          Sidecar, EnvoyFilter, ProxyConfig, WorkloadGroup, Secret>;

struct Object {
  Kind kind = Kind::kVirtualService;
  Metadata meta;
  Spec spec;
  std::string api_version;          // as written: "networking.istio.io/v1beta1"
  std::string file;                 // as the user named it; "" for applied or registered objects
  FieldPositions positions;
  std::string yaml;                 // the document as it was read, for `get -o yaml`
  std::uint64_t content_hash = 0;   // of meaning: kind, metadata, spec; not of positions

  Key key() const { return {kind, meta.namespace_, meta.name}; }
  // Position of the field, or of its nearest parent that has one; object and field_path filled in.
  Origin origin(std::string_view field_path = "") const;
};
using ObjectPtr = std::shared_ptr<const Object>;

// Ordered by key: translation walks it in a stable order.
struct Mesh {
  std::map<Key, ObjectPtr> objects;
  MeshConfig config;

  template <class T>
  std::vector<std::pair<const Object*, const T*>> all(Kind kind) const {
    std::vector<std::pair<const Object*, const T*>> found;
    for (auto it = objects.lower_bound(Key{kind, "", ""}); it != objects.end() && it->first.kind == kind; ++it)
      if (const T* spec = std::get_if<T>(&it->second->spec)) found.emplace_back(it->second.get(), spec);
    return found;
  }
};

// Istio's order of precedence between objects: creation time, then name, then namespace (OBSERVED.md, g).
bool older(const Object& a, const Object& b);

}  // namespace lateen::model
