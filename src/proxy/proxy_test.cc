// The whole proxy over the virtual network: what clients and upstreams see.
#include "proxy/proxy.h"

#include "proxy/proxy_scene_test.h"

namespace lateen::proxy {
namespace {

net::Address nobody_listens_here() { return {.family = net::Address::Family::kIpv4, .host = "10.9.9.9", .port = 1}; }

struct ProxyTest : SceneTest {};

TEST_F(ProxyTest, CarriesARequestToTheUpstreamAndTheAnswerBack) {
  Upstream upstream(scene->outside(), kOk);
  serve({upstream.address()});
  const Answer answer = get("/x?y=1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_TRUE(answer.has("server: envoy")) << answer.head;
  EXPECT_NE(answer.head.find("x-envoy-upstream-service-time: "), std::string::npos);
  EXPECT_NE(answer.head.find("date: "), std::string::npos);
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_TRUE(upstream.request(0).starts_with("GET /x?y=1 HTTP/1.1\r\nhost: reviews:9080\r\n")) << upstream.request(0);
  EXPECT_NE(upstream.request(0).find("x-forwarded-proto: http\r\n"), std::string::npos);
  EXPECT_NE(upstream.request(0).find("x-request-id: "), std::string::npos);
  EXPECT_EQ(upstream.request(0).find("x-envoy-expected-rq-timeout-ms"), std::string::npos) << "no timeout is set";
}

TEST_F(ProxyTest, KeepsConnectionsOnBothSides) {
  Upstream upstream(scene->outside(), kOk);
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(exchange(client, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
  EXPECT_EQ(upstream.connections(), 1U);
  const ClusterStatus status = cluster_status();
  EXPECT_EQ(status.connections_active, 1U);
  EXPECT_EQ(status.requests_active, 0U);
  EXPECT_EQ(status.counters.at("upstream_rq_2xx"), 5U);
  ASSERT_EQ(status.endpoints.size(), 1U);
  EXPECT_EQ(status.endpoints[0].requests_success, 5U);
}

TEST_F(ProxyTest, NoRouteIs404WithoutABody) {
  Upstream upstream(scene->outside(), kOk);
  serve_route({upstream.address()}, [](runtime::Route& route) { route.match.path = "/only"; });
  const Answer answer = get("/other");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(answer.has("content-length: 0")) << answer.head;
  EXPECT_EQ(upstream.connections(), 0U);
}

TEST_F(ProxyTest, NoEndpointIs503WithEnvoysWords) {
  serve({});
  const Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "no healthy upstream");
  EXPECT_TRUE(answer.has("content-type: text/plain"));
}

TEST_F(ProxyTest, NoClusterIs503WithoutABody) {
  scene->config().routes({scene->config().forward({"missing"})});
  scene->apply();
  at = scene->listen();
  const Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "");
}

TEST_F(ProxyTest, RefusedConnectionIs503AfterOneTryWithoutAPolicy) {
  serve({nobody_listens_here()});
  const Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.body.starts_with("upstream connect error or disconnect/reset before headers. reset reason: remote connection "
                                      "failure"))
      << answer.body;
  EXPECT_EQ(cluster_status().endpoints.at(0).connect_failures, 1U);
}

TEST_F(ProxyTest, RefusedConnectionIsTriedElsewhereByPolicy) {
  Upstream upstream(scene->outside(), kOk);
  runtime::Cluster policy;
  policy.balancer = runtime::Cluster::Balancer::kRoundRobin;
  serve_route({nobody_listens_here(), upstream.address()},
              [](runtime::Route& route) {
                runtime::RetryPolicy retry;
                retry.retry_on = runtime::kRetryConnectFailure;
                retry.retries_max = 2;
                retry.avoid_previous_hosts = true;
                retry.host_selection_attempts_max = 5;
                testing::SnapshotBuilder::forward_of(route).policy->retry = retry;
              },
              policy);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstream.requests(), 10U);
}

TEST_F(ProxyTest, RouteTimeoutIs504) {
  Upstream upstream(scene->outside(), "");
  serve_route({upstream.address()}, [](runtime::Route& route) { testing::SnapshotBuilder::forward_of(route).policy->timeout = 2s; });
  const Answer answer = get();
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.body, "upstream request timeout");
  EXPECT_GE(answer.took, 2s);
  EXPECT_LT(answer.took, 2100ms);
  EXPECT_NE(upstream.request(0).find("x-envoy-expected-rq-timeout-ms: 2000\r\n"), std::string::npos) << upstream.request(0);
  EXPECT_EQ(cluster_status().endpoints.at(0).requests_timeout, 1U);
}

TEST_F(ProxyTest, DelayCountsAgainstTheTimeoutOnlyWhereTheRouteSaysSo) {
  Upstream upstream(scene->outside(), kOk);
  for (const bool counts : {false, true}) {
    serve_route({upstream.address()}, [&](runtime::Route& route) {
      testing::SnapshotBuilder::forward_of(route).policy->timeout = 2s;
      route.fault = runtime::Fault();
      route.fault->delay = 3s;
      route.fault->delay_per_million = 1'000'000;
      route.delay_counts_against_timeout = counts;
    });
    const Answer answer = get();
    EXPECT_EQ(answer.status, counts ? 504 : 200);
    EXPECT_GE(answer.took, counts ? 2s : 3s);
    EXPECT_LT(answer.took, counts ? 2100ms : 3100ms);
  }
  EXPECT_EQ(upstream.requests(), 1U);
}

