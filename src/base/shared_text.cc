#include "base/shared_text.h"

#include <cstring>
#include <limits>
#include <new>

#include "base/result.h"

namespace lateen {

SharedText::SharedText(std::string_view text) {
  if (text.empty()) return;
  LATEEN_CHECK(text.size() <= std::numeric_limits<std::uint32_t>::max());
  void* room = ::operator new(sizeof(Block) + text.size());
  block_ = new (room) Block{1, static_cast<std::uint32_t>(text.size())};
  std::memcpy(static_cast<char*>(room) + sizeof(Block), text.data(), text.size());
}

void SharedText::release() {
  if (block_ == nullptr || block_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  block_->~Block();
  ::operator delete(block_);
}

}  // namespace lateen
