#include "net/heap_pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace lateen::net {
namespace {

constexpr std::size_t kHugePageBytes = 2 * 1024 * 1024;
// Tables up to this size are to be in the heap: the most that malloc lets its own threshold grow to.
constexpr int kLargeBytes = 32 * 1024 * 1024;

std::size_t heap_end() { return reinterpret_cast<std::uintptr_t>(sbrk(0)); }
std::size_t round_up(std::size_t address) { return (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes; }

}  // namespace

HeapPages::HeapPages() : begin_(heap_end()), done_(round_up(begin_)) {
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kLargeBytes);
}

void HeapPages::update() {
  const std::size_t end = heap_end() / kHugePageBytes * kHugePageBytes;
  if (end < done_) done_ = end < begin_ ? round_up(begin_) : end;   // it shrank, and forgets what was asked for
  if (end < begin_ + kHeapBytesMin || end <= done_) return;
  auto* const from = reinterpret_cast<void*>(done_);
  if (madvise(from, end - done_, MADV_HUGEPAGE) != 0) return;
#ifdef MADV_COLLAPSE
  madvise(from, end - done_, MADV_COLLAPSE);   // at once; else the kernel comes to it by and by
#endif
  done_ = end;
}

}  // namespace lateen::net
