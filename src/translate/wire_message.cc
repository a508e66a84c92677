#include "translate/wire_message.h"

#include <google/protobuf/any.pb.h>

#include "xds/messages.h"

namespace lateen::translate {
namespace {

constexpr std::uint64_t kVarint = 0, kLengthDelimited = 2;
constexpr int kTypeBits = 3;

}  // namespace

void WireMessage::varint(std::uint64_t value) {
  constexpr std::uint64_t kMore = 0x80;
  constexpr int kBits = 7;
  for (; value >= kMore; value >>= kBits) bytes_ += static_cast<char>(value | kMore);
  bytes_ += static_cast<char>(value);
}

WireMessage& WireMessage::message(std::uint32_t field, const google::protobuf::Message& value) {
  const std::string bytes = xds::serialize(value);
  varint(std::uint64_t{field} << kTypeBits | kLengthDelimited);
  varint(bytes.size());
  bytes_ += bytes;
  return *this;
}

WireMessage& WireMessage::number(std::uint32_t field, std::uint64_t value) {
  varint(std::uint64_t{field} << kTypeBits | kVarint);
  varint(value);
  return *this;
}

void WireMessage::pack(google::protobuf::Any& out) const {
  out.set_type_url("type.googleapis.com/" + type_);
  out.set_value(bytes_);
}

}  // namespace lateen::translate
