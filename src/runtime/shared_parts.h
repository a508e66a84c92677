// SharedParts: what many resources of one compile() have alike, kept once: names, the metadata of endpoints, and istiod's
// default retry policy, which stands in every route that has no other.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/boxed.h"
#include "base/shared_text.h"
#include "runtime/route.h"

namespace lateen::runtime {

class SharedParts {
 public:
  // The same object for the same text.
  SharedText text(std::string_view text);
  // From now on the object for this text, unless there is one already.
  void add(const SharedText& text);
  Boxed<TransportMetadata> transport_metadata(TransportMetadata values);

  // By the serialised message. Null: not known yet.
  const Boxed<RetryPolicy>* find_retry_policy(const std::string& bytes) const;
  void add_retry_policy(const std::string& bytes, const Boxed<RetryPolicy>& policy) { retry_policies_.emplace(bytes, policy); }
  const Boxed<ForwardPolicy>* find_forward_policy(const std::string& bytes) const;
  void add_forward_policy(const std::string& bytes, const Boxed<ForwardPolicy>& policy) { forward_policies_.emplace(bytes, policy); }

 private:
  TextMap numbers_;
  std::vector<SharedText> texts_;
  std::map<TransportMetadata, Boxed<TransportMetadata>> transport_metadata_;
  std::unordered_map<std::string, Boxed<RetryPolicy>> retry_policies_;
  std::unordered_map<std::string, Boxed<ForwardPolicy>> forward_policies_;
};

}  // namespace lateen::runtime
