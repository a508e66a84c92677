#include "runtime/text_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace lateen::runtime {
namespace {

TEST(TextMap, FindsWhatAMapFinds) {
  std::mt19937 random(7);
  for (const unsigned texts : {0U, 1U, 3U, 4U, 5U, 100U, 5'000U}) {
    TextMap map;
    std::map<std::string, std::uint32_t> expected;
    EXPECT_FALSE(map.find("")) << texts;
    for (std::uint32_t i = 0; i < texts; ++i) {
      const std::string text = std::to_string(random() % (texts * 2));
      EXPECT_EQ(map.insert(text, i), expected.emplace(text, i).second);
    }
    EXPECT_EQ(map.size(), expected.size());
    for (std::uint32_t i = 0; i < texts * 2; ++i) {
      const auto found = expected.find(std::to_string(i));
      EXPECT_EQ(map.find(std::to_string(i)), found == expected.end() ? std::nullopt : std::optional(found->second));
    }
  }
}

TEST(TextMap, EmptyTextIsATextToo) {
  TextMap map;
  EXPECT_TRUE(map.insert("", 3));
  EXPECT_FALSE(map.insert("", 4));
  EXPECT_EQ(map.find(""), 3u);
  EXPECT_FALSE(map.find("x"));
}

}  // namespace
}  // namespace lateen::runtime
