// Load balancing through the whole proxy, in a virtual network: what the pure tests of the balancer cannot see.
#include <set>

#include "proxy/proxy_scene_test.h"

namespace lateen::proxy {
namespace {

using Balancer = runtime::Cluster::Balancer;
using testing::SnapshotBuilder;

runtime::Endpoint at_address(const net::Address& address, std::uint32_t priority = 0) {
  runtime::Endpoint endpoint;
  endpoint.host = address.host;
  endpoint.port = address.port;
  endpoint.priority = priority;
  return endpoint;
}

class BalancingTest : public SceneTest {
 protected:
  explicit BalancingTest(unsigned workers = 1) : SceneTest(workers) {
    for (int i = 0; i < 4; ++i) upstreams.push_back(std::make_unique<Upstream>(scene->outside(), kOk));
  }
  std::vector<net::Address> addresses() const {
    std::vector<net::Address> out;
    for (const auto& upstream : upstreams) out.push_back(upstream->address());
    return out;
  }
  static void hash_by_header(runtime::Route& route) {
    runtime::HashPolicy by;
    by.name = "x-user";
    SnapshotBuilder::forward_of(route).policy->hash.push_back(by);
  }
  // Which upstream answers a request of `user`; -1: none.
  int owner(const std::string& user) {
    std::vector<std::size_t> before;
    for (const auto& upstream : upstreams) before.push_back(upstream->requests());
    get("/", "x-user: " + user + "\r\n");
    for (std::size_t i = 0; i < upstreams.size(); ++i) {
      if (upstreams[i]->requests() != before[i]) return static_cast<int>(i);
    }
    return -1;
  }
  std::vector<int> owners(int users) {
    std::vector<int> out;
    for (int i = 0; i < users; ++i) out.push_back(owner("user-" + std::to_string(i)));
    return out;
  }

  std::vector<std::unique_ptr<Upstream>> upstreams;
};

class TwoWorkersBalancingTest : public BalancingTest {
 protected:
  TwoWorkersBalancingTest() : BalancingTest(2) {}
};

TEST_F(TwoWorkersBalancingTest, AUserStaysWithAHostOnEveryWorker) {
  for (const Balancer balancer : {Balancer::kRingHash, Balancer::kMaglev}) {
    runtime::Cluster policy;
    policy.balancer = balancer;
    serve_route(addresses(), hash_by_header, policy);
    const std::vector<int> first = owners(12);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(owners(12), first);
    EXPECT_GE(std::set<int>(first.begin(), first.end()).size(), 3U);
  }
}

TEST_F(TwoWorkersBalancingTest, AnEjectedHostsUsersMoveAndComeBackOthersStay) {
  runtime::Cluster policy;
  policy.balancer = Balancer::kRingHash;
  runtime::OutlierDetection outlier;
  outlier.consecutive_5xx = 2;
  outlier.max_ejection_percent = 50;
  outlier.base_ejection_time = 30s;
  policy.outlier = outlier;
  policy.panic_threshold_percent = 0;
  serve_route(addresses(), hash_by_header, policy);
  const std::vector<int> before = owners(12);
  const int bad = before[0];
  upstreams[static_cast<std::size_t>(bad)]->set_response(kError);
  owner("user-0");
  owner("user-0");
  scene->network().run_for(1ms);
  const std::vector<int> during = owners(12);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == bad) {
      EXPECT_NE(during[i], bad) << i;
    }
  }
  upstreams[static_cast<std::size_t>(bad)]->set_response(kOk);
  scene->network().run_for(60s);
  EXPECT_EQ(owners(12), before);
}

TEST_F(BalancingTest, PeakEwmaGivesASlowHostLess) {
  // Answers of the first upstream take a second, the others' are there at once.
  runtime::Cluster policy;
  policy.balancer = Balancer::kPeakEwma;
  const std::vector<net::Address> all = addresses();
  PeerListener slow(scene->outside());
  std::size_t slow_requests = 0;
  std::vector<Peer*> waiting;
  slow.on_peer = [&](Peer& peer) {
    peer.on_change = [&](Peer& changed) {
      if (changed.take().empty()) return;
      ++slow_requests;
      waiting.push_back(&changed);
    };
  };
  serve({slow.address(), all[1], all[2], all[3]}, policy);
  std::size_t fast_before = 0;
  for (int i = 0; i < 200; ++i) {
    Peer client(scene->outside(), at);
    client.write("GET / HTTP/1.1\r\nhost: up\r\n\r\n");
    scene->network().run_until([&] { return answer_is_complete(client.received()) || !waiting.empty(); }, 5s);
    if (!waiting.empty()) {
      scene->network().run_for(1s);
      waiting.back()->write(kOk);
      waiting.clear();
      scene->network().run_until([&] { return answer_is_complete(client.received()); }, 5s);
    }
    ASSERT_TRUE(answer_is_complete(client.received())) << i;
  }
  for (std::size_t i = 1; i < 4; ++i) fast_before += upstreams[i]->requests();
  EXPECT_EQ(slow_requests + fast_before, 200U);
  // By round robin it would be 50; it is asked now and then, because what was measured fades.
  EXPECT_GE(slow_requests, 1U);
  EXPECT_LE(slow_requests, 8U);
}

