// TCP proxying over the virtual network: which cluster, which host, how long, and through what.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "proxy/proxy_scene_test.h"
#include "stream/tls.h"
#include "testing/certificates.h"

namespace lateen::proxy {
namespace {

struct NoEvents final : net::SocketEvents {
  void on_readable() override {}
  void on_writable() override {}
  void on_socket_error(int) override {}
};
NoEvents no_events;

struct TcpProxyTest : SceneTest {
  // The listener "in" carries bytes.
  void serve_tcp(const std::vector<net::Address>& endpoints, const std::function<void(runtime::TcpProxySettings&)>& change,
                 runtime::Cluster policy = {}) {
    const runtime::ClusterId id = scene->config().cluster("up", std::move(policy));
    runtime::TcpProxySettings tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters.push_back({});
    tcp.clusters[0].name = "up";
    tcp.clusters[0].id = id;
    change(tcp);
    scene->config().change_listener = [this, tcp](runtime::Listener& listener) {
      listener.filter_chains[0].handler = tcp;
      if (change_listener) change_listener(listener);
    };
    scene->config().endpoints("up", endpoints);
    scene->apply();
    at = scene->listen();
  }
  std::function<void(runtime::Listener&)> change_listener;
};

TEST_F(TcpProxyTest, OneClientStaysWithItsHost) {
  PeerListener a(scene->outside()), b(scene->outside()), c(scene->outside());
  runtime::Cluster policy;
  policy.balancer = runtime::Cluster::Balancer::kRingHash;
  serve_tcp({a.address(), b.address(), c.address()}, [](auto& tcp) {
    tcp.hash.push_back({});
    tcp.hash.back().kind = runtime::HashPolicy::Kind::kSourceAddress;
  }, policy);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<Peer>(scene->outside(), at));
    clients.back()->write("x");
  }
  scene->network().run_for(1s);
  const std::set<std::size_t> sizes = {a.size(), b.size(), c.size()};
  EXPECT_EQ(sizes, (std::set<std::size_t>{0, 12})) << "the clients have one address";
}

TEST_F(TcpProxyTest, EndsByItsAge) {
  PeerListener upstream(scene->outside());
  serve_tcp({upstream.address()}, [](auto& tcp) { tcp.max_downstream_connection_duration = 10s; });
  Peer client(scene->outside(), at);
  client.write("x");
  for (int i = 0; i < 9; ++i) {
    scene->network().run_for(1s);
    client.write("x");
  }
  EXPECT_FALSE(client.gone());
  scene->network().run_for(2s);
  EXPECT_TRUE(client.gone());
  EXPECT_TRUE(upstream.at(0).gone());
}

TEST_F(TcpProxyTest, TheServerNameIsTheCluster) {
  const testing::MadeCertificate made = testing::make_certificate({.common_name = "x"});
  stream::TlsServerSettings settings;
  settings.common.identities.push_back({made.certificate, made.private_key, ""});
  const auto context = *stream::TlsContext::server(settings);
  PeerListener upstream(scene->outside()), other(scene->outside());
  upstream.wrap = [&](std::unique_ptr<net::Socket> socket) {
    return stream::accept_tls(scene->outside(), std::move(socket), context, no_events);
  };
  scene->config().cluster("outbound_.80_._.other");
  scene->config().endpoints("outbound_.80_._.other", std::vector<net::Address>{other.address()});
  change_listener = [](runtime::Listener& listener) { listener.sniffs_tls = true; };
  serve_tcp({upstream.address()}, [](auto& tcp) { tcp.cluster_by_server_name = true; });
  const auto client_context = *stream::TlsContext::client({});
  const auto connect = [&](const std::string& name) {
    return std::make_unique<Peer>(stream::start_tls(scene->outside(), scene->outside().connect(at, no_events), false, client_context,
                                                    {.server_name = name, .verify_name = "", .session_key = ""}, no_events));
  };
  const auto up = connect("up");
  up->write("hello");
  const auto else_where = connect("outbound_.80_._.other");
  const auto nowhere = connect("none.such");
  scene->network().run_for(1s);
  ASSERT_EQ(upstream.size(), 1U);
  EXPECT_EQ(upstream.at(0).received(), "hello");
  ASSERT_EQ(other.size(), 1U);
  EXPECT_EQ(other.at(0).received().substr(0, 1), "\x16");
  EXPECT_TRUE(nowhere->gone());
}

TEST_F(TcpProxyTest, GoesThroughAnHttpProxy) {
  for (const int status : {200, 403}) {
    PeerListener proxy(scene->outside());
    proxy.on_peer = [status](Peer& peer) {
      peer.on_change = [status](Peer& changed) {
        if (!changed.received().ends_with("\r\n\r\n")) return;
        changed.write(status == 200 ? "HTTP/1.1 200 OK\r\n\r\nwelcome" : "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
      };
    };
    serve_tcp({proxy.address()}, [](auto& tcp) {
      tcp.tunnel = runtime::TcpProxySettings::Tunnel{};
      tcp.tunnel->hostname = runtime::HeaderValue::literal("db.example:5432");
    });
    Peer client(scene->outside(), at);
    client.write("early");
    scene->network().run_for(1s);
    ASSERT_EQ(proxy.size(), 1U);
    EXPECT_TRUE(proxy.at(0).received().starts_with("CONNECT db.example:5432 HTTP/1.1\r\nhost: db.example:5432\r\n")) << proxy.at(0).received();
    if (status != 200) {
      EXPECT_TRUE(client.gone());
      continue;
    }
    EXPECT_EQ(client.received(), "welcome");
    EXPECT_TRUE(proxy.at(0).received().ends_with("\r\n\r\nearly")) << proxy.at(0).received();
    client.write("more");
    client.shutdown_write();
    scene->network().run_for(1s);
    EXPECT_TRUE(proxy.at(0).received().ends_with("earlymore"));
    EXPECT_TRUE(proxy.at(0).ended());
    proxy.at(0).write("bye");
    proxy.at(0).shutdown_write();
    scene->network().run_for(1s);
    EXPECT_EQ(client.received(), "welcomebye");
    EXPECT_TRUE(client.ended());
    scene->proxy().close_listener("in");
    scene->network().run_for(1s);
  }
}

}  // namespace
}  // namespace lateen::proxy
