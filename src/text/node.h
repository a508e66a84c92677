// Node: one value of a YAML or JSON document, with the place where it stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lateen::text {

struct Member;

struct Node {
  enum class Type : std::uint8_t { kNull, kBool, kNumber, kString, kSequence, kMapping };

  Type type = Type::kNull;
  bool quoted = false;          // a string that was quoted, a block scalar, or tagged !!str: never a number by accident
  int line = 0, column = 0;     // 1-based; 0: unknown
  std::string scalar;           // kBool: "true" or "false"; kNumber: as written; kString: the text
  std::vector<Node> items;      // kSequence
  std::vector<Member> members;  // kMapping, in the order written; keys are unique

  bool is_null() const { return type == Type::kNull; }
  bool is_mapping() const { return type == Type::kMapping; }
  bool is_sequence() const { return type == Type::kSequence; }
  bool is_string() const { return type == Type::kString; }

  // The value of a key, or null if this is no mapping or has no such key.
  const Node* find(std::string_view key) const;
  // The same for a way of keys: at({"metadata", "name"}).
  const Node* at(std::initializer_list<std::string_view> keys) const;
  // The text of a string, or "" for anything else.
  std::string_view text() const;
};

struct Member {
  std::string key;
  int line = 0, column = 0;     // of the key
  Node value;
};

// "a mapping", "a list", "a string", "a number", "true or false", "nothing": for messages.
std::string_view describe(Node::Type type);

// What was written, short enough for a message: `"abc"`, `12`, `a mapping`.
std::string describe(const Node& node);

}  // namespace lateen::text
