// Merging a patch into a message, and patching lists, with istiod's rules.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstdint>

#include "translate/envoy_filter_patches.h"

namespace google::protobuf {
class Any;
class Message;
}  // namespace google::protobuf

namespace lateen::translate {

enum class Lists : std::uint8_t { kAppend, kReplace };

// A protobuf merge (set fields win, messages are merged, maps by key, lists grow), but durations are replaced. With
// kReplace the lists of `from` replace those of `into`. Both are of one type.
void merge_message(google::protobuf::Message& into, const google::protobuf::Message& from, Lists lists = Lists::kAppend);

// The same by the patch's operation.
void merge_patch(google::protobuf::Message& into, const EnvoyPatch& patch);

// Merges what is in the Anys. kUnknown: one of them cannot be read, `into` stays as it is. kOtherType: istiod breaks off
// patching here.
enum class AnyMerge : std::uint8_t { kMerged, kUnknown, kOtherType };
AnyMerge merge_any(google::protobuf::Any& into, const google::protobuf::Any& from);

template <class T>
void insert_at(google::protobuf::RepeatedPtrField<T>& list, int index, const T& value) {
  list.Add()->CopyFrom(value);
  for (int i = list.size() - 1; i > index; --i) list.SwapElements(i, i - 1);
}

template <class T, class Predicate>
int find_first(const google::protobuf::RepeatedPtrField<T>& list, const Predicate& matches) {
  for (int i = 0; i < list.size(); ++i)
    if (matches(list.Get(i))) return i;
  return -1;
}

template <class T, class Predicate>
void remove_all(google::protobuf::RepeatedPtrField<T>& list, const Predicate& matches) {
  for (int i = list.size() - 1; i >= 0; --i)
    if (matches(list.Get(i))) list.DeleteSubrange(i, 1);
}

// Every operation on an element of a list but the merges. `has_match`: the patch names an element; without a name the
// list's begin and end stand for it, and nothing is replaced or removed.
template <class T, class Predicate>
void patch_list(google::protobuf::RepeatedPtrField<T>& list, const EnvoyPatch& patch, bool has_match, const Predicate& matches) {
  switch (patch.operation) {
    case model::PatchOperation::kAdd:
      list.Add()->CopyFrom(patch.value<T>());
      return;
    case model::PatchOperation::kInsertFirst:
      return insert_at(list, 0, patch.value<T>());
    case model::PatchOperation::kInsertAfter: {
      const int found = has_match ? find_first(list, matches) : list.size() - 1;
      if (found >= 0 || !has_match) insert_at(list, found + 1, patch.value<T>());
      return;
    }
    case model::PatchOperation::kInsertBefore: {
      const int found = has_match ? find_first(list, matches) : 0;
      if (found >= 0) insert_at(list, found, patch.value<T>());
      return;
    }
    case model::PatchOperation::kReplace: {
      const int found = has_match ? find_first(list, matches) : -1;
      if (found >= 0) list.Mutable(found)->CopyFrom(patch.value<T>());
      return;
    }
    case model::PatchOperation::kRemove:
      if (has_match) remove_all(list, matches);
      return;
    case model::PatchOperation::kMerge:
    case model::PatchOperation::kMergeAndReplaceList:
    case model::PatchOperation::kInvalid:
      return;
  }
}

}  // namespace lateen::translate
