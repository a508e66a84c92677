#include "proxy/lazy_cluster.h"

#include <gtest/gtest.h>

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const runtime::EndpointSet> endpoints(std::initializer_list<const char*> addresses) {
  auto out = std::make_shared<runtime::EndpointSet>();
  for (const char* address : addresses) {
    runtime::Endpoint endpoint;
    endpoint.host = address;
    endpoint.port = 80;
    out->endpoints.push_back(std::move(endpoint));
  }
  return out;
}

std::shared_ptr<runtime::Cluster> policy() {
  auto out = std::make_shared<runtime::Cluster>();
  out->name = "c";
  out->id = 0;
  return out;
}

std::string text(const ClusterStatus& status) {
  std::string out = status.name + (status.policy == nullptr ? " gone" : "");
  for (const EndpointStatus& endpoint : status.endpoints) out += " " + endpoint.address;
  return out + " " + std::to_string(status.counters.size());
}

struct LazyClusterTest : testing::Test {
  LazyClusterTest() { services.on_tick_wanted = [this] { ++ticks_wanted; }; }
  int ticks_wanted = 0;
  ClusterServices services;
  LazyCluster cluster{"c", 0, 2, services};
};

TEST_F(LazyClusterTest, SaysTheSameOfItselfBeforeAndAfterItIsMade) {
  cluster.set_endpoints(endpoints({"10.0.0.1", "10.0.0.2", "10.0.0.1", "a-name"}), Time(1s));
  cluster.set_policy(policy(), Time(1s));
  const std::string before = text(cluster.status(Time(2s)));
  EXPECT_NE(before.find("c 10.0.0.1:80 10.0.0.2:80 "), std::string::npos) << before;
  proxy::Cluster& made = cluster.get(Time(5s));
  EXPECT_EQ(text(cluster.status(Time(5s))), before);
  EXPECT_EQ(&cluster.get(Time(6s)), &made);
  ASSERT_EQ(made.hosts()->members.size(), 2u);
  EXPECT_EQ(made.hosts()->members[0].host->in_service_since(), Time(1s));  // since it was listed
}

TEST_F(LazyClusterTest, ChangesReachItBeforeAndAfter) {
  cluster.set_endpoints(endpoints({"10.0.0.1"}), Time(1s));
  cluster.set_policy(policy(), Time(1s));
  cluster.set_endpoints(endpoints({"10.0.0.3"}), Time(2s));
  proxy::Cluster& made = cluster.get(Time(3s));
  EXPECT_EQ(made.hosts()->members[0].host->text(), "10.0.0.3:80");
  const std::uint64_t epoch = made.epoch();
  cluster.set_endpoints(endpoints({"10.0.0.3", "10.0.0.4"}), Time(4s));
  EXPECT_NE(made.epoch(), epoch);
  EXPECT_EQ(made.hosts()->members.size(), 2u);
  cluster.set_policy(nullptr, Time(5s));
  EXPECT_TRUE(made.hosts()->members.empty());
}

TEST_F(LazyClusterTest, OneThatHasGoneIsEmpty) {
  cluster.set_endpoints(endpoints({"10.0.0.1"}), Time(1s));
  cluster.set_policy(policy(), Time(1s));
  cluster.set_policy(nullptr, Time(2s));
  EXPECT_TRUE(cluster.get(Time(3s)).hosts()->members.empty());
}

TEST_F(LazyClusterTest, OutlierDetectionBeginsToTick) {
  auto with_outlier = policy();
  with_outlier->outlier.emplace().interval = 7s;
  cluster.set_endpoints(endpoints({"10.0.0.1"}), Time(1s));
  cluster.set_policy(with_outlier, Time(1s));
  EXPECT_FALSE(cluster.on_tick(Time(1s)));
  cluster.get(Time(10s));
  EXPECT_EQ(ticks_wanted, 1);
  EXPECT_EQ(cluster.on_tick(Time(10s)), Time(17s));
}

// What would be late at the first request.
TEST_F(LazyClusterTest, TablesAreMadeAtOnce) {
  auto ring = policy();
  ring->balancer = runtime::Cluster::Balancer::kRingHash;
  cluster.set_endpoints(endpoints({"10.0.0.1"}), Time(1s));
  cluster.set_policy(ring, Time(1s));
  EXPECT_EQ(cluster.status(Time(1s)).counters.count("ring_hash_lb.size"), 1u);
}

}  // namespace
}  // namespace lateen::proxy
