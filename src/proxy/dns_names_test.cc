#include <gtest/gtest.h>

#include <optional>

#include "proxy/dns_cache.h"
#include "proxy/dns_cluster.h"
#include "testing/names_in_memory.h"
#include "testing/virtual_loop.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;
using Family = runtime::Cluster::Dns::Family;
using Discovery = runtime::Cluster::Discovery;
using testing::NamesInMemory;

struct Scene {
  testing::VirtualLoop loop{1};
  NamesInMemory names{loop};
  std::vector<std::string> seen;      // "host/hostname/priority" of the last set
  std::size_t published = 0, localities = 0;
  std::optional<DnsCluster> cluster;
  runtime::Cluster policy;
  runtime::EndpointSet set;

  Scene() {
    policy.discovery = Discovery::kStrictDns;
    policy.dns.refresh = 60s;
    cluster.emplace(loop, names, [this](std::shared_ptr<const runtime::EndpointSet> endpoints) {
      seen.clear();
      ++published;
      localities = endpoints->localities.size();
      for (const runtime::Endpoint& endpoint : endpoints->endpoints) {
        seen.push_back(endpoint.host + "/" + endpoint.hostname + "/" + std::to_string(endpoint.priority));
      }
    });
  }
  void add(const std::string& host, std::uint32_t priority = 0) {
    runtime::Endpoint endpoint;
    endpoint.host = host;
    endpoint.port = 80;
    endpoint.priority = priority;
    set.endpoints.push_back(endpoint);
  }
  void start() {
    cluster->set(std::make_shared<const runtime::Cluster>(policy), std::make_shared<const runtime::EndpointSet>(set));
    loop.run_for(10ms);
  }
};
using Seen = std::vector<std::string>;

TEST(DnsCluster, EveryAddressOfEveryNameIsAnEndpoint) {
  Scene s;
  s.names.addresses = {{"a.test", {"10.0.0.1", "10.0.0.2"}}, {"b.test", {"10.0.1.1"}}};
  s.add("a.test");
  s.add("b.test", 1);
  s.add("10.0.2.1", 2);
  s.set.localities.resize(3);
  s.start();
  EXPECT_EQ(s.seen, (Seen{"10.0.0.1/a.test/0", "10.0.0.2/a.test/0", "10.0.1.1/b.test/1", "10.0.2.1//2"}));
  EXPECT_EQ(s.localities, 3U);
}

TEST(DnsCluster, FamiliesAreChosenAsEnvoyChoosesThem) {
  struct Case {
    Family family;
    Seen seen;
  };
  const Case cases[] = {
      {Family::kAll, {"10.0.0.1/x/0", "fd00::1/x/0"}},  {Family::kV4Only, {"10.0.0.1/x/0"}}, {Family::kV6Only, {"fd00::1/x/0"}},
      {Family::kV4Preferred, {"10.0.0.1/x/0"}},         {Family::kAuto, {"fd00::1/x/0"}},
  };
  for (const Case& c : cases) {
    Scene s;
    s.names.addresses = {{"x", {"10.0.0.1", "fd00::1"}}};
    s.policy.dns.family = c.family;
    s.add("x");
    s.start();
    EXPECT_EQ(s.seen, c.seen) << static_cast<int>(c.family);
  }
}

TEST(DnsCluster, IsAskedAgainByRefreshRateOrTimeToLive) {
  struct Case {
    bool respect_ttl;
    Duration ttl;
    int questions;   // in 10 minutes
  };
  const Case cases[] = {{false, 10s, 10}, {true, 20s, 30}, {true, 0s, 10}, {true, 1ms, 600}};
  for (const Case& c : cases) {
    Scene s;
    s.names.addresses = {{"x", {"10.0.0.1"}}};
    s.names.ttl = c.ttl;
    s.policy.dns.respect_ttl = c.respect_ttl;
    s.add("x");
    s.start();
    s.loop.run_for(10min);
    EXPECT_NEAR(s.names.questions, c.questions, 2);
    EXPECT_EQ(s.published, 1U) << "nothing changed";
  }
}

TEST(DnsCluster, JitterSpreadsTheQuestions) {
  Scene s;
  s.names.addresses = {{"x", {"10.0.0.1"}}};
  s.policy.dns.refresh = 10s;
  s.policy.dns.jitter = 10s;
  s.add("x");
  s.start();
  s.loop.run_for(1500s);
  EXPECT_NEAR(s.names.questions, 100, 12);
}

TEST(DnsCluster, AFailureForgetsNothingAndIsTriedSoonerAgain) {
  Scene s;
  s.names.addresses = {{"x", {"10.0.0.1"}}};
  s.add("x");
  s.start();
  s.names.addresses.clear();
  s.loop.run_for(61s);
  EXPECT_EQ(s.seen, (Seen{"10.0.0.1/x/0"}));
  const int before = s.names.questions;
  s.loop.run_for(8s);
  EXPECT_GE(s.names.questions, before + 2) << "1, 2, 4 ... seconds, at most: half of it at least";
  s.loop.run_for(10min);
  EXPECT_LE(s.names.questions, before + 30) << "never more often than twice the refresh rate in the end";
  EXPECT_EQ(s.seen, (Seen{"10.0.0.1/x/0"}));
  s.names.addresses = {{"x", {"10.0.0.9"}}};
  s.loop.run_for(61s);
  EXPECT_EQ(s.seen, (Seen{"10.0.0.9/x/0"}));
}

