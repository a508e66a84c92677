// A Node as YAML in the way of `kubectl get -o yaml`: block style, two spaces, strings quoted only where needed.
#pragma once

#include <string>

#include "text/node.h"

namespace lateen::text {

// Ends with a newline. Reading it again gives an equal Node.
std::string write_yaml(const Node& node);

}  // namespace lateen::text
