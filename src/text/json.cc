#include "text/json.h"

#include <simdjson.h>

#include <algorithm>
#include <string>
#include <unordered_set>

namespace lateen::text {

namespace {

namespace ondemand = simdjson::ondemand;

class JsonReader {
 public:
  JsonReader(std::string_view input, std::string_view file, const JsonLimits& limits) : input_(input), file_(file), limits_(limits) {}

  Result<Node> read() {
    if (input_.size() > limits_.max_bytes) return error(0, ErrorCode::kOverLimit, "is larger than " + std::to_string(limits_.max_bytes) + " bytes");
    const simdjson::padded_string padded(input_);
    base_ = padded.data();
    ondemand::parser parser;
    ondemand::document document;
    if (const auto code = parser.iterate(padded).get(document); code != simdjson::SUCCESS) return syntax(code);
    // A scalar alone is no manifest, and simdjson reads it by other calls.
    bool is_scalar = true;
    if (const auto code = document.is_scalar().get(is_scalar); code != simdjson::SUCCESS) return syntax(code);
    if (is_scalar) return error(0, ErrorCode::kInvalidConfig, "is not a JSON object or list");
    ondemand::value root;
    if (const auto code = document.get_value().get(root); code != simdjson::SUCCESS) return syntax(code);
    LATEEN_TRY(Node node, value(root, 0));
    // On-demand reading does not look at what it does not need; the other parser of simdjson checks every byte.
    simdjson::dom::parser strict;
    simdjson::dom::element whole;
    if (const auto code = strict.parse(padded).get(whole); code != simdjson::SUCCESS) return syntax(code);
    return node;
  }

 private:
  // 1-based line and column of an offset. Offsets only grow, so the count goes on from the one before.
  void locate(std::size_t offset, int& line, int& column) {
    if (offset < counted_) counted_ = line_start_ = 0, line_ = 1;
    for (; counted_ < offset && counted_ < input_.size(); ++counted_)
      if (input_[counted_] == '\n') {
        ++line_;
        line_start_ = counted_ + 1;
      }
    line = line_;
    column = static_cast<int>(std::min(offset, input_.size()) - line_start_) + 1;
  }

  tl::unexpected<Error> error(std::size_t offset, ErrorCode code, std::string message) {
    Origin origin{std::string(file_), 0, 0, {}, {}};
    locate(offset, origin.line, origin.column);
    return fail(code, std::move(message), std::move(origin));
  }
  tl::unexpected<Error> syntax(simdjson::error_code code) {
    return error(offset_, ErrorCode::kInvalidConfig, std::string("is not valid JSON: ") + simdjson::error_message(code));
  }

  void place(const char* at, Node& node) {
    if (at >= base_ && static_cast<std::size_t>(at - base_) <= input_.size()) offset_ = static_cast<std::size_t>(at - base_);
    locate(offset_, node.line, node.column);
  }

  Result<Node> value(ondemand::value from, int depth) {
    Node node;
    place(from.raw_json_token().data(), node);
    if (depth > limits_.max_depth) return error(offset_, ErrorCode::kOverLimit, "is nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    ondemand::json_type type{};
    if (const auto code = from.type().get(type); code != simdjson::SUCCESS) return syntax(code);
    switch (type) {
      case ondemand::json_type::array: return array(from, depth, std::move(node));
      case ondemand::json_type::object: return object(from, depth, std::move(node));
      case ondemand::json_type::number: return number(from, std::move(node));
      case ondemand::json_type::string: {
        std::string_view text;
        if (const auto code = from.get_string().get(text); code != simdjson::SUCCESS) return syntax(code);
        node.type = Node::Type::kString;
        node.quoted = true;
        node.scalar = text;
        return node;
      }
      case ondemand::json_type::boolean: {
        bool truth = false;
        if (const auto code = from.get_bool().get(truth); code != simdjson::SUCCESS) return syntax(code);
        node.type = Node::Type::kBool;
        node.scalar = truth ? "true" : "false";
        return node;
      }
      case ondemand::json_type::null: {
        bool null = false;
        if (const auto code = from.is_null().get(null); code != simdjson::SUCCESS || !null) return syntax(simdjson::N_ATOM_ERROR);
        return node;
      }
    }
    return syntax(simdjson::TAPE_ERROR);
  }

  Result<Node> number(ondemand::value from, Node node) {
    std::string_view token = from.raw_json_token();
    ondemand::number parsed;
    if (const auto code = from.get_number().get(parsed); code != simdjson::SUCCESS) return syntax(code);
    node.type = Node::Type::kNumber;
    node.scalar = token.substr(0, token.find_first_of(" \t\r\n"));
    return node;
  }

  Result<Node> array(ondemand::value from, int depth, Node node) {
    ondemand::array items;
    if (const auto code = from.get_array().get(items); code != simdjson::SUCCESS) return syntax(code);
    node.type = Node::Type::kSequence;
    for (auto item : items) {
      ondemand::value element;
      if (const auto code = item.get(element); code != simdjson::SUCCESS) return syntax(code);
      LATEEN_TRY(Node read, value(element, depth + 1));
      node.items.push_back(std::move(read));
    }
    return node;
  }

  Result<Node> object(ondemand::value from, int depth, Node node) {
    ondemand::object members;
    if (const auto code = from.get_object().get(members); code != simdjson::SUCCESS) return syntax(code);
    node.type = Node::Type::kMapping;
    std::unordered_set<std::string> seen;
    for (auto member : members) {
      ondemand::field field;
      if (const auto code = std::move(member).get(field); code != simdjson::SUCCESS) return syntax(code);
      Member out;
      Node key_place;
      place(field.key().raw() - 1, key_place);
      std::string_view key;
      if (const auto code = field.unescaped_key().get(key); code != simdjson::SUCCESS) return syntax(code);
      out.key = key;
      out.line = key_place.line;
      out.column = key_place.column;
      if (!seen.insert(out.key).second) return error(offset_, ErrorCode::kInvalidConfig, "the key \"" + out.key + "\" occurs twice");
      LATEEN_TRY(out.value, value(field.value(), depth + 1));
      node.members.push_back(std::move(out));
    }
    return node;
  }

  std::string_view input_, file_;
  JsonLimits limits_;
  const char* base_ = nullptr;
  std::size_t offset_ = 0;
  std::size_t counted_ = 0, line_start_ = 0;
  int line_ = 1;
};

}  // namespace

Result<Node> read_json(std::string_view input, std::string_view file, const JsonLimits& limits) {
  return JsonReader(input, file, limits).read();
}

}  // namespace lateen::text
