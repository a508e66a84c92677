// The whole proxy over the virtual network: what clients and upstreams see.
#include "proxy/proxy.h"

#include <gtest/gtest.h>

#include "testing/peer.h"
#include "testing/proxy_scene.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;
using testing::Peer;
using testing::PeerListener;
using testing::ProxyScene;

// An upstream that answers every request with one text.
class Upstream {
 public:
  Upstream(net::Loop& loop, std::string response) : listener_(loop), response_(std::move(response)) {
    listener_.on_peer = [this](Peer& peer) {
      peer.on_change = [this](Peer& changed) { on_change(changed); };
    };
  }
  net::Address address() const { return listener_.address(); }
  std::size_t requests() const { return heads_.size(); }
  const std::string& head(std::size_t index) const { return heads_.at(index); }
  std::size_t connections() const { return listener_.size(); }
  Peer& peer(std::size_t index) { return listener_.at(index); }
  void set_response(std::string response) { response_ = std::move(response); }

 private:
  void on_change(Peer& peer) {
    if (peer.gone()) return;
    std::string& seen = seen_[&peer];
    seen += peer.take();
    for (std::size_t end = seen.find("\r\n\r\n"); end != std::string::npos; end = seen.find("\r\n\r\n")) {
      heads_.push_back(seen.substr(0, end + 4));
      seen.erase(0, end + 4);
      if (!response_.empty()) peer.write(response_);
    }
  }

  PeerListener listener_;
  std::string response_;
  std::map<Peer*, std::string> seen_;
  std::vector<std::string> heads_;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

struct ProxyTest : ::testing::Test {
  ProxyTest() { scene = std::make_unique<ProxyScene>(ProxyScene::Options{}); }

  void one_cluster(const std::vector<net::Address>& endpoints, runtime::Cluster policy = {}) {
    scene->config().cluster("up", std::move(policy));
    scene->config().endpoints("up", endpoints);
  }
  std::string get(const net::Address& at, const std::string& path = "/", const std::string& more = "") {
    Peer client(scene->outside(), at);
    client.write("GET " + path + " HTTP/1.1\r\nhost: reviews:9080\r\n" + more + "\r\n");
    scene->network().run_until([&] { return complete(client.received()) || client.gone(); }, 60s);
    return client.received();
  }
  static bool complete(const std::string& text) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::size_t length = text.find("content-length: ");
    if (length == std::string::npos || length > end) return text.ends_with("0\r\n\r\n");
    return text.size() >= end + 4 + std::stoul(text.substr(length + 16));
  }

  std::unique_ptr<ProxyScene> scene;
};

TEST_F(ProxyTest, CarriesARequestToTheUpstreamAndTheAnswerBack) {
  Upstream upstream(scene->outside(), std::string(kOk));
  one_cluster({upstream.address()});
  scene->config().routes({scene->config().forward({"up"})});
  scene->apply();
  const net::Address at = scene->listen();

  const std::string response = get(at, "/x?y=1");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
  EXPECT_TRUE(response.ends_with("\r\n\r\nhi")) << response;
  EXPECT_NE(response.find("server: envoy\r\n"), std::string::npos) << response;
  EXPECT_NE(response.find("x-envoy-upstream-service-time: "), std::string::npos) << response;
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_TRUE(upstream.head(0).starts_with("GET /x?y=1 HTTP/1.1\r\nhost: reviews:9080\r\n")) << upstream.head(0);
  EXPECT_NE(upstream.head(0).find("x-forwarded-proto: http\r\n"), std::string::npos);
  EXPECT_NE(upstream.head(0).find("x-request-id: "), std::string::npos);
}

}  // namespace
}  // namespace lateen::proxy
