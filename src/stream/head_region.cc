#include "stream/head_region.h"

#include <utility>

namespace lateen::stream {

namespace {
// A block this large was made for an unusual head; it is not kept for the next one.
constexpr std::size_t kKeptBlockBytes = 8 * 1024;
}  // namespace

void HeadRegion::take(Buffer& in) {
  for (const Slice& slice : in.slices()) {
    if (!gathered_ && slice_.size() == 0) {
      slice_ = slice;
    } else if (!gathered_ && slice_.join(slice)) {
      continue;
    } else {
      if (!std::exchange(gathered_, true)) block_ = slice_.view();
      block_ += slice.view();
    }
  }
  in.clear();
}

// The parsers write lower-case names; nobody else reads these bytes before the head is complete.
char* HeadRegion::data() { return gathered_ ? block_.data() : const_cast<char*>(slice_.view().data()); }

void HeadRegion::finish(std::size_t bytes, Buffer& in) {
  if (gathered_) {
    in.append_copy(std::string_view(block_).substr(bytes));
    return;
  }
  if (bytes < slice_.size()) in.append(slice_.part(slice_.view().substr(bytes)));
  slice_.remove_suffix(slice_.size() - bytes);
}

void HeadRegion::clear() {
  slice_ = Slice();
  gathered_ = false;
  if (block_.capacity() > kKeptBlockBytes) {
    block_ = std::string();
  } else {
    block_.clear();
  }
}

}  // namespace lateen::stream
