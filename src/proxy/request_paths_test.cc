// Shadows and late tries through the whole proxy.
#include "proxy/proxy_scene_test.h"
#include "proxy/shadow_request.h"

namespace lateen::proxy {
namespace {

struct RequestPathsTest : SceneTest {
  void mirror_to(const net::Address& up, const net::Address& mirror, const std::function<void(runtime::Forward&)>& change = nullptr) {
    runtime::Mirror policy;
    policy.cluster = "mirror";
    policy.id = scene->config().cluster("mirror");
    scene->config().endpoints("mirror", std::vector<net::Address>{mirror});
    serve_route({up}, [&](runtime::Route& route) {
      auto& forward = testing::SnapshotBuilder::forward_of(route);
      forward.policy->mirrors = {policy};
      if (change) change(forward);
    });
  }
  std::uint64_t stat(const std::string& name) { return scene->proxy().stats()[name]; }
  Answer post(const std::string& body) {
    Peer client(scene->outside(), at);
    return exchange(client, "POST /a HTTP/1.1\r\nhost: reviews:9080\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
};

TEST_F(RequestPathsTest, AShadowIsTheWholeRequestAndItsAnswerIsDropped) {
  Upstream up(scene->outside(), kOk), mirror(scene->outside(), kError);
  mirror_to(up.address(), mirror.address());
  const Answer answer = post("the body");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  scene->network().run_for(1s);
  ASSERT_EQ(up.requests(), 1U);
  ASSERT_EQ(mirror.requests(), 1U);
  EXPECT_NE(mirror.request(0).find("host: reviews-shadow:9080\r\n"), std::string::npos) << mirror.request(0);
  EXPECT_NE(mirror.request(0).find("x-envoy-internal: true\r\n"), std::string::npos);
  EXPECT_NE(mirror.request(0).find("x-forwarded-for: "), std::string::npos);
  EXPECT_TRUE(mirror.request(0).ends_with("the body"));
  EXPECT_NE(up.request(0).find("host: reviews:9080\r\n"), std::string::npos);
  EXPECT_EQ(stat("cluster.mirror.upstream_rq_5xx"), 1U);
  EXPECT_EQ(stat("cluster.up.upstream_rq_2xx"), 1U);
  EXPECT_EQ(stat("http.in.shadow.sent"), 1U);
}

TEST_F(RequestPathsTest, AMirrorThatHangsCostsTheClientNothingAndEndsByTheTimeout) {
  Upstream up(scene->outside(), kOk), mirror(scene->outside(), "");
  mirror_to(up.address(), mirror.address(), [](runtime::Forward& forward) { forward.policy->timeout = 3s; });
  EXPECT_LT(get().took, 100ms);
  EXPECT_EQ(cluster_status("mirror").requests_active, 1U);
  scene->network().run_for(4s);
  EXPECT_EQ(cluster_status("mirror").requests_active, 0U);
  EXPECT_EQ(stat("cluster.mirror.upstream_rq_timeout"), 1U);
}

TEST_F(RequestPathsTest, ABodyTooLargeForAShadowGoesUpstreamAlone) {
  Upstream up(scene->outside(), kOk), mirror(scene->outside(), kOk);
  mirror_to(up.address(), mirror.address());
  EXPECT_EQ(post(std::string(kShadowBodyBytesMax + 1, 'x')).status, 200);
  scene->network().run_for(1s);
  EXPECT_EQ(mirror.requests(), 0U);
  EXPECT_EQ(stat("http.in.shadow.dropped"), 1U);
}

TEST_F(RequestPathsTest, MoreShadowsThanMayBeInFlightAreDropped) {
  Upstream up(scene->outside(), kOk), mirror(scene->outside(), "");
  mirror_to(up.address(), mirror.address());
  Peer client(scene->outside(), at);
  for (std::size_t i = 0; i < kShadowsMax + 3; ++i) {
    ASSERT_EQ(exchange(client, "GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n").status, 200);
  }
  EXPECT_EQ(stat("http.in.shadow.sent"), kShadowsMax);
  EXPECT_EQ(stat("http.in.shadow.dropped"), 3U);
}

TEST_F(RequestPathsTest, AMirrorThatIsNotThereIsNoneOfTheClientsBusiness) {
  Upstream up(scene->outside(), kOk);
  net::Address nobody;
  {
    PeerListener gone(scene->outside());
    nobody = gone.address();
  }
  mirror_to(up.address(), nobody);
  EXPECT_EQ(post("x").status, 200);
  scene->network().run_for(10s);
  EXPECT_EQ(cluster_status("mirror").requests_active, 0U);
}

struct HedgingTest : RequestPathsTest {
  void hedge(const std::vector<net::Address>& endpoints) {
    serve_route(endpoints, [](runtime::Route& route) {
      auto& forward = testing::SnapshotBuilder::forward_of(route);
      forward.policy->timeout = 10s;
      forward.policy->hedge = runtime::Hedge{.on_per_try_timeout = true};
      forward.policy->retry.emplace();
      forward.policy->retry->retry_on = runtime::kRetry5xx;
      forward.policy->retry->retries_max = 2;
      forward.policy->retry->per_try_timeout = 1s;
    });
  }
};

TEST_F(HedgingTest, TheSuccessorAnswers) {
  Upstream up(scene->outside(), kOk);
  up.first_responses = {""};
  hedge({up.address()});
  const Answer answer = post("body");
  EXPECT_EQ(answer.status, 200);
  EXPECT_GE(answer.took, 1s);
  EXPECT_LT(answer.took, 1200ms);
  ASSERT_EQ(up.requests(), 2U);
  EXPECT_TRUE(up.request(1).ends_with("body"));
  scene->network().run_for(1s);
  EXPECT_EQ(cluster_status().requests_active, 0U) << "the loser is reset";
  EXPECT_TRUE(up.peer(0).gone());
}

TEST_F(HedgingTest, TheLateTryAnswersFirst) {
  Upstream up(scene->outside(), "");
  hedge({up.address()});
  scene->network().after(2500ms, [&] { up.peer(0).write(kOk); });
  const Answer answer = post("body");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_GE(answer.took, 2500ms);
  EXPECT_LT(answer.took, 2700ms);
  EXPECT_EQ(up.requests(), 3U);
  scene->network().run_for(1s);
  EXPECT_EQ(cluster_status().requests_active, 0U);
  EXPECT_TRUE(up.peer(1).gone());
  EXPECT_FALSE(up.peer(0).gone()) << "its connection is kept";
}

TEST_F(HedgingTest, AClientThatLeavesTakesAllTriesWithIt) {
  Upstream up(scene->outside(), "");
  hedge({up.address()});
  Peer client(scene->outside(), at);
  client.write("GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n");
  scene->network().run_for(1500ms);
  EXPECT_EQ(cluster_status().requests_active, 2U);
  client.reset();
  scene->network().run_for(1s);
  EXPECT_EQ(cluster_status().requests_active, 0U);
}

}  // namespace
}  // namespace lateen::proxy