TEST_F(BalancingTest, ARetryLeavesOutPrioritiesThatWereTried) {
  upstreams[0]->set_response(kError);
  scene->config().cluster("up");
  scene->config().endpoints("up", std::vector<runtime::Endpoint>{at_address(upstreams[0]->address()), at_address(upstreams[1]->address(), 1)});
  runtime::Route route = scene->config().forward({"up"});
  runtime::RetryPolicy retry;
  retry.retry_on = runtime::kRetry5xx;
  retry.retries_max = 1;
  retry.previous_priorities_update = 1;
  SnapshotBuilder::forward_of(route).policy->retry = retry;
  scene->config().routes({std::move(route)});
  scene->apply();
  at = scene->listen();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstreams[0]->requests(), 5U);
  EXPECT_EQ(upstreams[1]->requests(), 5U);
}

TEST_F(BalancingTest, DroppedOverloadIs503WithoutATry) {
  scene->config().cluster("up");
  runtime::EndpointSet set;
  set.endpoints.push_back(at_address(upstreams[0]->address()));
  set.drop_per_million = 500'000;
  scene->config().endpoint_set("up", std::move(set));
  scene->config().routes({scene->config().forward({"up"})});
  scene->apply();
  at = scene->listen();
  int dropped = 0;
  for (int i = 0; i < 100; ++i) {
    const Answer answer = get();
    if (answer.status == 200) continue;
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.body, "drop overload");
    ++dropped;
  }
  EXPECT_NEAR(dropped, 50, 20);
  EXPECT_EQ(upstreams[0]->requests(), 100U - static_cast<std::size_t>(dropped));
}

// ---- names of requests

TEST_F(BalancingTest, DynamicForwardProxyGoesWhereTheRequestSays) {
  runtime::Cluster policy;
  policy.discovery = runtime::Cluster::Discovery::kDynamicForwardProxy;
  policy.balancer = Balancer::kClusterProvided;
  scene->config().cluster("up", policy);
  scene->config().routes({scene->config().forward({"up"})});
  scene->config().http().dynamic_forward_proxy_filter = true;
  scene->apply();
  at = scene->listen();
  const net::Address to = upstreams[0]->address();
  scene->names().addresses = {{"api.wild.test", {to.host}}};
  const auto ask = [&](const std::string& host) {
    Peer client(scene->outside(), at);
    return exchange(client, "GET / HTTP/1.1\r\nhost: " + host + "\r\n\r\n");
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("api.wild.test:" + std::to_string(to.port)).status, 200);
  EXPECT_EQ(upstreams[0]->requests(), 3U);
  EXPECT_EQ(upstreams[0]->connections(), 1U) << "pooled by name and address";
  EXPECT_EQ(scene->names().questions, 1);
  EXPECT_EQ(ask(net::to_string(to)).status, 503) << "an IP is a name like others, and this one is not known";
  const Answer unknown = ask("nobody.wild.test");
  EXPECT_EQ(unknown.status, 503);
  EXPECT_EQ(unknown.body, "DNS resolution failure");
}

// As observed with Envoy 1.40: the cluster resolves by itself; only the filter tells the client what was wrong.
TEST_F(BalancingTest, DynamicForwardProxyResolvesWithoutItsFilterToo) {
  runtime::Cluster policy;
  policy.discovery = runtime::Cluster::Discovery::kDynamicForwardProxy;
  policy.balancer = Balancer::kClusterProvided;
  scene->config().cluster("up", policy);
  scene->config().routes({scene->config().forward({"up"})});
  scene->apply();
  at = scene->listen();
  const net::Address to = upstreams[0]->address();
  scene->names().addresses = {{"api.wild.test", {to.host}}};
  Peer client(scene->outside(), at);
  EXPECT_EQ(exchange(client, "GET / HTTP/1.1\r\nhost: api.wild.test:" + std::to_string(to.port) + "\r\n\r\n").status, 200);
  EXPECT_EQ(get().body, "no healthy upstream");
}

