// Messages of Envoy's API that the generated code leaves out, written field by field. The descriptors know them, so
// that they are checked and printed like all others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace google::protobuf {
class Any;
class Message;
}  // namespace google::protobuf

namespace lateen::translate {

class WireMessage {
 public:
  // `type` is the full name: "envoy.extensions.transport_sockets...".
  explicit WireMessage(std::string_view type) : type_(type) {}

  // In ascending order of `field`.
  WireMessage& message(std::uint32_t field, const google::protobuf::Message& value);
  WireMessage& number(std::uint32_t field, std::uint64_t value);

  void pack(google::protobuf::Any& out) const;

 private:
  void varint(std::uint64_t value);

  std::string type_, bytes_;
};

}  // namespace lateen::translate
