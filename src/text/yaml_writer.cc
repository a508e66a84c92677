#include "text/yaml_writer.h"

#include <algorithm>

#include "text/json_writer.h"
#include "text/scalar.h"

namespace lateen::text {

namespace {

bool is_plain_safe(std::string_view text) {
  if (text.empty() || plain_scalar_type(text) != Node::Type::kString) return false;
  // Words that some YAML readers take for booleans or merge keys.
  if (text == "y" || text == "Y" || text == "n" || text == "N" || text == "<<" || text == "=") return false;
  constexpr std::string_view kFirst = "-?:,[]{}#&*!|>'\"%@` ~";
  if (kFirst.find(text.front()) != std::string_view::npos || text.back() == ' ' || text.back() == ':') return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos || text.starts_with("...")) return false;
  // A number that does not fit, a date, a version such as 1_0: whatever starts like a number is quoted.
  const char first = text.front();
  if ((first >= '0' && first <= '9') || first == '+' || first == '.') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x1F && c < 0x7F && std::string_view(",[]{}").find(c) == std::string_view::npos;
  });
}

void append_scalar(std::string& out, const Node& node) {
  switch (node.type) {
    case Node::Type::kNull: out += "null"; return;
    case Node::Type::kBool:
    case Node::Type::kNumber: out += node.scalar; return;
    case Node::Type::kString:
      if (is_plain_safe(node.scalar)) out += node.scalar;
      else append_json_string(out, node.scalar);
      return;
    case Node::Type::kSequence: out += "[]"; return;
    case Node::Type::kMapping: out += "{}"; return;
  }
}

bool is_block(const Node& node) { return !node.items.empty() || !node.members.empty(); }

void append_key(std::string& out, std::string_view key) {
  if (is_plain_safe(key)) out += key;
  else append_json_string(out, key);
  out += ':';
}

// `inline_first`: the first line continues the line that is open ("- name: x").
void append_block(std::string& out, const Node& node, std::size_t indent, bool inline_first) {
  const auto start_line = [&] {
    if (!inline_first) out.append(indent, ' ');
    inline_first = false;
  };
  for (const Member& member : node.members) {
    start_line();
    append_key(out, member.key);
    if (!is_block(member.value)) {
      out += ' ';
      append_scalar(out, member.value);
      out += '\n';
      continue;
    }
    out += '\n';
    append_block(out, member.value, member.value.is_mapping() ? indent + 2 : indent, false);
  }
  for (const Node& item : node.items) {
    start_line();
    out += "- ";
    if (is_block(item)) {
      append_block(out, item, indent + 2, true);
      continue;
    }
    append_scalar(out, item);
    out += '\n';
  }
}

}  // namespace

std::string write_yaml(const Node& node) {
  std::string out;
  if (is_block(node)) {
    append_block(out, node, 0, false);
  } else {
    append_scalar(out, node);
    out += '\n';
  }
  return out;
}

}  // namespace lateen::text
