// A streaming JSON writer: commas, escaping and indentation; nothing is held but the output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/node.h"

namespace lateen::text {

class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer. indent 0: all on one line.
  explicit JsonWriter(std::string& out, int indent = 0) : out_(out), indent_(indent) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& string(std::string_view value);
  JsonWriter& number(std::int64_t value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& number(int value) { return number(static_cast<std::int64_t>(value)); }
  JsonWriter& number(unsigned value) { return number(static_cast<std::uint64_t>(value)); }
  JsonWriter& number(double value);             // NaN and infinity become null
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);       // a value that is JSON already
  JsonWriter& node(const Node& value);

  // A key with its value.
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).string(value); }
  JsonWriter& member(std::string_view name, const char* value) { return key(name).string(value); }
  JsonWriter& member(std::string_view name, std::int64_t value) { return key(name).number(value); }
  JsonWriter& member(std::string_view name, std::uint64_t value) { return key(name).number(value); }
  JsonWriter& member(std::string_view name, int value) { return key(name).number(value); }
  JsonWriter& member(std::string_view name, unsigned value) { return key(name).number(value); }
  JsonWriter& member(std::string_view name, double value) { return key(name).number(value); }
  JsonWriter& member(std::string_view name, bool value) { return key(name).boolean(value); }

 private:
  void before_value();
  void new_line();
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);

  std::string& out_;
  int indent_;
  std::vector<bool> has_items_;   // one a level that is open
  bool after_key_ = false;
};

// The text with quotes, escapes and nothing else; bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace lateen::text
