// What Istio has, the model holds, and this version's data plane does not carry out yet.
#pragma once

#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"
#include "model/read.h"

namespace lateen::model {

// One error for each such field, with its path. `run` and `apply` refuse an object that has any; a control plane for
// foreign proxies, which do carry them out, does not ask. Empty: everything is carried out.
std::vector<Diagnostic> unsupported(const Object& object);

// read_manifests() for a mesh that this data plane serves: an object with such a field is refused like a bad one.
ReadResult read_supported_manifests(std::string_view text, std::string_view file);

}  // namespace lateen::model
