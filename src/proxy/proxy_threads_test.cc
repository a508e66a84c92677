// Workers on real threads and real sockets: configuration changes under load lose no request. Meant for TSan too.
#include <gtest/gtest.h>

#include "net/epoll_loop.h"
#include "proxy/proxy.h"
#include "stream/http_client.h"
#include "stream/http_server.h"
#include "testing/snapshot_builder.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;

const net::Address kAnyPort{net::Address::Family::kIpv4, "127.0.0.1", 0};

struct ThreadsTest : ::testing::TestWithParam<unsigned> {
  ThreadsTest() {
    loop = *net::EpollLoop::create();
    for (int i = 0; i < 2; ++i) {
      upstreams.push_back(*stream::listen_http(*loop, kAnyPort, {}, [](const stream::HttpServerRequest& request, auto reply) {
        reply->respond(200, "text/plain", "body of " + std::string(request.path));
      }));
    }
    Options options;
    options.concurrency = GetParam();
    options.seed = 7;
    proxy = *Proxy::start(options, *loop);
    view = proxy->add_view({});
    config.cluster("up");
    config.routes({config.forward({"up"})});
  }

  void adopt(std::vector<net::Address> endpoints) {
    config.endpoints("up", endpoints);
    config.routes({config.forward({"up"})});
    proxy->adopt(view, config.build(), [this] { ++adopted; });
  }
  void start_call() {
    const std::string path = "/" + std::to_string(started++);
    stream::HttpCallRequest request;
    request.path = path;
    calls.push_back(stream::fetch(*loop, at, request, [this, path](Result<stream::HttpCallResponse> response) {
      ++ended;
      if (!response || response->status != 200 || response->body != "body of " + path) {
        ++wrong;
        last_wrong = response ? std::to_string(response->status) + " " + response->body : to_string(response.error());
      }
    }));
  }

  std::unique_ptr<net::EpollLoop> loop;
  std::vector<std::unique_ptr<stream::HttpServer>> upstreams;
  testing::SnapshotBuilder config;
  std::unique_ptr<Proxy> proxy;
  ViewId view = 0;
  net::Address at;
  std::vector<std::unique_ptr<stream::HttpCall>> calls;
  int started = 0, ended = 0, wrong = 0, adopted = 0;
  std::string last_wrong;
};

TEST_P(ThreadsTest, ChangesUnderLoadLoseNothing) {
  constexpr int kCalls = 400;
  adopt({upstreams[0]->local_address()});
  while (adopted == 0) loop->run_once(100ms);
  ListenSpec spec;
  spec.view = view;
  spec.listener = "in";
  const Result<BoundListener> bound = proxy->listen("in", kAnyPort, spec);
  ASSERT_TRUE(bound.has_value()) << to_string(bound.error());
  at = bound->address;
  for (int round = 0; ended < kCalls; ++round) {
    while (started < kCalls && started - ended < 16) start_call();
    std::vector<net::Address> endpoints = {upstreams[static_cast<std::size_t>(round % 2)]->local_address()};
    if (round % 3 == 0) endpoints.push_back(upstreams[static_cast<std::size_t>((round + 1) % 2)]->local_address());
    adopt(endpoints);
    loop->run_once(10ms);
    // Readers beside the workers.
    ASSERT_EQ(proxy->clusters(view).size(), 1U);
    ASSERT_FALSE(proxy->stats().empty());
  }
  EXPECT_EQ(wrong, 0) << last_wrong;
  bool drained = false;
  proxy->drain(5s, [&] { drained = true; });
  for (int i = 0; i < 1000 && !drained; ++i) loop->run_once(10ms);
  EXPECT_TRUE(drained);
}

TEST_P(ThreadsTest, APortInUseIsRefused) {
  adopt({});
  ListenSpec spec;
  spec.view = view;
  spec.listener = "in";
  const Result<BoundListener> bound = proxy->listen("in", upstreams[0]->local_address(), spec);
  ASSERT_FALSE(bound.has_value());
  EXPECT_EQ(bound.error().code, ErrorCode::kConflict);
}

INSTANTIATE_TEST_SUITE_P(Concurrency, ThreadsTest, ::testing::Values(1U, 4U));

}  // namespace
}  // namespace lateen::proxy
