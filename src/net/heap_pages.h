// HeapPages: huge pages under a large heap. A request that meets one of ten thousand routes reads memory that no cache has,
// and with small pages the processor first has to find out where that memory is, which costs more than reading it.
#pragma once

#include <cstddef>

namespace lateen::net {

// One for a process, used by the thread whose allocations grow the heap.
class HeapPages {
 public:
  // Below it small pages do, and a small mesh keeps a small process.
  static constexpr std::size_t kHeapBytesMin = 16 * 1024 * 1024;

  HeapPages();
  // After much has been allocated: takes in what the heap has grown by. Where the kernel cannot do it nothing happens.
  void update();

 private:
  std::size_t done_;   // an address: up to here it is done
};

}  // namespace lateen::net
