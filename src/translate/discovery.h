// discoverySelectors of mesh config: which namespaces' services and workloads the mesh knows.
#pragma once

#include "model/mesh.h"

namespace lateen::translate {

// Kubernetes' objects of the chosen namespaces, and all of Istio's, as istiod's registry has them. `mesh.config` without
// selectors: the whole mesh.
model::Mesh discovered(const model::Mesh& mesh);

}  // namespace lateen::translate
