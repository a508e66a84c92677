#include "text/node.h"

namespace lateen::text {

namespace {
constexpr std::size_t kShownBytes = 60;
}

const Node* Node::find(std::string_view key) const {
  for (const Member& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}

const Node* Node::at(std::initializer_list<std::string_view> keys) const {
  const Node* node = this;
  for (std::string_view key : keys) {
    if (node == nullptr) return nullptr;
    node = node->find(key);
  }
  return node;
}

std::string_view Node::text() const { return type == Type::kString ? std::string_view(scalar) : std::string_view(); }

std::string_view describe(Node::Type type) {
  switch (type) {
    case Node::Type::kNull: return "nothing";
    case Node::Type::kBool: return "true or false";
    case Node::Type::kNumber: return "a number";
    case Node::Type::kString: return "a string";
    case Node::Type::kSequence: return "a list";
    case Node::Type::kMapping: return "a mapping";
  }
  return "nothing";
}

std::string describe(const Node& node) {
  if (node.type == Node::Type::kBool || node.type == Node::Type::kNumber) return node.scalar.substr(0, kShownBytes);
  if (node.type != Node::Type::kString) return std::string(describe(node.type));
  std::string shown = "\"";
  for (char c : node.scalar.substr(0, kShownBytes)) shown += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return shown + (node.scalar.size() > kShownBytes ? "...\"" : "\"");
}

}  // namespace lateen::text