TEST_F(ProxyTest, AbortsAreNeverRetriedAndReachNobody) {
  Upstream upstream(scene->outside(), kOk);
  serve_route({upstream.address()}, [](runtime::Route& route) {
    runtime::RetryPolicy retry;
    retry.retry_on = runtime::kRetry5xx;
    retry.retries_max = 3;
    testing::SnapshotBuilder::forward_of(route).policy->retry = retry;
    route.fault = runtime::Fault();
    route.fault->abort_status = 503;
    route.fault->abort_per_million = 1'000'000;
  });
  const Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "fault filter abort");
  EXPECT_TRUE(answer.has("content-length: 18"));
  EXPECT_EQ(upstream.requests(), 0U);
  EXPECT_LT(answer.took, 20ms);
}

TEST_F(ProxyTest, RetriesA503AsOftenAsAskedAndCountsAttempts) {
  Upstream upstream(scene->outside(), kOk);
  upstream.first_responses = {std::string(kUnavailable), std::string(kUnavailable)};
  scene->config().virtual_host().include_attempt_count_in_request = true;
  serve_route({upstream.address()}, [](runtime::Route& route) {
    runtime::RetryPolicy retry;
    retry.retry_on = runtime::kRetryRetriableStatusCodes;
    retry.retriable_status_codes = {503};
    retry.retries_max = 2;
    testing::SnapshotBuilder::forward_of(route).policy->retry = retry;
  });
  Peer client(scene->outside(), at);
  const std::string post = "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
  EXPECT_EQ(exchange(client, post).status, 200);
  ASSERT_EQ(upstream.requests(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(upstream.request(i).ends_with("\r\n\r\nhello")) << "the body goes with every try";
    EXPECT_NE(upstream.request(i).find("x-envoy-attempt-count: " + std::to_string(i + 1) + "\r\n"), std::string::npos);
  }
  EXPECT_EQ(cluster_status().counters.at("upstream_rq_retry"), 2U);
  EXPECT_EQ(cluster_status().retries_active, 0U);
}

TEST_F(ProxyTest, ResetAfterTheRequestIsA503AndNoSecondTry) {
  Upstream upstream(scene->outside(), kOk);
  upstream.reset_on_request = true;
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  const Answer answer = exchange(client, "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "upstream connect error or disconnect/reset before headers. reset reason: connection termination");
  EXPECT_EQ(upstream.requests(), 1U);
}

TEST_F(ProxyTest, HeadHasNoBodyEitherWay) {
  Upstream upstream(scene->outside(), "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  client.write("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
  scene->network().run_for(1s);
  EXPECT_NE(client.received().find("content-length: 1000\r\n"), std::string::npos) << client.received();
  EXPECT_TRUE(client.received().ends_with("\r\n\r\n"));
  EXPECT_FALSE(client.gone());
}

TEST_F(ProxyTest, ExpectContinueIsAnsweredHere) {
  Upstream upstream(scene->outside(), kOk);
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  client.write("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.take().starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  client.write("ok");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.take().starts_with("HTTP/1.1 200 OK\r\n"));
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_EQ(upstream.request(0).find("expect"), std::string::npos);
}

TEST_F(ProxyTest, PipelinedRequestsAreAnsweredInOrder) {
  Upstream upstream(scene->outside(), kOk);
  upstream.first_responses = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2",
                              "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n3"};
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  client.write("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\nGET /3 HTTP/1.1\r\nhost: a\r\n\r\n");
  scene->network().run_for(1s);
  const std::string all = client.received();
  const std::size_t first = all.find("\r\n\r\n1"), second = all.find("\r\n\r\n2"), third = all.find("\r\n\r\n3");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
}

TEST_F(ProxyTest, WebSocketBecomesATunnel) {
  Upstream upstream(scene->outside(),
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  client.write("GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.take().starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << client.received();
  client.write("ping");
  scene->network().run_for(1s);
  upstream.peer(0).write("pong");
  scene->network().run_for(1s);
  EXPECT_EQ(client.take(), "pong");
  client.close();
  scene->network().run_for(1s);
  EXPECT_TRUE(upstream.peer(0).gone());
}

TEST_F(ProxyTest, EarlyResponseEndsTheExchange) {
  PeerListener upstream(scene->outside());
  upstream.on_peer = [](Peer& peer) {
    peer.on_change = [](Peer& changed) {
      if (changed.take().find("\r\n\r\n") == std::string::npos) return;
      changed.write("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      changed.shutdown_write();
    };
  };
  serve({upstream.address()});
  Peer client(scene->outside(), at);
  client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n" + std::string(200'000, 'x'));
  scene->network().run_for(5s);
  EXPECT_TRUE(client.received().starts_with("HTTP/1.1 413 ")) << client.received();
}

TEST_F(ProxyTest, ClientsGoneLeavesNothingBehind) {
  Upstream upstream(scene->outside(), "");
  serve({upstream.address()});
  auto client = std::make_unique<Peer>(scene->outside(), at);
  client->write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  scene->network().run_for(1s);
  EXPECT_EQ(cluster_status().requests_active, 1U);
  client->reset();
  scene->network().run_for(1s);
  EXPECT_EQ(cluster_status().requests_active, 0U);
  EXPECT_EQ(cluster_status().connections_active, 0U) << "an exchange that was given up does not go back to the pool";
}

TEST_F(ProxyTest, EndpointThatGoesIsDrainedAndLosesNothing) {
  Upstream first(scene->outside(), kOk), second(scene->outside(), kOk);
  serve({first.address()});
  Peer client(scene->outside(), at);
  EXPECT_EQ(exchange(client, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
  scene->config().endpoints("up", {second.address()});
  scene->apply();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(exchange(client, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
  EXPECT_EQ(first.requests(), 1U);
  EXPECT_EQ(second.requests(), 3U);
  scene->network().run_for(1s);
  EXPECT_TRUE(first.peer(0).gone()) << "the idle connection to the old endpoint is closed";
}

TEST_F(ProxyTest, DrainAnswersWhatIsUnderWayAndClosesTheRest) {
  Upstream upstream(scene->outside(), "");
  serve({upstream.address()});
  Peer idle(scene->outside(), at), busy(scene->outside(), at);
  busy.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  scene->network().run_for(1s);
  bool drained = false;
  scene->proxy().drain(10s, [&] { drained = true; });
  scene->network().run_for(5s);
  EXPECT_TRUE(idle.gone());
  EXPECT_FALSE(drained);
  upstream.peer(0).write(kOk);
  scene->network().run_for(1s);
  EXPECT_TRUE(busy.received().starts_with("HTTP/1.1 200 OK\r\n")) << busy.received();
  EXPECT_NE(busy.received().find("connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(drained);
}

// ---- limits and ejection mean the same at any number of workers

struct WorkersTest : SceneTest, ::testing::WithParamInterface<unsigned> {
  WorkersTest() : SceneTest(GetParam()) {}
};

TEST_P(WorkersTest, ConnectionsAndPendingRequestsAreLimited) {
  Upstream upstream(scene->outside(), "");
  runtime::Cluster policy;
  policy.limits.requests_max = 2;
  serve({upstream.address()}, policy);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Peer>(scene->outside(), at));
    clients.back()->write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    scene->network().run_for(100ms);
  }
  int overflowed = 0;
  for (const auto& client : clients) {
    const std::string text = client->received();
    if (text.empty()) continue;
    ++overflowed;
    EXPECT_TRUE(text.starts_with("HTTP/1.1 503 ")) << text;
    EXPECT_NE(text.find("x-envoy-overloaded: true\r\n"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("reset reason: overflow")) << text;
  }
  EXPECT_EQ(overflowed, 4);
  EXPECT_EQ(cluster_status().requests_active, 2U);
}

TEST_P(WorkersTest, AnEndpointThatAlwaysFailsIsEjectedAfterTwoErrors) {
  Upstream good(scene->outside(), kOk), bad(scene->outside(), kError);
  runtime::Cluster policy;
  policy.balancer = runtime::Cluster::Balancer::kRoundRobin;
  policy.panic_threshold_percent = 0;
  policy.outlier = runtime::OutlierDetection();
  policy.outlier->consecutive_5xx = 2;
  policy.outlier->interval = 1s;
  policy.outlier->base_ejection_time = 60s;
  policy.outlier->max_ejection_percent = 50;
  serve({good.address(), bad.address()}, policy);
  int errors = 0;
  for (int i = 0; i < 44; ++i) errors += get().status == 500;
  EXPECT_EQ(errors, 2);
  ClusterStatus status = cluster_status();
  EXPECT_EQ(status.endpoints[0].ejected, false);
  EXPECT_EQ(status.endpoints[1].ejected, true);
  EXPECT_GT(status.endpoints[1].ejection_left, 55s);
  scene->network().run_for(62s);
  EXPECT_FALSE(cluster_status().endpoints[1].ejected) << "it returns on a tick after its time";
  EXPECT_EQ(cluster_status().endpoints[1].ejections, 1U);
}

TEST_P(WorkersTest, OneEndpointMayGoWhereOneAlwaysMay) {
  Upstream bad(scene->outside(), kError);
  runtime::Cluster policy;
  policy.panic_threshold_percent = 0;
  policy.outlier = runtime::OutlierDetection();
  policy.outlier->consecutive_5xx = 2;
  policy.outlier->max_ejection_percent = 10;
  policy.outlier->always_eject_one_host = true;
  serve({bad.address()}, policy);
  EXPECT_EQ(get().status, 500);
  EXPECT_EQ(get().status, 500);
  const Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "no healthy upstream");
}

INSTANTIATE_TEST_SUITE_P(Concurrency, WorkersTest, ::testing::Values(1U, 4U));

}  // namespace
}  // namespace lateen::proxy