// The whole way of a STRICT_DNS cluster: names of the snapshot, addresses of the resolver, hosts of the balancer.
TEST_F(BalancingTest, HostsOfStrictDnsFollowTheNames) {
  runtime::Cluster policy;
  policy.discovery = runtime::Cluster::Discovery::kStrictDns;
  policy.dns.refresh = 10s;
  const net::Address first = upstreams[0]->address();
  scene->names().addresses = {{"db.test", {first.host}}};
  scene->config().cluster("up", policy);
  runtime::Endpoint endpoint;
  endpoint.host = "db.test";
  endpoint.port = first.port;
  scene->config().endpoints("up", std::vector<runtime::Endpoint>{endpoint});
  scene->config().routes({scene->config().forward({"up"})});
  scene->apply();
  at = scene->listen();
  scene->network().run_for(10ms);
  EXPECT_EQ(get().status, 200);
  scene->names().addresses.clear();
  scene->network().run_for(60s);
  EXPECT_EQ(get().status, 200) << "a failed look-up forgets nothing";
  scene->names().addresses = {{"db.test", {"10.9.9.9"}}};
  scene->network().run_for(30s);
  EXPECT_EQ(cluster_status().endpoints.at(0).address, "10.9.9.9:" + std::to_string(first.port));
}

// ---- limits

TEST_F(BalancingTest, RetriesAreAShareOfWhatIsUnderWay) {
  upstreams[0]->set_response(kUnavailable);
  runtime::Cluster policy;
  policy.limits.retry_budget = runtime::CircuitBreakers::RetryBudget{.percent = 0, .retries_min = 1};
  serve_route({upstreams[0]->address()},
              [](runtime::Route& route) {
                runtime::RetryPolicy retry;
                retry.retry_on = runtime::kRetry5xx;
                retry.retries_max = 1;
                retry.backoff_base = retry.backoff_max = 1s;
                SnapshotBuilder::forward_of(route).policy->retry = retry;
              },
              policy);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<Peer>(scene->outside(), at));
    clients.back()->write("GET / HTTP/1.1\r\nhost: up\r\n\r\n");
  }
  scene->network().run_for(30s);
  EXPECT_EQ(upstreams[0]->requests(), 6U) << "one of five was tried again";
  EXPECT_EQ(cluster_status().counters.at("upstream_rq_retry_overflow"), 4U);
}

TEST_F(BalancingTest, ConnectionsEndAsThePolicySays) {
  struct Case {
    const char* name;
    void (*change)(runtime::Cluster&);
    Duration pause;              // between requests
    std::size_t connections;     // for six requests
  };
  const Case cases[] = {
      {"no limit", [](runtime::Cluster&) {}, 1s, 1},
      {"two requests a connection", [](runtime::Cluster& c) { c.requests_per_connection_max = 2; }, 1s, 3},
      {"idle for 5 s", [](runtime::Cluster& c) { c.idle_timeout = 5s; }, 6s, 6},
      {"idle for less than 5 s", [](runtime::Cluster& c) { c.idle_timeout = 5s; }, 4s, 1},
      {"at most 10 s old", [](runtime::Cluster& c) { c.connection_duration_max = 10s; }, 6s, 3},
  };
  for (const Case& c : cases) {
    Upstream upstream(scene->outside(), kOk);
    runtime::Cluster policy;
    c.change(policy);
    serve({upstream.address()}, policy);
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(get().status, 200) << c.name;
      scene->network().run_for(c.pause);
    }
    EXPECT_EQ(upstream.connections(), c.connections) << c.name;
  }
}

TEST_F(BalancingTest, ConnectionsComeFromTheAddressOfThePolicy) {
  Upstream upstream(scene->outside(), kOk);
  for (const char* from : {"", "127.0.0.6", "::6"}) {
    runtime::Cluster policy;
    policy.bind_address = from;
    policy.requests_per_connection_max = 1;
    serve({upstream.address()}, policy);
    const std::size_t before = upstream.connections();
    EXPECT_EQ(get().status, 200) << from;
    ASSERT_EQ(upstream.connections(), before + 1) << from;
    const net::Address seen = upstream.peer(before).transport()->remote_address();
    if (*from != '\0') EXPECT_EQ(seen.host, from);
    else EXPECT_EQ(seen.host, "127.0.0.1");
  }
}

}  // namespace
}  // namespace lateen::proxy
