#include "net/heap_pages.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace lateen::net {
namespace {

// Whether pages are huge is the kernel's business; what stands in them must not change.
TEST(HeapPages, WhatIsInTheHeapStays) {
  HeapPages pages;
  pages.update();
  std::vector<std::unique_ptr<std::size_t[]>> blocks;
  constexpr std::size_t kBlocks = 40'000, kNumbers = 128;   // 40 MB
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = blocks.size(); i < kBlocks; ++i) {
      blocks.push_back(std::make_unique<std::size_t[]>(kNumbers));
      for (std::size_t n = 0; n < kNumbers; ++n) blocks.back()[n] = i + n;
    }
    pages.update();
    pages.update();
    for (std::size_t i = 0; i < kBlocks; ++i)
      for (std::size_t n = 0; n < kNumbers; ++n) ASSERT_EQ(blocks[i][n], i + n);
    blocks.resize(kBlocks / 8);
  }
}

}  // namespace
}  // namespace lateen::net
