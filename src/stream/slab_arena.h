// SlabArena: where bytes come into being. Hands out the unused end of one slab after another, so that many small reads and
// heads share a slab, and starts the slab again from its beginning when nobody holds a slice of it any more.
#pragma once

#include <cstddef>
#include <span>

#include "net/loop.h"
#include "stream/buffer.h"

namespace lateen::stream {

class SlabArena {
 public:
  SlabArena() = default;
  ~SlabArena();
  SlabArena(const SlabArena&) = delete;
  SlabArena& operator=(const SlabArena&) = delete;

  // At least `bytes_min` (at most kSlabBytes) writable bytes; valid until the next call of the arena.
  std::span<char> reserve(std::size_t bytes_min);
  // The first `bytes` of what reserve() gave.
  Slice commit(std::size_t bytes);

  // The arenas of the calling thread. They are apart because a read ends where the kernel decides.
  static SlabArena& for_copies();
  static SlabArena& for_reads();

 private:
  Slab* slab_ = nullptr;
  std::size_t used_ = 0;
};

// One read from `socket` behind what `into` holds. `large`: up to kLargeReadBytes, for bodies that keep coming.
inline constexpr std::size_t kLargeReadBytes = 4 * kSlabBytes;
net::IoResult read_into(net::Socket& socket, Buffer& into, bool large);

}  // namespace lateen::stream
