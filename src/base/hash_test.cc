#include "base/hash.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace lateen {
namespace {

// Values of the reference implementation (libxxhash 0.8).
TEST(Hash, XxHashGivesTheReferenceValues) {
  EXPECT_EQ(xxhash64(""), 0xef46db3751d8e999U);
  EXPECT_EQ(xxhash64("a"), 0xd24ec4f1a98c6e5bU);
  EXPECT_EQ(xxhash64("10.0.0.1:80"), 0x11facba8043b217U);
  EXPECT_EQ(xxhash64("10.0.0.1:80", 1), 0xa456919bcbffaa92U);
}

// Every length goes through another mixture of stripes, words and bytes: a sum over all of them.
TEST(Hash, XxHashOfEveryLengthGivesTheReferenceSum) {
  std::string text;
  std::uint64_t sum = 0;
  for (int i = 0; i < 300; ++i) {
    sum = sum * 31 + xxhash64(text);
    text.push_back(static_cast<char>(i * 37 + 200));
  }
  EXPECT_EQ(sum, 0x8e81b1b3ccd8ffaaU);
}

#if defined(__GLIBCXX__) && defined(__x86_64__)
TEST(Hash, MurmurIsWhatLibstdcxxHashesWith) {
  std::string text;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(murmur_hash2(text), std::hash<std::string>{}(text)) << i;
    text.push_back(static_cast<char>(i * 37 + 200));
  }
}
#endif

}  // namespace
}  // namespace lateen
