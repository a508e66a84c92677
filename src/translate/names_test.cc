#include "translate/names.h"

#include <gtest/gtest.h>

namespace lateen::translate {
namespace {

TEST(Names, ShortHostsBelongToTheNamespaceOfTheRule) {
  EXPECT_EQ(resolve_host("reviews", "other", "cluster.local"), "reviews.other.svc.cluster.local");
  EXPECT_EQ(resolve_host("reviews.default", "other", "cluster.local"), "reviews.default");
  EXPECT_EQ(resolve_host("*", "other", "cluster.local"), "*");
}

TEST(Names, HostsMatchByTheirWildcards) {
  struct Row {
    const char *one, *other;
    bool match, within;  // have a name in common; the first lies within the second
  };
  const Row rows[] = {
      {"a.example", "a.example", true, true},      {"a.example", "b.example", false, false},
      {"a.example", "*.example", true, true},      {"*.example", "a.example", true, false},
      {"*", "a.example", true, false},             {"a.example", "*", true, true},
      {"*.b.example", "*.example", true, true},    {"*.example", "*.b.example", true, false},
      {"*.example", "*.test", false, false},       {"ab.example", "*b.example", true, true},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(hosts_match(row.one, row.other), row.match) << row.one << ' ' << row.other;
    EXPECT_EQ(host_within(row.one, row.other), row.within) << row.one << ' ' << row.other;
  }
}

TEST(Names, MoreSpecificIsAnOrder) {
  const std::vector<std::string> hosts{"a.very.long.example", "a.example", "b.example", "*.long.example", "*.example", "*"};
  for (std::size_t i = 0; i < hosts.size(); ++i)
    for (std::size_t j = 0; j < hosts.size(); ++j)
      EXPECT_EQ(more_specific(hosts[i], hosts[j]), i < j) << hosts[i] << ' ' << hosts[j];
}

TEST(Names, ExportToSaysWhoSeesAnObject) {
  EXPECT_TRUE(exported({}, "a", "b"));
  EXPECT_TRUE(exported({"*"}, "a", "b"));
  EXPECT_TRUE(exported({"."}, "a", "a"));
  EXPECT_FALSE(exported({"."}, "a", "b"));
  EXPECT_TRUE(exported({".", "b"}, "a", "b"));
  EXPECT_FALSE(exported({"~"}, "a", "a"));
}

TEST(Names, GatewaysAreNamedWithTheirNamespace) {
  EXPECT_EQ(gateway_key("gw", "default"), "default/gw");
  EXPECT_EQ(gateway_key("other/gw", "default"), "other/gw");
  EXPECT_EQ(gateway_key("gw.other.svc.cluster.local", "default"), "other/gw");
  EXPECT_EQ(gateway_key("mesh", "default"), "mesh");
}

TEST(Names, AddressesAreNoHosts) {
  EXPECT_TRUE(is_ip("10.0.0.1"));
  EXPECT_TRUE(is_ip("fd00::1"));
  EXPECT_FALSE(is_ip("10.0.0.example"));
  EXPECT_FALSE(is_ip("reviews"));
}

}  // namespace
}  // namespace lateen::translate
