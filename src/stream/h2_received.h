// What an HTTP/2 session hands out of the bytes that it was given.
#pragma once

#include <string_view>

#include "stream/buffer.h"

namespace lateen::stream {

// A piece as small as this is copied: as a slice it would cost more than its bytes, and keep the slab that it came in.
inline constexpr std::size_t kCopiedPieceBytes = 256;

// `bytes` as a buffer: a part of `whole` where they lie in it.
inline Buffer received_piece(const Slice& whole, std::string_view bytes) {
  Buffer out;
  const std::string_view all = whole.view();
  const bool inside = bytes.data() >= all.data() && bytes.data() + bytes.size() <= all.data() + all.size();
  if (inside && bytes.size() > kCopiedPieceBytes) {
    out.append(whole.part(bytes));
  } else {
    out.append_copy(bytes);
  }
  return out;
}

}  // namespace lateen::stream
