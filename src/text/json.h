// JSON into the same Nodes as YAML, with the place of every value.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/node.h"

namespace lateen::text {

struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  int max_depth = 60;
};

// One JSON document. Refused: syntax errors, duplicate keys, anything beyond the limits. Origin: file, line, column.
Result<Node> read_json(std::string_view input, std::string_view file, const JsonLimits& limits = {});

}  // namespace lateen::text
