#include "runtime/shared_parts.h"

#include <utility>

namespace lateen::runtime {

SharedText SharedParts::text(std::string_view text) {
  if (text.empty()) return {};
  if (const auto known = numbers_.find(text)) return texts_[*known];
  texts_.emplace_back(text);
  numbers_.insert(texts_.back(), static_cast<std::uint32_t>(texts_.size() - 1));
  return texts_.back();
}

void SharedParts::add(const SharedText& text) {
  if (!text.empty() && numbers_.insert(text, static_cast<std::uint32_t>(texts_.size()))) texts_.push_back(text);
}

Boxed<TransportMetadata> SharedParts::transport_metadata(TransportMetadata values) {
  if (values.empty()) return {};
  if (const auto known = transport_metadata_.find(values); known != transport_metadata_.end()) return known->second;
  Boxed<TransportMetadata> box(values);
  return transport_metadata_.emplace(std::move(values), std::move(box)).first->second;
}

}  // namespace lateen::runtime
