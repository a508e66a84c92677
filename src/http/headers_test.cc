#include "http/headers.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lateen::http {
namespace {

TEST(HeaderId, EveryKnownNameHasItsOwnId) {
  std::set<std::string_view> names;
  for (int id = 1; id <= static_cast<int>(HeaderId::kGrpcMessage); ++id) {
    const auto header = static_cast<HeaderId>(id);
    if (header == HeaderId::kXEnvoyOther) continue;
    const std::string_view name = header_name(header);
    ASSERT_FALSE(name.empty()) << id;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(header_id(name), header) << name;
  }
  EXPECT_EQ(header_name(HeaderId::kTe), "te");
  EXPECT_EQ(header_name(HeaderId::kGrpcMessage), "grpc-message");
  EXPECT_EQ(header_name(HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs), "x-envoy-upstream-rq-per-try-timeout-ms");
}

TEST(HeaderId, OtherNamesHaveNone) {
  for (std::string_view name : {"", "x", "hos", "hostt", "host ", "x-envoy", "content-lengti", "Host"}) {
    EXPECT_EQ(header_id(name), HeaderId::kOther) << name;
  }
  EXPECT_EQ(header_id("x-envoy-anything"), HeaderId::kXEnvoyOther);
}

TEST(HeaderMap, KeepsOrderAndCopiesWhatItIsToldToCopy) {
  std::string value = "one";
  HeaderMap map;
  map.add("x-a", value);
  map.add_reference("x-b", value);
  map.add(HeaderId::kServer, value);
  value = "two";
  ASSERT_EQ(map.size(), 3u);
  EXPECT_EQ(map.fields()[0].value, "one");
  EXPECT_EQ(map.fields()[1].value, "two");
  EXPECT_EQ(map.get(HeaderId::kServer), "one");
  EXPECT_EQ(map.get("server"), "one");
  EXPECT_EQ(map.get("x-c"), std::nullopt);
}

TEST(HeaderMap, SetReplacesTheFirstAndRemovesTheOthers) {
  HeaderMap map;
  map.add("x-a", "1");
  map.add("x-b", "2");
  map.add("x-a", "3");
  EXPECT_EQ(map.count("x-a"), 2u);
  map.set("x-a", "4");
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map.fields()[0].value, "4");
  EXPECT_EQ(map.fields()[1].name, "x-b");
  map.set(HeaderId::kDate, "today");
  map.set("date", "tomorrow");
  EXPECT_EQ(map.get(HeaderId::kDate), "tomorrow");
  EXPECT_EQ(map.remove("x-a"), 1u);
  EXPECT_EQ(map.remove(HeaderId::kDate), 1u);
  EXPECT_EQ(map.remove(HeaderId::kDate), 0u);
  EXPECT_EQ(map.size(), 1u);
}

TEST(HeaderMap, RemovesAllOfAGroupOfNames) {
  HeaderMap map;
  map.add("x-envoy-foo", "1");
  map.add("x-envoy-retry-on", "2");
  map.add("x-envoy-bar", "3");
  EXPECT_EQ(map.remove(HeaderId::kXEnvoyOther), 2u);
  EXPECT_EQ(map.remove_if([](const Header& h) { return h.name.starts_with("x-envoy-"); }), 1u);
  EXPECT_TRUE(map.empty());
}

TEST(HeaderMap, ViewsStayWhereTheyAreWhileTheMapGrowsAndMoves) {
  HeaderMap map;
  map.add("x-first", "value");
  const char* const at = map.fields()[0].value.data();
  for (int i = 0; i < 1000; ++i) map.add("x-" + std::to_string(i), std::string(100, 'v'));
  map.add("x-large", std::string(100'000, 'l'));
  HeaderMap moved = std::move(map);
  EXPECT_EQ(moved.fields()[0].value.data(), at);
  EXPECT_EQ(moved.get("x-first"), "value");
  EXPECT_EQ(moved.get("x-999"), std::string(100, 'v'));
  EXPECT_EQ(moved.get("x-large")->size(), 100'000u);
  EXPECT_TRUE(map.empty());   // NOLINT: a moved-from map is an empty map
  map.add("x-again", "1");
  EXPECT_EQ(map.size(), 1u);
}

TEST(HeaderMap, ACopyLivesOnItsOwn) {
  HeaderMap copy;
  {
    std::string text = "borrowed";
    HeaderMap map;
    map.add_reference("x-a", text);
    map.add("x-b", "own");
    copy = map.copy();
    text = "overwritten";
  }
  EXPECT_EQ(copy.get("x-a"), "borrowed");
  EXPECT_EQ(copy.get("x-b"), "own");
}

TEST(HeaderMap, ClearedAndRefilledTakesTheSamePlace) {
  HeaderMap map;
  map.add("x-a", "first");
  const char* const at = map.fields()[0].value.data();
  const Header* const field = map.fields().data();
  for (int round = 0; round < 100; ++round) {
    map.clear();
    EXPECT_TRUE(map.empty());
    map.add("x-a", "second");
    EXPECT_EQ(map.fields().data(), field);
    EXPECT_LE(map.fields()[0].value.data() - at, 100);
  }
}

TEST(HeaderMap, FollowsARegionThatMoved) {
  std::string first = "name: value";
  HeaderMap map;
  map.add_reference(std::string_view(first).substr(0, 4), std::string_view(first).substr(6));
  map.add_reference(HeaderId::kServer, "static");
  std::string second = first;
  map.rebase(first.data(), first.size(), second.data());
  first.assign(first.size(), 'x');
  EXPECT_EQ(map.fields()[0].name, "name");
  EXPECT_EQ(map.fields()[0].value, "value");
  EXPECT_EQ(map.get(HeaderId::kServer), "static");
}

}  // namespace
}  // namespace lateen::http
