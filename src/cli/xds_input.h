// What `lateen xds` reads beside the manifests: who asks (an Envoy node), and the settings of Istio's mesh config that
// change what istiod sends but not where requests go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostics.h"
#include "base/result.h"
#include "model/mesh.h"
#include "translate/translate.h"

namespace lateen::cli {

struct NamedInput {
  std::string name;   // of the file, for messages
  std::string text;
};

// An Envoy node as JSON: id "sidecar~IP~NAME.NAMESPACE~DOMAIN" or "router~...", metadata NAME, NAMESPACE, INSTANCE_IPS,
// LABELS. Errors: kInvalidConfig, naming the field.
Result<translate::View> read_node(const NamedInput& input);

// The mesh config for one node: PROXY_CONFIG of its metadata goes before defaultConfig. Problems are appended.
model::MeshConfig mesh_config_for(const NamedInput& node, const model::MeshConfig& config, std::vector<Diagnostic>& problems);

// What the mesh config says about things that a mesh without sidecars leaves out unless they are asked for.
void apply_mesh_config(const model::MeshConfig& config, translate::Options& options);

// Kubernetes Nodes among the manifests: name -> "region/zone[/subzone]", from the labels topology.kubernetes.io/... and
// topology.istio.io/subzone.
std::map<std::string, std::string> read_node_localities(const NamedInput& manifests);

// Every object of the manifests, whatever it is that admission would say; those without a creation time count as made
// on 2026-01-01, Kubernetes' own before all others, so that their names decide which is older. Problems are appended.
model::Mesh read_mesh(const std::vector<NamedInput>& manifests, std::vector<Diagnostic>& problems);

}  // namespace lateen::cli
