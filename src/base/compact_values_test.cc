// The small stand-ins for std::string, std::optional and std::vector.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/boxed.h"
#include "base/compact_list.h"
#include "base/inline_list.h"
#include "base/shared_text.h"
#include "base/time.h"

namespace lateen {
namespace {

TEST(SharedText, IsTheTextItWasMadeOf) {
  EXPECT_EQ(sizeof(SharedText), sizeof(void*));
  const SharedText none, empty = "", short_one = "a", with_zero = std::string_view("a\0b", 3);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none, empty);
  EXPECT_EQ(none, "");
  EXPECT_EQ(short_one, std::string("a"));
  EXPECT_EQ(with_zero.size(), 3u);
  EXPECT_LT(short_one, SharedText("b"));
  EXPECT_LT(none, short_one);
  EXPECT_EQ("x" + short_one + 'y' + "z", "xayz");
}

TEST(SharedText, CopiesShareAndOutliveOneAnother) {
  SharedText copy;
  {
    const SharedText first = std::string(100, 'x');
    copy = first;
    EXPECT_TRUE(copy.shares_with(first));
    EXPECT_FALSE(copy.shares_with(SharedText(first.view())));
  }
  EXPECT_EQ(copy, std::string(100, 'x'));
  SharedText& self = copy;
  copy = self;
  const SharedText moved = std::move(copy);
  EXPECT_EQ(moved.size(), 100u);
}

TEST(Boxed, WritingPartsFromTheCopies) {
  Boxed<std::string> none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.value_or("other"), "other");
  Boxed<std::string> first = std::string("first");
  const Boxed<std::string> second = first;
  EXPECT_TRUE(second.shares_with(first));
  *first += "!";
  EXPECT_EQ(*first, "first!");
  EXPECT_EQ(*second, "first");
  EXPECT_FALSE(first == second);
  first = second;
  EXPECT_TRUE(first == second);
  first.reset();
  EXPECT_FALSE(first);
  EXPECT_EQ(first.emplace(), "");
  EXPECT_FALSE(Boxed<std::string>(std::optional<std::string>()));
  EXPECT_EQ(*Boxed<std::string>(std::optional<std::string>("x")), "x");
}

// Does with a list of this kind what can be done with it, and with a std::vector the same.
template <class List>
void expect_like_vector(unsigned seed) {
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    List list;
    std::vector<std::string> expected;
    for (auto i = random() % 20; i > 0; --i) {
      const std::string item(random() % 40, 'x');
      list.push_back(item);
      expected.push_back(item);
      ASSERT_EQ(list.back(), item);
    }
    const List copy = list;
    List moved = std::move(list);
    list = moved;
    if (!list.empty()) list.front() += "changed";
    EXPECT_EQ(std::vector<std::string>(copy.begin(), copy.end()), expected);
    EXPECT_EQ(std::vector<std::string>(moved.begin(), moved.end()), expected);
    EXPECT_EQ(copy.empty(), expected.empty());
    EXPECT_EQ(copy.size(), expected.size());
    List& self = moved;
    moved = self;
    EXPECT_EQ(moved.size(), expected.size());
    list = {"a", "b"};
    EXPECT_EQ(list.back(), "b");
    list = {"only"};
    EXPECT_EQ(list[0], "only");
    list.clear();
    EXPECT_EQ(list.begin(), list.end());
    list = std::move(moved);
    EXPECT_EQ(list.size(), expected.size());
  }
}

TEST(CompactList, IsAVectorInOnePointer) {
  EXPECT_EQ(sizeof(CompactList<std::string>), sizeof(void*));
  expect_like_vector<CompactList<std::string>>(1);
}

TEST(InlineList, IsAVectorWhoseOnlyEntryLiesInIt) {
  expect_like_vector<InlineList<std::string>>(2);
  const InlineList<std::string> one = {"x"}, two = {"x", "y"};
  const auto lies_in = [](const auto& list) { return static_cast<const void*>(list.data()) >= &list && static_cast<const void*>(list.data()) < &list + 1; };
  EXPECT_TRUE(lies_in(one));
  EXPECT_FALSE(lies_in(two));
}

TEST(OptionalDuration, IsAnOptionalInEightBytes) {
  EXPECT_EQ(sizeof(OptionalDuration), sizeof(Duration));
  OptionalDuration none, zero = Duration::zero(), second = std::chrono::seconds(1);
  EXPECT_FALSE(none);
  EXPECT_TRUE(zero);
  EXPECT_EQ(none.value_or(std::chrono::seconds(3)), std::chrono::seconds(3));
  EXPECT_EQ(second, std::chrono::milliseconds(1000));
  EXPECT_FALSE(none == zero);
  none = std::optional<Duration>(Duration(5));
  EXPECT_EQ(*none, Duration(5));
  EXPECT_EQ(std::optional<Duration>(none), Duration(5));
}

}  // namespace
}  // namespace lateen
