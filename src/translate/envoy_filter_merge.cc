#include "translate/envoy_filter_merge.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "xds/messages.h"
#include "xds/types.h"

namespace lateen::translate {
namespace {

namespace pb = google::protobuf;

// The key of an entry of a map, as bytes.
std::string key_of(const pb::Message& entry) {
  const std::unique_ptr<pb::Message> copy(entry.New());
  copy->CopyFrom(entry);
  copy->GetReflection()->ClearField(copy.get(), entry.GetDescriptor()->map_value());
  return copy->SerializeAsString();
}

// Takes the entries out of a map that `from` has too: a merge replaces them, but protobuf keeps the map of a message that
// is not compiled in as a list, and would list both.
void drop_replaced_entries(pb::Message& into, const pb::Message& from, const pb::FieldDescriptor* field) {
  const pb::Reflection& in_from = *from.GetReflection();
  const pb::Reflection& in_into = *into.GetReflection();
  std::set<std::string> keys;
  for (int i = 0; i < in_from.FieldSize(from, field); ++i) keys.insert(key_of(in_from.GetRepeatedMessage(from, field, i)));
  for (int i = in_into.FieldSize(into, field) - 1; i >= 0; --i) {
    if (!keys.contains(key_of(in_into.GetRepeatedMessage(into, field, i)))) continue;
    in_into.SwapElements(&into, field, i, in_into.FieldSize(into, field) - 1);
    in_into.RemoveLast(&into, field);
  }
}

// Takes out of `into` what a merge of `from` is to replace rather than to add to.
void clear_replaced(pb::Message& into, const pb::Message& from, Lists lists) {
  const pb::Reflection& in_from = *from.GetReflection();
  const pb::Reflection& in_into = *into.GetReflection();
  std::vector<const pb::FieldDescriptor*> set;
  in_from.ListFields(from, &set);
  for (const pb::FieldDescriptor* field : set) {
    if (field->is_map()) {
      drop_replaced_entries(into, from, field);
    } else if (field->is_repeated()) {
      if (lists == Lists::kReplace) in_into.ClearField(&into, field);
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && in_into.HasField(into, field)) {
      if (field->message_type()->full_name() == pb::Duration::descriptor()->full_name()) in_into.ClearField(&into, field);
      else clear_replaced(*in_into.MutableMessage(&into, field), in_from.GetMessage(from, field), lists);
    }
  }
}

}  // namespace

void merge_message(pb::Message& into, const pb::Message& from, Lists lists) {
  clear_replaced(into, from, lists);
  into.MergeFrom(from);
}

void merge_patch(pb::Message& into, const EnvoyPatch& patch) {
  merge_message(into, *patch.message, patch.operation == model::PatchOperation::kMergeAndReplaceList ? Lists::kReplace : Lists::kAppend);
}

AnyMerge merge_any(pb::Any& into, const pb::Any& from) {
  const std::unique_ptr<pb::Message> target = xds::unpack(into);
  const std::unique_ptr<pb::Message> source = xds::unpack(from);
  if (target == nullptr || source == nullptr) return AnyMerge::kUnknown;
  if (target->GetDescriptor() != source->GetDescriptor()) return AnyMerge::kOtherType;
  merge_message(*target, *source);
  xds::pack(*target, into);
  return AnyMerge::kMerged;
}

}  // namespace lateen::translate
