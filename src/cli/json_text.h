// Writing the small JSON messages of this folder (exec, registration, echo's answers) on top of text/json_writer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen::cli {

// Builds one object, member by member, in the order of the calls.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view value);
  JsonObject& add(std::string_view name, const char* value) { return add(name, std::string_view(value)); }
  JsonObject& add(std::string_view name, std::int64_t value);
  JsonObject& add(std::string_view name, const std::vector<std::string>& values);
  JsonObject& add(std::string_view name, const std::map<std::string, std::string>& values);
  JsonObject& add_raw(std::string_view name, std::string_view json);  // `json` is a whole JSON value
  std::string text() const { return text_ + "}"; }

 private:
  void begin(std::string_view name);
  std::string text_ = "{";
};

// `[a,b]` of whole JSON values.
std::string json_array(const std::vector<std::string>& values);

}  // namespace lateen::cli