TEST(DnsCluster, LogicalKeepsOneAddressWhileTheNameHasIt) {
  Scene s;
  s.policy.discovery = Discovery::kLogicalDns;
  s.names.addresses = {{"x", {"10.0.0.1", "10.0.0.2"}}};
  s.add("x");
  s.start();
  EXPECT_EQ(s.seen, (Seen{"10.0.0.1/x/0"}));
  s.names.addresses = {{"x", {"10.0.0.2", "10.0.0.1"}}};
  s.loop.run_for(61s);
  EXPECT_EQ(s.seen, (Seen{"10.0.0.1/x/0"}));
  s.names.addresses = {{"x", {"10.0.0.3", "10.0.0.2"}}};
  s.loop.run_for(61s);
  EXPECT_EQ(s.seen, (Seen{"10.0.0.3/x/0"}));
}

TEST(DnsCluster, NewNamesAreAskedForAtOnceOldOnesForgotten) {
  Scene s;
  s.names.addresses = {{"x", {"10.0.0.1"}}, {"y", {"10.0.0.2"}}};
  s.add("x");
  s.start();
  s.set.endpoints.clear();
  s.add("y");
  s.start();
  EXPECT_EQ(s.seen, (Seen{"10.0.0.2/y/0"}));
  EXPECT_EQ(s.names.questions, 2);
}

// ---- names of requests

struct CacheScene {
  testing::VirtualLoop loop{1};
  NamesInMemory names{loop};
  DnsCache cache{loop, names};

  // The address, or the error's message.
  std::string find(const std::string& name) {
    std::string out;
    cache.find(name, net::DnsFamily::kAll, [&](Result<net::Address> found) { out = found ? found->host : found.error().message; });
    loop.run_for(5ms);
    return out;
  }
};

TEST(DnsCache, KeepsAnswersForTheirTimeToLive) {
  CacheScene s;
  s.names.addresses = {{"x", {"10.0.0.1"}}};
  s.names.ttl = 30s;
  EXPECT_EQ(s.find("x"), "10.0.0.1");
  s.names.addresses = {{"x", {"10.0.0.2"}}};
  EXPECT_EQ(s.find("x"), "10.0.0.1");
  EXPECT_EQ(s.names.questions, 1);
  s.loop.run_for(31s);
  EXPECT_EQ(s.find("x"), "10.0.0.2");
  EXPECT_EQ(s.names.questions, 2);
}

TEST(DnsCache, AFailureForgetsNothing) {
  CacheScene s;
  EXPECT_EQ(s.find("x"), "no such name");
  s.names.addresses = {{"x", {"10.0.0.1"}}};
  EXPECT_EQ(s.find("x"), "10.0.0.1") << "failures are not kept";
  s.names.addresses.clear();
  s.loop.run_for(10min);
  EXPECT_EQ(s.find("x"), "10.0.0.1");
}

TEST(DnsCache, QuestionsAtTheSameTimeAreOne) {
  CacheScene s;
  s.names.addresses = {{"x", {"10.0.0.1"}}};
  int answers = 0;
  for (int i = 0; i < 10; ++i) s.cache.find("x", net::DnsFamily::kAll, [&](Result<net::Address> found) { answers += found.has_value(); });
  s.loop.run_for(5ms);
  EXPECT_EQ(answers, 10);
  EXPECT_EQ(s.names.questions, 1);
}

TEST(DnsCache, IsBounded) {
  CacheScene s;
  for (std::size_t i = 0; i < DnsCache::kNamesMax + 10; ++i) s.names.addresses["n" + std::to_string(i)] = {"10.0.0.1"};
  std::size_t refused = 0;
  for (std::size_t i = 0; i < DnsCache::kNamesMax + 10; ++i) {
    s.cache.find("n" + std::to_string(i), net::DnsFamily::kAll, [&](Result<net::Address> found) { refused += !found.has_value(); });
  }
  s.loop.run_for(5ms);
  EXPECT_EQ(refused, 10U) << "all places were waited for";
  EXPECT_EQ(s.find("n" + std::to_string(DnsCache::kNamesMax)), "10.0.0.1") << "now one that is not can go";
  refused = 0;
  for (std::size_t i = 0; i < DnsCache::kWaitingMax + 3; ++i) s.cache.find("other", net::DnsFamily::kAll, [&](Result<net::Address>) { ++refused; });
  EXPECT_EQ(refused, 3U) << "too many wait for one name";
}

}  // namespace
}  // namespace lateen::proxy
