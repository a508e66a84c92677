// The patches that are for one proxy, in istiod's order, with their values as messages of Envoy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "translate/scope.h"
#include "xds/types.h"

namespace google::protobuf {
class Message;
}

namespace lateen::translate {

// The message that a patch with this applyTo has as its value: "envoy.config.cluster.v3.Cluster".
std::string_view patch_type(model::ApplyTo apply_to);

// The patch's value. Null without a value. Errors: kInvalidConfig.
Result<std::shared_ptr<const google::protobuf::Message>> patch_value(const model::EnvoyFilterPatch& patch,
                                                                     xds::UnknownFields unknown);

struct EnvoyPatch {
  const model::EnvoyFilterMatch& match;
  model::ApplyTo apply_to;
  model::PatchOperation operation;       // INSERT_* is ADD where a list has no order
  std::shared_ptr<const google::protobuf::Message> message;  // null for a REMOVE without a value

  bool is_for(model::PatchContext context) const { return match.context == context || match.context == model::PatchContext::kAny; }
  bool merges() const {
    return operation == model::PatchOperation::kMerge || operation == model::PatchOperation::kMergeAndReplaceList;
  }
  template <class T>
  const T& value() const {
    return static_cast<const T&>(*message);
  }
};

class EnvoyPatches {
 public:
  // `scope` must outlive it.
  EnvoyPatches(const Scope& scope, const Notes& notes);

  bool empty() const { return patches_.empty(); }
  std::span<const EnvoyPatch> of(model::ApplyTo apply_to) const {
    const auto it = patches_.find(apply_to);
    return it == patches_.end() ? std::span<const EnvoyPatch>() : std::span<const EnvoyPatch>(it->second);
  }

 private:
  std::map<model::ApplyTo, std::vector<EnvoyPatch>> patches_;
};

}  // namespace lateen::translate
