// Objects as `get -o yaml|json` and `describe` print them.
#pragma once

#include <string>
#include <vector>

#include "cli/object_rows.h"

namespace lateen::cli {

// One document, or a List of them.
std::string objects_yaml(const std::vector<ObjectRow>& rows, bool one);
std::string objects_json(const std::vector<ObjectRow>& rows, bool one);

// kubectl's way: "Name:", "Namespace:" ... then the fields with their names in words.
std::string describe_text(const ObjectRow& row);

}  // namespace lateen::cli
