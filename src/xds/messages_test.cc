#include "xds/messages.h"

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <gtest/gtest.h>

#include <set>

namespace lateen::xds {
namespace {

namespace routes = envoy::config::route::v3;

TEST(ContentHash, DependsOnEveryByteAndOnTheLength) {
  std::string text = "outbound|9080||reviews.default.svc.cluster.local";
  std::set<std::uint64_t> seen{content_hash(text)};
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_TRUE(seen.insert(content_hash(other)).second) << i;
    EXPECT_TRUE(seen.insert(content_hash(text.substr(0, i))).second) << i;
  }
  EXPECT_TRUE(seen.insert(content_hash(text + '\0')).second);
}

// Written down: the hash is stored and compared across runs and machines.
TEST(ContentHash, IsStable) {
  EXPECT_EQ(content_hash("abc"), content_hash(std::string("abc")));
  EXPECT_EQ(content_hash(""), 2902805962516761537ULL);
  EXPECT_EQ(content_hash("lateen"), 8056029327152233601ULL);
}

TEST(Serialize, IsTheSameForMapsFilledInAnyOrder) {
  envoy::config::core::v3::Metadata one, two;
  for (int i = 0; i < 20; ++i) (*one.mutable_filter_metadata())["key" + std::to_string(i)];
  for (int i = 19; i >= 0; --i) (*two.mutable_filter_metadata())["key" + std::to_string(i)];
  EXPECT_EQ(serialize(one), serialize(two));
}

TEST(RouteConfigurationBytes, AreTheMessageWithItsVirtualHosts) {
  routes::RouteConfiguration whole, shell;
  shell.set_name("9080");
  whole.set_name("9080");
  RouteConfigurationParts parts{make_resource("9080", shell), {}};
  for (const char* name : {"b", "a", "c"}) {
    routes::VirtualHost host;
    host.set_name(name);
    host.add_domains(std::string(300, 'x'));  // longer than one byte of length
    *whole.add_virtual_hosts() = host;
    parts.virtual_hosts.push_back(make_resource(name, host));
  }
  routes::RouteConfiguration parsed;
  ASSERT_TRUE(parsed.ParseFromString(route_configuration_bytes(parts)));
  EXPECT_EQ(serialize(parsed), serialize(whole));
}

TEST(Json, HasTheProtosFieldNames) {
  routes::RouteConfiguration route;
  route.set_name("9080");
  route.mutable_validate_clusters()->set_value(false);
  const auto json = resource_json(kRouteType, serialize(route));
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(*json, R"({"name":"9080","validate_clusters":false})");
}

TEST(Json, RefusesWhatItCannotRead) {
  EXPECT_FALSE(resource_json("type.googleapis.com/no.such.Type", "").has_value());
  EXPECT_FALSE(resource_json(kRouteType, "\xff\xff\xff").has_value());
}

}  // namespace
}  // namespace lateen::xds
