// Reading members of a small JSON object into C++ values, with one message for each way in which they can be wrong.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "base/result.h"

namespace lateen::cli {

// Reads one object. Absent members leave the target as it is, members of the wrong type are remembered as an error.
// Members that nobody reads are ignored: the other side may be newer.
class JsonMembers {
 public:
  JsonMembers(simdjson::dom::object object, std::string where) : object_(object), where_(std::move(where)) {}

  void read(const char* name, std::string& into);
  template <class Integer>
  void read(const char* name, Integer& into, std::int64_t least, std::int64_t most) {
    std::int64_t value = static_cast<std::int64_t>(into);
    read_integer(name, value, least, most);
    into = static_cast<Integer>(value);
  }
  void read(const char* name, std::vector<std::string>& into, std::size_t most);
  void read(const char* name, std::map<std::string, std::string>& into, std::size_t most);
  // The elements of an array; empty when absent.
  std::vector<simdjson::dom::element> elements(const char* name, std::size_t most);

  // The first thing that was wrong.
  Result<void> result() const;
  void complain(ErrorCode code, std::string message);

 private:
  void read_integer(const char* name, std::int64_t& into, std::int64_t least, std::int64_t most);

  simdjson::dom::object object_;
  std::string where_;
  std::string problem_;
  ErrorCode code_ = ErrorCode::kProtocol;
};

// Parses `json`, which must be one object. `parser` owns what the object points into.
Result<simdjson::dom::object> parse_json_object(simdjson::dom::parser& parser, std::string_view json, std::string_view where);

}  // namespace lateen::cli
