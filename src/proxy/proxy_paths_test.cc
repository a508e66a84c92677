// The other ways in: captured connections, TCP, the HTTP proxy port.
#include "proxy/proxy_scene_test.h"

namespace lateen::proxy {
namespace {

net::Address service_address(std::uint16_t port) {
  return {.family = net::Address::Family::kIpv4, .host = "10.96.0.1", .port = port};
}

runtime::FilterChain http_chain(const char* protocol = nullptr) {
  runtime::HttpConnectionSettings settings;
  settings.route_table = "routes";
  runtime::FilterChain chain;
  chain.handler = settings;
  if (protocol != nullptr) chain.application_protocols = {protocol};
  return chain;
}

struct PathsTest : SceneTest {
  runtime::FilterChain tcp_chain(const std::vector<std::string>& clusters) {
    runtime::TcpProxySettings settings;
    for (const std::string& name : clusters) {
      runtime::WeightedCluster target;
      target.name = name;
      target.id = scene->config().cluster(name, policy_);
      target.weight = 1;
      settings.clusters.push_back(target);
      ++settings.weight_total;
    }
    runtime::FilterChain chain;
    chain.handler = settings;
    return chain;
  }
  void listener(const std::string& name, std::vector<runtime::FilterChain> chains,
                std::optional<runtime::FilterChain> otherwise = {}, bool sniffs = false) {
    runtime::Listener out;
    out.name = name;
    out.filter_chains = std::move(chains);
    out.default_chain = std::move(otherwise);
    out.sniffs_http = sniffs;
    out.sniffing_timeout = 5s;
    out.goes_on_after_sniffing_timeout = true;
    scene->config().listener(std::move(out));
  }
  net::Address capture(std::uint16_t port) {
    ListenSpec spec;
    spec.kind = ListenSpec::Kind::kCapture;
    spec.view = scene->view();
    return scene->proxy().listen("capture" + std::to_string(port), service_address(port), spec)->address;
  }
  net::Address http_proxy() {
    ListenSpec spec;
    spec.kind = ListenSpec::Kind::kForwardProxy;
    spec.view = scene->view();
    return scene->proxy().listen("http-proxy", {.family = net::Address::Family::kIpv4, .host = "127.0.0.1", .port = 0}, spec)->address;
  }

