// Writing and reading the small JSON messages of this folder (exec, registration, echo's answers).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen::cli {

// Appends `text` as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD, so the result is always JSON.
void append_json_string(std::string& out, std::string_view text);

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
