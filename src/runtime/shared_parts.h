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

  // By the serialised message; see shared_by_bytes().
  template <class T>
  using ByBytes = std::unordered_map<std::string, Boxed<T>>;
  ByBytes<RetryPolicy> retry_policies;
  ByBytes<ForwardPolicy> forward_policies;

 private:
  TextMap numbers_;
  std::vector<SharedText> texts_;
  std::map<TransportMetadata, Boxed<TransportMetadata>> transport_metadata_;
};

}  // namespace lateen::runtime