  runtime::Cluster policy_;
};

TEST_F(PathsTest, CapturedHttpGoesByTheListenerOfItsPort) {
  Upstream upstream(scene->outside(), kOk);
  scene->config().cluster("up");
  scene->config().endpoints("up", {upstream.address()});
  scene->config().routes({scene->config().forward({"up"})});
  listener("0.0.0.0_9080", {http_chain("http/1.1")}, tcp_chain({"tcp"}), true);
  scene->apply();
  at = capture(9080);
  EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstream.requests(), 1U);
}

TEST_F(PathsTest, CapturedTcpIsRelayedBothWaysWithHalfClose) {
  PeerListener upstream(scene->outside());
  scene->config().routes({});
  listener("0.0.0.0_7000", {http_chain("http/1.1")}, tcp_chain({"tcp"}), true);
  scene->config().endpoints("tcp", {upstream.address()});
  scene->apply();
  at = capture(7000);
  Peer client(scene->outside(), at);
  client.write("\x01\x02hello");
  scene->network().run_for(1s);
  ASSERT_EQ(upstream.size(), 1U);
  EXPECT_EQ(upstream.at(0).received(), "\x01\x02hello");
  client.shutdown_write();
  scene->network().run_for(1s);
  EXPECT_TRUE(upstream.at(0).ended());
  const std::string large(300'000, 'z');
  upstream.at(0).write(large);
  scene->network().run_for(5s);
  EXPECT_EQ(client.received().size(), large.size()) << "the other half stays open";
  upstream.at(0).shutdown_write();
  scene->network().run_for(1s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(cluster_status("tcp").connections_active, 0U);
}

TEST_F(PathsTest, ServerThatSpeaksFirstIsServedAfterTheSniffingTimeout) {
  PeerListener upstream(scene->outside());
  upstream.on_peer = [](Peer& peer) { peer.write("welcome"); };
  scene->config().routes({});
  listener("0.0.0.0_3306", {http_chain("http/1.1")}, tcp_chain({"tcp"}), true);
  scene->config().endpoints("tcp", {upstream.address()});
  scene->apply();
  at = capture(3306);
  Peer client(scene->outside(), at);
  scene->network().run_for(4s);
  EXPECT_EQ(client.received(), "");
  scene->network().run_for(2s);
  EXPECT_EQ(client.received(), "welcome");
}

TEST_F(PathsTest, UnknownPortsPassThroughToWhereTheyWanted) {
  PeerListener beyond(scene->outside(), {.family = net::Address::Family::kIpv4, .host = "10.96.0.1", .port = 5555});
  policy_.discovery = runtime::Cluster::Discovery::kOriginalDestination;
  policy_.balancer = runtime::Cluster::Balancer::kClusterProvided;
  scene->config().routes({});
  listener("virtualOutbound", {}, tcp_chain({"PassthroughCluster"}));
  scene->apply();
  at = http_proxy();
  Peer client(scene->outside(), at);
  client.write("CONNECT 10.96.0.1:5555 HTTP/1.1\r\nhost: 10.96.0.1:5555\r\n\r\nhello");
  scene->network().run_for(1s);
  ASSERT_EQ(beyond.size(), 1U);
  EXPECT_EQ(beyond.at(0).received(), "hello");
  beyond.at(0).write("there");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.received().ends_with("\r\n\r\nthere")) << client.received();
}

TEST_F(PathsTest, PassingThroughToOurselvesDoesNotLoop) {
  policy_.discovery = runtime::Cluster::Discovery::kOriginalDestination;
  scene->config().routes({});
  listener("virtualOutbound", {}, tcp_chain({"PassthroughCluster"}));
  scene->apply();
  at = capture(5556);
  Peer client(scene->outside(), at);
  client.write("x");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.gone());
  EXPECT_EQ(scene->network().connections_made(), 1U);
}

TEST_F(PathsTest, RefusedTcpConnectionsCloseTheClient) {
  scene->config().routes({});
  listener("0.0.0.0_7000", {tcp_chain({"tcp"})});
  scene->config().endpoints("tcp", {net::Address{.family = net::Address::Family::kIpv4, .host = "10.9.9.9", .port = 1}});
  scene->apply();
  at = capture(7000);
  Peer client(scene->outside(), at);
  client.write("x");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.gone());
  EXPECT_EQ(cluster_status("tcp").endpoints.at(0).connect_failures, 1U);
}

TEST_F(PathsTest, IdleTcpConnectionsEnd) {
  PeerListener upstream(scene->outside());
  scene->config().routes({});
  runtime::FilterChain chain = tcp_chain({"tcp"});
  std::get<runtime::TcpProxySettings>(chain.handler).idle_timeout = 10s;
  listener("0.0.0.0_7000", {chain});
  scene->config().endpoints("tcp", {upstream.address()});
  scene->apply();
  at = capture(7000);
  Peer client(scene->outside(), at);
  scene->network().run_for(8s);
  client.write("alive");
  scene->network().run_for(8s);
  EXPECT_FALSE(client.gone());
  scene->network().run_for(3s);
  EXPECT_TRUE(client.gone());
}

