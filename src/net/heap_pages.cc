#include "net/heap_pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25   // Linux 6.1; older headers do not have it
#endif

namespace lateen::net {
namespace {

constexpr std::size_t kHugePageBytes = 2 * 1024 * 1024;
// Tables up to this size are to be in the heap: the most that malloc lets its own threshold grow to.
constexpr int kLargeBytes = 32 * 1024 * 1024;

std::size_t heap_end() { return reinterpret_cast<std::uintptr_t>(sbrk(0)); }
std::size_t round_up(std::size_t address) { return (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes; }

// Where the heap began when the program did.
const std::size_t kHeapBegin = heap_end();

}  // namespace

HeapPages::HeapPages() : done_(round_up(kHeapBegin)) {
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kLargeBytes);
}

void HeapPages::update() {
  const std::size_t end = heap_end() / kHugePageBytes * kHugePageBytes;
  if (end < done_) done_ = std::max(end, round_up(kHeapBegin));   // it shrank, and forgets what was asked for
  if (end < kHeapBegin + kHeapBytesMin || end <= done_) return;
  auto* const from = reinterpret_cast<void*>(done_);
  if (madvise(from, end - done_, MADV_HUGEPAGE) != 0) return;
  // At once (about 4 ms for each huge page); where the kernel is older it comes to it by and by.
  madvise(from, end - done_, MADV_COLLAPSE);
  done_ = end;
}

}  // namespace lateen::net
