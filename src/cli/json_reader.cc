#include "cli/json_reader.h"

namespace lateen::cli {

namespace dom = simdjson::dom;

void JsonMembers::complain(ErrorCode code, std::string message) {
  if (!problem_.empty()) return;
  problem_ = where_ + ": " + std::move(message);
  code_ = code;
}

Result<void> JsonMembers::result() const {
  if (!problem_.empty()) return fail(code_, problem_);
  return {};
}

void JsonMembers::read(const char* name, std::string& into) {
  dom::element element;
  if (object_.at_key(name).get(element) != simdjson::SUCCESS) return;
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return complain(ErrorCode::kProtocol, std::string(name) + " is not a string");
  into = text;
}

void JsonMembers::read_integer(const char* name, std::int64_t& into, std::int64_t least, std::int64_t most) {
  dom::element element;
  if (object_.at_key(name).get(element) != simdjson::SUCCESS) return;
  std::int64_t value = 0;
  if (element.get(value) != simdjson::SUCCESS || value < least || value > most) {
    return complain(ErrorCode::kProtocol, std::string(name) + " is not a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  into = value;
}

std::vector<dom::element> JsonMembers::elements(const char* name, std::size_t most) {
  std::vector<dom::element> found;
  dom::element element;
  if (object_.at_key(name).get(element) != simdjson::SUCCESS) return found;
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) {
    complain(ErrorCode::kProtocol, std::string(name) + " is not a list");
    return found;
  }
  for (const dom::element item : array) {
    if (found.size() == most) {
      complain(ErrorCode::kOverLimit, std::string(name) + " has more than " + std::to_string(most) + " entries");
      break;
    }
    found.push_back(item);
  }
  return found;
}

void JsonMembers::read(const char* name, std::vector<std::string>& into, std::size_t most) {
  for (const dom::element& item : elements(name, most)) {
    std::string_view text;
    if (item.get(text) != simdjson::SUCCESS) return complain(ErrorCode::kProtocol, std::string(name) + " has an entry that is not a string");
    into.emplace_back(text);
  }
}

void JsonMembers::read(const char* name, std::map<std::string, std::string>& into, std::size_t most) {
  dom::element element;
  if (object_.at_key(name).get(element) != simdjson::SUCCESS) return;
  dom::object members;
  if (element.get(members) != simdjson::SUCCESS) return complain(ErrorCode::kProtocol, std::string(name) + " is not an object");
  for (const dom::key_value_pair member : members) {
    std::string_view text;
    if (member.value.get(text) != simdjson::SUCCESS) {
      return complain(ErrorCode::kProtocol, std::string(name) + "." + std::string(member.key) + " is not a string");
    }
    if (into.size() == most) {
      return complain(ErrorCode::kOverLimit, std::string(name) + " has more than " + std::to_string(most) + " entries");
    }
    into[std::string(member.key)] = text;
  }
}

Result<dom::object> parse_json_object(dom::parser& parser, std::string_view json, std::string_view where) {
  dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root); error != simdjson::SUCCESS) {
    return fail(ErrorCode::kProtocol, std::string(where) + ": not JSON: " + simdjson::error_message(error));
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kProtocol, std::string(where) + ": not a JSON object");
  return object;
}

}  // namespace lateen::cli
