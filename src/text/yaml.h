// YAML streams into Nodes. Every document stands alone: a bad one gives an error with its place, the others are read.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/node.h"

namespace lateen::text {

struct YamlLimits {
  std::size_t max_stream_bytes = std::size_t{64} << 20;
  std::size_t max_document_bytes = std::size_t{16} << 20;
  std::size_t max_documents = 100'000;
  int max_depth = 60;                     // nested lists and mappings; libfyaml itself stops at 64
  std::size_t max_alias_nodes = 100'000;  // values that aliases may copy in one document: no "billion laughs"
};

struct YamlDocument {
  Node root;
  std::string_view text;  // the document in the input, without its `---`; lives as long as the input
  int line = 1;           // of the document's first line
};

struct YamlBadDocument {
  Error error;            // origin: file, line, column
  std::string_view text;
};

struct YamlStream {
  std::vector<YamlDocument> documents;    // empty ones are left out
  std::vector<YamlBadDocument> bad;
};

// Refused: syntax errors, duplicate keys, undefined aliases, keys that are no strings, tags other than YAML's own,
// anything beyond the limits. Merge keys (`<<`) are carried out. `file` is the name shown in errors.
YamlStream read_yaml(std::string_view input, std::string_view file, const YamlLimits& limits = {});

}  // namespace lateen::text
