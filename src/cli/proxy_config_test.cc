// The tables against what istioctl printed for the same dumps of a real Envoy under a real istiod.
#include "cli/proxy_config.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace lateen::cli {
namespace {

std::string data(const std::string& name) {
  std::ifstream file(LATEEN_SOURCE_DIR "/src/cli/testdata/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {(std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()};
}

TEST(ProxyConfig, ClusterTableIsThatOfIstioctl) {
  const auto table = cluster_table(data("config_dump.json"), {}, nullptr);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table, data("cluster.table.txt"));
}

TEST(ProxyConfig, RouteTableIsThatOfIstioctl) {
  const auto table = route_table(data("config_dump.json"), {});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table, data("route.table.txt"));
}

TEST(ProxyConfig, ListenerTableIsThatOfIstioctl) {
  const auto table = listener_table(data("config_dump.json"), {});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table, data("listener.table.txt"));
}

TEST(ProxyConfig, EndpointTableIsThatOfIstioctl) {
  const auto table = endpoint_table(data("clusters.json"), {}, nullptr);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table, data("endpoint.table.txt"));
}

TEST(ProxyConfig, FiltersChooseRows) {
  ProxyConfigFilter filter;
  filter.fqdn = "reviews.default.svc.cluster.local";
  filter.subset = "v1";
  EXPECT_EQ(cluster_table(data("config_dump.json"), filter, nullptr).value(),
            "SERVICE FQDN                          PORT     SUBSET     DIRECTION     TYPE     DESTINATION RULE\n"
            "reviews.default.svc.cluster.local     9080     v1         outbound      EDS      reviews-subsets.default\n");
  ProxyConfigFilter by_port;
  by_port.port = 27'017;
  EXPECT_EQ(listener_table(data("config_dump.json"), by_port).value(),
            "ADDRESSES PORT  MATCH DESTINATION\n"
            "10.96.0.5 27017 ALL   Cluster: outbound|27017||mongodb.default.svc.cluster.local\n");
}

TEST(ProxyConfig, EjectionsAreShownWhereTheMeshKnowsThem) {
  const std::string cluster = "outbound|9080|v1|reviews.default.svc.cluster.local";
  Ejections ejections;
  ejections[cluster] = {.endpoints = 2, .ejected = 1, .returns_in_ms = 56'001, .left_ms_by_address = {{"10.1.2.1:9080", 56'001}}};
  ProxyConfigFilter filter;
  filter.fqdn = "reviews.default.svc.cluster.local";
  filter.subset = "v1";
  EXPECT_EQ(cluster_table(data("config_dump.json"), filter, &ejections).value(),
            "SERVICE FQDN                          PORT     SUBSET     DIRECTION     TYPE     DESTINATION RULE            ENDPOINTS     EJECTED\n"
            "reviews.default.svc.cluster.local     9080     v1         outbound      EDS      reviews-subsets.default     2             1/2, 57 s left\n");
}

TEST(ProxyConfig, EjectedText) {
  EXPECT_EQ(ejected_text({}), "-");
  EXPECT_EQ(ejected_text({.endpoints = 3, .ejected = 0, .returns_in_ms = 0, .left_ms_by_address = {}}), "0/3");
  EXPECT_EQ(ejected_text({.endpoints = 2, .ejected = 2, .returns_in_ms = 1, .left_ms_by_address = {}}), "2/2, 1 s left");
}

TEST(ProxyConfig, JsonHasEnvoysNamesInCamelCase) {
  ProxyConfigFilter filter;
  filter.name = "9080";
  const auto json = route_json(data("config_dump.json"), filter);
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_NE(json->find("\"virtualHosts\": ["), std::string::npos);
  EXPECT_NE(json->find("\"retryOn\": \"connect-failure,refused-stream"), std::string::npos);
  EXPECT_EQ(json->find("InboundPassthroughCluster"), std::string::npos);
  const auto yaml = json_to_yaml(*json);
  ASSERT_TRUE(yaml);
  EXPECT_NE(yaml->find("virtualHosts:"), std::string::npos);
}

TEST(ProxyConfig, WhatIsNoDumpIsRefused) {
  for (const char* bad : {"", "[]", "{", "not json"}) EXPECT_FALSE(cluster_table(bad, {}, nullptr)) << bad;
}

}  // namespace
}  // namespace lateen::cli
