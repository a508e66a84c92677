// Reading manifests: text in, objects and problems out. Pure. Every problem carries file:line:column, object and field.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"
#include "text/node.h"

namespace lateen::model {

struct Ignored {                     // a document of a kind that is not ours (Deployment is refused, not ignored)
  std::string api_version, kind, name;
  Origin origin;
};

struct ReadResult {
  std::vector<ObjectPtr> objects;
  std::vector<Diagnostic> problems;  // errors: the document they are in gave no object. Warnings: it did
  std::vector<Ignored> ignored;
  // Objects whose document is there but bad, with its first error: what they were before is not to be taken as deleted.
  std::map<Key, Diagnostic> unreadable;
};

// A name that ends in ".json" is read as JSON, everything else as YAML (of which JSON is nearly a part).
// `file` is the name shown in messages. One bad document does not hide the good ones beside it.
ReadResult read_manifests(std::string_view text, std::string_view file);

// One document that was parsed before: what the API server sends. A List gives its items.
ReadResult read_document(const text::Node& root, std::string_view file);

// Istio's mesh.yaml.
struct ReadMeshConfig {
  MeshConfig config;
  std::vector<Diagnostic> problems;
};
ReadMeshConfig read_mesh_config(std::string_view text, std::string_view file, const MeshConfig& base);

// What a proxy says of itself, PROXY_CONFIG in its node's metadata: `base` with that instead of defaultConfig. Fields
// that are unknown are passed over, as a proxy may be newer than its control plane.
ReadMeshConfig with_proxy_config(const text::Node& proxy_config, std::string_view file, const MeshConfig& base);

}  // namespace lateen::model
