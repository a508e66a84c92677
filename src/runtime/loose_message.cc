#include "runtime/loose_message.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <vector>

#include "xds/types.h"

namespace lateen::runtime {
namespace {

namespace pb = google::protobuf;

const pb::FieldDescriptor& field_of(const pb::Message& message, std::string_view name) {
  const pb::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(std::string(name));
  LATEEN_CHECK(field != nullptr && !field->is_repeated());
  return *field;
}

}  // namespace

LooseMessage::LooseMessage(std::unique_ptr<pb::Message> message) : message_(std::move(message)) {}
LooseMessage::LooseMessage(LooseMessage&&) noexcept = default;
LooseMessage& LooseMessage::operator=(LooseMessage&&) noexcept = default;
LooseMessage::~LooseMessage() = default;

std::optional<LooseMessage> LooseMessage::unpack(const pb::Any& any, Fields& fields) {
  std::unique_ptr<pb::Message> message = xds::unpack(any);
  if (message == nullptr) {
    fields.refuse("does not parse as " + std::string(type_name(any)));
    return std::nullopt;
  }
  return LooseMessage(std::move(message));
}

void LooseMessage::only(std::initializer_list<std::string_view> known, Fields& fields) const {
  std::vector<int> numbers;
  for (const std::string_view name : known) {
    const pb::FieldDescriptor* field = message_->GetDescriptor()->FindFieldByName(std::string(name));
    LATEEN_CHECK(field != nullptr);
    numbers.push_back(field->number());
  }
  fields.only(*message_, numbers);
}

bool LooseMessage::has(std::string_view name) const {
  return message_->GetReflection()->HasField(*message_, &field_of(*message_, name));
}

bool LooseMessage::boolean(std::string_view name) const {
  return message_->GetReflection()->GetBool(*message_, &field_of(*message_, name));
}

std::uint64_t LooseMessage::number(std::string_view name) const {
  const pb::FieldDescriptor& field = field_of(*message_, name);
  const pb::Reflection& reflection = *message_->GetReflection();
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM) return static_cast<std::uint64_t>(reflection.GetEnumValue(*message_, &field));
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT64) return reflection.GetUInt64(*message_, &field);
  return reflection.GetUInt32(*message_, &field);
}

std::string LooseMessage::text(std::string_view name) const {
  return message_->GetReflection()->GetString(*message_, &field_of(*message_, name));
}

bool LooseMessage::message(std::string_view name, pb::Message& out) const {
  if (!has(name)) return false;
  // The part may belong to another pool of descriptors than `out`: the bytes are the same.
  const pb::Message& part = message_->GetReflection()->GetMessage(*message_, &field_of(*message_, name));
  LATEEN_CHECK(part.GetDescriptor()->full_name() == out.GetDescriptor()->full_name());
  LATEEN_CHECK(out.ParseFromString(part.SerializeAsString()));
  return true;
}

}  // namespace lateen::runtime
