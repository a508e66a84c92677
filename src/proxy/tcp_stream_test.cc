// CONNECT that ends at the proxy, over the virtual network.
#include <gtest/gtest.h>

#include <random>

#include "proxy/proxy_scene_test.h"

namespace lateen::proxy {
namespace {

struct TcpStreamTest : SceneTest {
  void serve_tunnels(const std::vector<net::Address>& endpoints, runtime::Cluster policy = {}) {
    scene->config().http().connect_upgrades = true;
    serve_route(endpoints, [](runtime::Route& route) {
      route.match.connect_only = true;
      auto& forward = std::get<runtime::Forward>(route.action);
      forward.policy->connect_allowed = forward.policy->ends_connect = true;
    }, std::move(policy));
  }
  // A client behind the answer to its CONNECT.
  std::unique_ptr<Peer> connect(int status = 200) {
    auto client = std::make_unique<Peer>(scene->outside(), at);
    client->write("CONNECT far:1 HTTP/1.1\r\nhost: far:1\r\n\r\n");
    scene->network().run_until([&] { return client->received().find("\r\n\r\n") != std::string::npos || client->gone(); }, 30s);
    EXPECT_EQ(client->received().substr(0, 12), "HTTP/1.1 " + std::to_string(status));
    client->take();
    return client;
  }
};

TEST_F(TcpStreamTest, CarriesBytesAndTheEndsOfBothSides) {
  PeerListener upstream(scene->outside());
  serve_tunnels({upstream.address()});
  const auto client = connect();
  ASSERT_EQ(upstream.size(), 1U);
  EXPECT_EQ(upstream.at(0).received(), "") << "the head of the CONNECT goes nowhere";
  client->write("ping");
  scene->network().run_for(10ms);
  EXPECT_EQ(upstream.at(0).take(), "ping");
  client->shutdown_write();
  scene->network().run_for(10ms);
  EXPECT_TRUE(upstream.at(0).ended());
  upstream.at(0).write("late");
  scene->network().run_for(10ms);
  EXPECT_EQ(client->take(), "late");
  upstream.at(0).shutdown_write();
  scene->network().run_for(10ms);
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(client->error(), 0);
  EXPECT_EQ(cluster_status().connections_active, 0U);
  EXPECT_EQ(cluster_status().requests_active, 0U);
}

TEST_F(TcpStreamTest, KeepsNoMoreThanAWindowForWhoDoesNotRead) {
  PeerListener upstream(scene->outside());
  serve_tunnels({upstream.address()});
  const auto client = connect();
  const std::string much(8 << 20, 'x');
  client->pause();
  upstream.at(0).write(much);
  scene->network().run_for(1s);
  EXPECT_GT(upstream.at(0).unsent(), much.size() / 2);
  client->resume();
  scene->network().run_until([&] { return client->received().size() >= much.size(); }, 60s);
  upstream.at(0).pause();
  client->write(much);
  scene->network().run_for(1s);
  EXPECT_GT(client->unsent(), much.size() / 2);
  upstream.at(0).resume();
  scene->network().run_until([&] { return upstream.at(0).received().size() >= much.size(); }, 60s);
  EXPECT_EQ(upstream.at(0).received(), much);
}

TEST_F(TcpStreamTest, EndpointsThatCanNotBeReachedAreSaidAndCounted) {
  const net::Address nobody = PeerListener(scene->outside()).address();
  serve_tunnels({nobody});
  EXPECT_TRUE(connect(503)->received().find("remote connection failure") != std::string::npos);
  EXPECT_EQ(cluster_status().endpoints.at(0).connect_failures, 1U);
  EXPECT_EQ(cluster_status().connections_active, 0U);
}

TEST_F(TcpStreamTest, TunnelsCountAsConnections) {
  PeerListener upstream(scene->outside());
  runtime::Cluster policy;
  policy.limits.connections_max = 1;
  serve_tunnels({upstream.address()}, policy);
  auto first = connect();
  EXPECT_NE(connect(503)->received().find("overflow"), std::string::npos);
  first->reset();   // a mere end would leave the endpoint the word
  scene->network().run_for(10ms);
  EXPECT_TRUE(upstream.at(0).gone());
  connect();
}

TEST_F(TcpStreamTest, WhoeverBreaksOffNothingIsLeft) {
  PeerListener upstream(scene->outside());
  serve_tunnels({upstream.address()});
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const std::size_t before = upstream.size();
    Peer client(scene->outside(), at);
    client.write("CONNECT far:1 HTTP/1.1\r\nhost: far:1\r\n\r\n");
    for (int step = 0; step < 6; ++step) {
      scene->network().run_for(std::chrono::microseconds(random() % 400));
      Peer* const server = upstream.size() > before ? &upstream.at(before) : nullptr;
      switch (random() % 8) {
        case 0: client.write(std::string(random() % 300'000, 'c')); break;
        case 1: client.shutdown_write(); break;
        case 2: client.close(); break;
        case 3: client.reset(); break;
        case 4: if (server != nullptr) server->write(std::string(random() % 300'000, 's')); break;
        case 5: if (server != nullptr) server->shutdown_write(); break;
        case 6: if (server != nullptr) server->close(); break;
        default: if (server != nullptr) server->reset(); break;
      }
    }
    client.close();
    if (upstream.size() > before) upstream.at(before).close();
    scene->network().run_for(100ms);
    ASSERT_EQ(cluster_status().connections_active, 0U) << round;
    ASSERT_EQ(cluster_status().requests_active, 0U) << round;
  }
}

}  // namespace
}  // namespace lateen::proxy
