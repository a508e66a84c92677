#include "runtime/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace lateen::runtime {
namespace {

// Values of the reference program (xxhsum -H1).
TEST(Hash64, AgreesWithTheReference) {
  EXPECT_EQ(hash64(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(hash64("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(hash64("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(hash64("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

// Each length takes other ways through the tail; no two may meet.
TEST(Hash64, EveryLengthIsItsOwn) {
  std::string text;
  std::uint64_t before = hash64(text);
  for (int i = 0; i < 200; ++i) {
    text += 'x';
    EXPECT_NE(hash64(text), before);
    before = hash64(text);
  }
  EXPECT_NE(hash64(text, 1), before);
}

}  // namespace
}  // namespace lateen::runtime
