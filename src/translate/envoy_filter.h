// EnvoyFilters: patches of the user to what translation made, as istiod applies them.
#pragma once

#include <vector>

#include "base/diagnostics.h"
#include "translate/scope.h"

namespace lateen::translate {

// What is wrong with the values of the mesh's patches: no message of Envoy (an error), or fields that Envoy's API does
// not know: an error, for istiod (kIstio) a warning. Each with the place of the value.
std::vector<Diagnostic> check_envoy_filters(const model::Mesh& mesh, Compat compat);

// Changes the resources that were made for the scope's view. A patch whose value is wrong has no effect, and a note.
void apply_envoy_filters(const Scope& scope, const Notes& notes, xds::Resources& resources);

}  // namespace lateen::translate
