// LooseMessage: a message of Envoy's API that is not compiled in as a class, read by the names of its fields.
//
// Only what is small and rare is read this way: the program carries the descriptors of the whole API, and looks at them
// only when the first such message comes.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/compile_fields.h"

namespace lateen::runtime {

class LooseMessage {
 public:
  // Nothing, and refused, if the bytes are not of the Any's type.
  static std::optional<LooseMessage> unpack(const google::protobuf::Any& any, Fields& fields);
  LooseMessage(LooseMessage&&) noexcept;
  LooseMessage& operator=(LooseMessage&&) noexcept;
  ~LooseMessage();

  // Every field that is set and not named here is unsupported.
  void only(std::initializer_list<std::string_view> known, Fields& fields) const;

  // What is not set reads as false, 0 and "". The names must be fields of the type, and of that kind.
  bool has(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::uint64_t number(std::string_view name) const;    // unsigned, or an enum's value
  std::string text(std::string_view name) const;
  // False if not set. `out` must be of the field's type.
  bool message(std::string_view name, google::protobuf::Message& out) const;

 private:
  explicit LooseMessage(std::unique_ptr<google::protobuf::Message> message);
  std::unique_ptr<google::protobuf::Message> message_;  // never null
};

}  // namespace lateen::runtime