TEST_F(PathsTest, HttpProxyRoutesAbsoluteRequestsByThePortOfTheUrl) {
  Upstream upstream(scene->outside(), kOk);
  scene->config().cluster("up");
  scene->config().endpoints("up", {upstream.address()});
  scene->config().routes({scene->config().forward({"up"})});
  listener("0.0.0.0_9080", {http_chain("http/1.1")});
  scene->apply();
  at = http_proxy();
  Peer client(scene->outside(), at);
  const Answer answer = exchange(client, "GET http://reviews:9080/x HTTP/1.1\r\nhost: reviews:9080\r\nproxy-connection: keep-alive\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_TRUE(upstream.request(0).starts_with("GET /x HTTP/1.1\r\nhost: reviews:9080\r\n")) << upstream.request(0);
  EXPECT_EQ(upstream.request(0).find("proxy-connection"), std::string::npos);
  EXPECT_EQ(exchange(client, "GET http://reviews:81/x HTTP/1.1\r\nhost: reviews:81\r\n\r\n").status, 502);
  EXPECT_EQ(exchange(client, "GET http://reviews:9080/y HTTP/1.1\r\nhost: reviews:9080\r\n\r\n").status, 200);
}

TEST_F(PathsTest, HttpProxyServesTheViewOfWhoAsks) {
  Upstream ours(scene->outside(), kOk), theirs(scene->outside(), "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
  scene->config().cluster("up");
  scene->config().endpoints("up", {ours.address()});
  scene->config().routes({scene->config().forward({"up"})});
  listener("0.0.0.0_80", {http_chain("http/1.1")});
  scene->apply();
  ViewInfo info;
  info.name = "tester";
  const ViewId other = scene->proxy().add_view(info);
  testing::SnapshotBuilder second;
  second.cluster("up");
  second.endpoints("up", {theirs.address()});
  second.routes({second.forward({"up"})});
  runtime::Listener in;
  in.name = "0.0.0.0_80";
  in.filter_chains = {http_chain("http/1.1")};
  second.listener(in);
  scene->proxy().adopt(other, second.build(), nullptr);
  std::vector<std::string> asked;
  scene->proxy().set_view_resolver([&](std::string identity, std::function<void(Result<ViewId>)> done) {
    asked.push_back(identity);
    if (identity == "tester") return done(other);
    done(fail(ErrorCode::kNotFound, "no workload has this name"));
  });
  at = http_proxy();
  Peer client(scene->outside(), at);
  const std::string request = "POST http://up/ HTTP/1.1\r\nhost: up\r\ncontent-length: 2\r\n";
  // "tester:" and "nobody:".
  EXPECT_EQ(exchange(client, request + "proxy-authorization: Basic dGVzdGVyOg==\r\n\r\nhi").status, 201);
  EXPECT_EQ(exchange(client, request + "proxy-authorization: basic dGVzdGVyOg==\r\n\r\nhi").status, 201);
  EXPECT_EQ(exchange(client, request + "\r\nhi").status, 200);
  EXPECT_EQ(exchange(client, request + "proxy-authorization: Basic bm9ib2R5Og==\r\n\r\nhi").status, 407);
  EXPECT_EQ(asked, (std::vector<std::string>{"tester", "nobody"}));
  ASSERT_EQ(theirs.requests(), 2U);
  EXPECT_TRUE(theirs.request(0).ends_with("\r\n\r\nhi"));
  EXPECT_EQ(theirs.request(0).find("proxy-authorization"), std::string::npos);
}

TEST_F(PathsTest, ConnectIsATunnelIntoTheMesh) {
  Upstream upstream(scene->outside(), kOk);
  scene->config().cluster("up");
  scene->config().endpoints("up", {upstream.address()});
  scene->config().routes({scene->config().forward({"up"})});
  listener("0.0.0.0_9080", {http_chain("http/1.1")}, tcp_chain({"tcp"}), true);
  scene->apply();
  at = http_proxy();
  Peer client(scene->outside(), at);
  client.write("CONNECT reviews:9080 HTTP/1.1\r\nhost: reviews:9080\r\n\r\n");
  scene->network().run_for(1s);
  EXPECT_TRUE(client.take().starts_with("HTTP/1.1 200 ")) << client.received();
  for (int i = 0; i < 2; ++i) {
    client.write("GET /in HTTP/1.1\r\nhost: reviews:9080\r\n\r\n");
    scene->network().run_for(1s);
    EXPECT_TRUE(client.take().starts_with("HTTP/1.1 200 OK\r\n"));
  }
  EXPECT_EQ(upstream.requests(), 2U);
  client.close();
  scene->network().run_for(1s);
  scene->stop();
}

}  // namespace
}  // namespace lateen::proxy
