#include "translate/envoy_filter_merge.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include "xds/messages.h"
#include "xds/types.h"

namespace lateen::translate {
namespace {

namespace pb = google::protobuf;

// Takes out of `into` what a merge of `from` is to replace rather than to add to.
void clear_replaced(pb::Message& into, const pb::Message& from, Lists lists) {
  const pb::Reflection& in_from = *from.GetReflection();
  const pb::Reflection& in_into = *into.GetReflection();
  std::vector<const pb::FieldDescriptor*> set;
  in_from.ListFields(from, &set);
  for (const pb::FieldDescriptor* field : set) {
    if (field->is_map()) continue;
    if (field->is_repeated()) {
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
