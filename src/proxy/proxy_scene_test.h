// What tests of the whole proxy share: upstreams that answer, clients that wait.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/proxy.h"
#include "testing/peer.h"
#include "testing/proxy_scene.h"

namespace lateen::proxy {

using namespace std::chrono_literals;
using testing::Peer;
using testing::PeerListener;
using testing::ProxyScene;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
constexpr std::string_view kError = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 3\r\n\r\nbad";
constexpr std::string_view kUnavailable = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

// An upstream that answers every request (its body read first, by content-length) with one text; "" never answers.
class Upstream {
 public:
  Upstream(net::Loop& loop, std::string_view response) : listener_(loop), response_(response) {
    listener_.on_peer = [this](Peer& peer) {
      peer.on_change = [this](Peer& changed) { on_change(changed); };
      if (reset_on_accept) peer.reset();
    };
  }
  net::Address address() const { return listener_.address(); }
  std::size_t requests() const { return requests_.size(); }
  // Head and body as they came.
  const std::string& request(std::size_t index) const { return requests_.at(index); }
  std::size_t connections() const { return listener_.size(); }
  Peer& peer(std::size_t index) { return listener_.at(index); }
  void set_response(std::string_view response) { response_ = response; }
  void set_transport(std::function<std::unique_ptr<net::Socket>(std::unique_ptr<net::Socket>)> wrap) { listener_.wrap = std::move(wrap); }
  // The answers of the first requests, before set_response()'s.
  std::vector<std::string> first_responses;
  bool reset_on_accept = false;
  bool reset_on_request = false;

 private:
  void on_change(Peer& peer) {
    std::string& seen = seen_[&peer];
    seen += peer.take();
    for (std::size_t end = seen.find("\r\n\r\n"); end != std::string::npos; end = seen.find("\r\n\r\n")) {
      std::size_t size = end + 4;
      const std::size_t length = seen.find("content-length: ");
      if (length < end) size += std::stoul(seen.substr(length + 16));
      if (seen.size() < size) return;
      requests_.push_back(seen.substr(0, size));
      seen.erase(0, size);
      if (reset_on_request) return peer.reset();
      const std::size_t number = requests_.size() - 1;
      const std::string& answer = number < first_responses.size() ? first_responses[number] : response_;
      if (!answer.empty() && !peer.gone()) peer.write(answer);
    }
  }

  PeerListener listener_;
  std::string response_;
  std::map<Peer*, std::string> seen_;
  std::vector<std::string> requests_;
};

// One answer, cut apart.
struct Answer {
  int status = 0;       // 0: none came
  std::string head, body;
  Duration took{};
  bool has(std::string_view line) const { return head.find(std::string(line) + "\r\n") != std::string::npos; }
};

inline bool answer_is_complete(const std::string& text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::size_t length = text.find("content-length: ");
  if (length < end) return text.size() >= end + 4 + std::stoul(text.substr(length + 16));
  return text.find("transfer-encoding: chunked") < end ? text.ends_with("0\r\n\r\n") : true;
}

class SceneTest : public ::testing::Test {
 protected:
  explicit SceneTest(unsigned workers = 1) {
    ProxyScene::Options options;
    options.workers = workers;
    scene = std::make_unique<ProxyScene>(options);
  }

  // One cluster "up", all requests to it.
  void serve(const std::vector<net::Address>& endpoints, runtime::Cluster policy = {}) {
    scene->config().cluster("up", std::move(policy));
    scene->config().endpoints("up", endpoints);
    scene->config().routes({scene->config().forward({"up"})});
    scene->apply();
    at = scene->listen();
  }
  // The same with a route of one's own.
  void serve_route(const std::vector<net::Address>& endpoints, const std::function<void(runtime::Route&)>& change,
                   runtime::Cluster policy = {}) {
    scene->config().cluster("up", std::move(policy));
    scene->config().endpoints("up", endpoints);
    runtime::Route route = scene->config().forward({"up"});
    change(route);
    scene->config().routes({std::move(route)});
    scene->apply();
    at = scene->listen();
  }

  // Sends bytes and waits for one whole answer, or the end.
  Answer exchange(Peer& client, std::string_view bytes, Duration at_most = 60s) {
    const Time begin = scene->network().now();
    client.take();
    const std::size_t before = client.received().size();
    client.write(bytes);
    scene->network().run_until([&] { return answer_is_complete(client.received().substr(before)) || client.gone(); }, at_most);
    Answer answer;
    answer.took = scene->network().now() - begin;
    const std::string text = client.received().substr(before);
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return answer;
    answer.head = text.substr(0, end + 4);
    answer.body = text.substr(end + 4);
    answer.status = std::stoi(text.substr(9, 3));
    return answer;
  }
  Answer get(const std::string& path = "/", const std::string& more = "") {
    Peer client(scene->outside(), at);
    return exchange(client, "GET " + path + " HTTP/1.1\r\nhost: reviews:9080\r\n" + more + "\r\n");
  }
  ClusterStatus cluster_status(std::string_view name = "up") {
    for (ClusterStatus& status : scene->proxy().clusters(scene->view())) {
      if (status.name == name) return std::move(status);
    }
    return {};
  }

  std::unique_ptr<ProxyScene> scene;
  net::Address at;
};

}  // namespace lateen::proxy
