#include "cli/json_text.h"

#include "text/json_writer.h"

namespace lateen::cli {

using text::append_json_string;

void JsonObject::begin(std::string_view name) {
  if (text_.size() > 1) text_ += ',';
  append_json_string(text_, name);
  text_ += ':';
}

JsonObject& JsonObject::add(std::string_view name, std::string_view value) {
  begin(name);
  append_json_string(text_, value);
  return *this;
}

JsonObject& JsonObject::add(std::string_view name, std::int64_t value) {
  begin(name);
  text_ += std::to_string(value);
  return *this;
}

JsonObject& JsonObject::add(std::string_view name, const std::vector<std::string>& values) {
  begin(name);
  text_ += '[';
  for (const std::string& value : values) {
    if (text_.back() != '[') text_ += ',';
    append_json_string(text_, value);
  }
  text_ += ']';
  return *this;
}

JsonObject& JsonObject::add(std::string_view name, const std::map<std::string, std::string>& values) {
  JsonObject inner;
  for (const auto& [key, value] : values) inner.add(key, value);
  return add_raw(name, inner.text());
}

JsonObject& JsonObject::add_raw(std::string_view name, std::string_view json) {
  begin(name);
  text_ += json;
  return *this;
}

std::string json_array(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) {
    if (out.size() > 1) out += ',';
    out += value;
  }
  return out + "]";
}

}  // namespace lateen::cli
