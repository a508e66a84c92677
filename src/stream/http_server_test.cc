#include "stream/http_server.h"

#include <gtest/gtest.h>
#include <string>

#include "net/epoll_loop.h"
#include "stream/http_client.h"
#include "testing/h2_client.h"
#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;
const net::Address kAnyPort{net::Address::Family::kIpv4, "127.0.0.1", 0};

std::string text_of(std::size_t size, std::uint64_t seed) {
  std::string text;
  while (text.size() < size) text += std::to_string(seed += 0x9e3779b9) + ",";
  text.resize(size);
  return text;
}

// Answers every request with what it was.
void echo(const HttpServerRequest& request, std::unique_ptr<HttpReply> reply) {
  reply->respond(200, "text/plain",
                 std::string(request.method) + " " + std::string(request.path) + " ?" + std::string(request.query) + " " +
                     std::string(request.header("x-test")) + " " + std::string(request.body),
                 {{"X-Echo", "yes"}});
}

// Without Date, which depends on the clock.
std::string without_date(std::string text) {
  const std::size_t at = text.find("date: ");
  if (at != std::string::npos) text.erase(at, text.find("\r\n", at) + 2 - at);
  return text;
}

TEST(HttpServer, AnswersRequestsOfEveryMethodOverRealSockets) {
  auto loop = *net::EpollLoop::create();
  auto server = *listen_http(*loop, kAnyPort, {}, echo);
  int answers = 0;
  std::vector<std::unique_ptr<HttpCall>> calls;
  for (const std::string method : {"GET", "POST", "DELETE"}) {
    HttpCallRequest request;
    request.method = method;
    request.path = "/a/b?c=d";
    request.headers = {{"X-Test", "t"}};
    if (method == "POST") request.body = text_of(300'000, 1);
    calls.push_back(fetch(*loop, server->local_address(), request, [&, method, request](Result<HttpCallResponse> r) {
      ASSERT_TRUE(r.has_value()) << to_string(r.error());
      EXPECT_EQ(r->status, 200);
      EXPECT_EQ(r->header("x-echo"), "yes");
      EXPECT_EQ(r->body, method + " /a/b ?c=d t " + request.body);
      if (++answers == 3) loop->stop();
    }));
  }
  loop->run();
  EXPECT_EQ(answers, 3);
}

TEST(HttpServer, EveryByteArrivesWhateverTheNetworkDoesToTheSegments) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    testing::NetworkOptions options;
    options.pipe_bytes = 1000 + seed * 977 % 60'000;
    testing::VirtualLoop loop(seed, options);
    auto server = *listen_http(loop, kAnyPort, {}, echo);
    HttpCallRequest request;
    request.method = "POST";
    request.path = "/p";
    request.body = text_of(seed * 1231 % 300'000, seed);
    Result<HttpCallResponse> response = fail(ErrorCode::kTimeout, "none");
    const auto call = fetch(loop, server->local_address(), request, [&](auto result) { response = std::move(result); });
    loop.run_for(60s);
    ASSERT_TRUE(response.has_value()) << "seed " << seed << ": " << to_string(response.error());
    EXPECT_EQ(response->body, "POST /p ?  " + request.body) << "seed " << seed;
  }
}

TEST(HttpServer, AStreamingAnswerGoesOutPieceByPieceAndTheHandlerLearnsThatTheClientHasGone) {
  testing::VirtualLoop loop(1);
  std::unique_ptr<HttpReply> held;
  bool gone = false;
  auto server = *listen_http(loop, kAnyPort, {}, [&](const HttpServerRequest&, std::unique_ptr<HttpReply> reply) {
    reply->start(200, "text/plain");
    reply->set_on_gone([&] { gone = true; });
    held = std::move(reply);
  });
  std::string body;
  HttpCallRequest request;
  request.idle_timeout = {};
  auto call = start_http_call(loop, server->local_address(), request,
                              {nullptr, [&](std::string_view piece) { body += piece; }, nullptr});
  loop.run_for(1s);
  held->write("one,");
  loop.run_for(1h);
  EXPECT_EQ(body, "one,");
  held->write("two,");
  loop.run_for(1s);
  EXPECT_EQ(body, "one,two,");
  EXPECT_EQ(held->unsent(), 0u);
  call.reset();
  loop.run_for(1s);
  held->write("three,");
  loop.run_for(1s);
  EXPECT_TRUE(gone);
  EXPECT_TRUE(held->gone());
  held->finish();
}

TEST(HttpServer, AReplyThatIsForgottenIsA500AndABodyThatIsTooLargeA413) {
  testing::VirtualLoop loop(1);
  HttpServerOptions options;
  options.body_bytes_max = 1000;
  auto server = *listen_http(loop, kAnyPort, options, [](const HttpServerRequest&, std::unique_ptr<HttpReply>) {});
  int status = 0, status_of_large = 0;
  auto call = fetch(loop, server->local_address(), {}, [&](auto result) { status = result ? result->status : -1; });
  HttpCallRequest large;
  large.method = "POST";
  large.body = std::string(1001, 'x');
  auto second =
      fetch(loop, server->local_address(), large, [&](auto result) { status_of_large = result ? result->status : -1; });
  loop.run_for(10s);
  EXPECT_EQ(status, 500);
  EXPECT_EQ(status_of_large, 413);
}

TEST(HttpServer, AResetIsAnErrorForTheClientAndNobodyListeningIsSaidSo) {
  testing::VirtualLoop loop(1);
  auto server = *listen_http(loop, kAnyPort, {},
                             [](const HttpServerRequest&, std::unique_ptr<HttpReply> reply) { reply->reset(); });
  Result<HttpCallResponse> reset = HttpCallResponse{}, nobody = HttpCallResponse{};
  auto call = fetch(loop, server->local_address(), {}, [&](auto result) { reset = std::move(result); });
  auto second = fetch(loop, *net::parse_address("127.0.0.1:1"), {}, [&](auto result) { nobody = std::move(result); });
  loop.run_for(10s);
  ASSERT_FALSE(reset.has_value());
  EXPECT_EQ(reset.error().code, ErrorCode::kPeerClosed);
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(to_string(nobody.error()), "127.0.0.1:1: connection refused");
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrderAndHeadWithoutABody) {
  testing::VirtualLoop loop(3);
  auto server = *listen_http(loop, kAnyPort, {}, echo);
  testing::Peer client(loop, server->local_address());
  client.write(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  loop.run_for(1s);
  std::string expected;
  for (int i = 1; i <= 3; ++i) {
    expected += "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-echo: yes\r\ncontent-length: " +
                std::string(i == 2 ? "11" : "10") + "\r\n" + (i == 3 ? "connection: close\r\n" : "") + "\r\n";
    if (i != 2) expected += "GET /" + std::to_string(i) + " ?  ";
  }
  std::string received = client.received();
  for (int i = 0; i < 3; ++i) received = without_date(received);
  EXPECT_EQ(received, expected);
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, DrainingEndsWhenTheLastConnectionHasGone) {
  testing::VirtualLoop loop(1);
  std::unique_ptr<HttpReply> held;
  auto server = *listen_http(loop, kAnyPort, {},
                             [&](const HttpServerRequest&, std::unique_ptr<HttpReply> reply) { held = std::move(reply); });
  testing::Peer idle(loop, server->local_address());
  testing::Peer busy(loop, server->local_address());
  busy.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  loop.run_for(1s);
  bool drained = false;
  server->drain([&] { drained = true; });
  loop.run_for(10s);
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(busy.ended());
  EXPECT_FALSE(drained);
  held->respond(200, "text/plain", "late");
  loop.run_for(10s);
  EXPECT_TRUE(drained);
  EXPECT_TRUE(busy.ended());
  EXPECT_TRUE(busy.received().ends_with("late"));
}

TEST(HttpServer, WithHttp2ManyRequestsOfOneConnectionAreAnsweredInAnyOrderAndEndOnTheirOwn) {
  testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
  std::vector<std::unique_ptr<HttpReply>> held;
  std::vector<std::string> gone;
  HttpServerOptions options;
  options.http2 = true;
  auto server = *listen_http(loop, kAnyPort, options, [&](const HttpServerRequest& request, std::unique_ptr<HttpReply> reply) {
    const std::string path(request.path);
    reply->set_on_gone([&gone, path] { gone.push_back(path); });
    held.push_back(std::move(reply));
  });
  testing::H2Client client(loop, server->local_address());
  std::vector<std::int32_t> ids;
  for (const std::string_view path : {"/0", "/1", "/2", "/3"}) ids.push_back(client.get(path));
  loop.run_for(100ms);
  ASSERT_EQ(held.size(), 4U);
  client.reset(ids[0]);
  held[3]->respond(200, "text/plain", "three");
  held[1]->reset();
  loop.run_for(100ms);
  EXPECT_EQ(gone, std::vector<std::string>{"/0"});
  EXPECT_EQ(client.answer(ids[3]).body, "three");
  EXPECT_EQ(client.answer(ids[1]).reset, 2);
  EXPECT_FALSE(client.answer(ids[2]).closed);
  // What has ended serves the next request, what has not is left alone.
  ids.push_back(client.get("/4"));
  loop.run_for(100ms);
  ASSERT_EQ(held.size(), 5U);
  held[4]->respond(200, "text/plain", "four");
  held[2]->respond(200, "text/plain", "two");
  loop.run_for(100ms);
  EXPECT_EQ(client.answer(ids[4]).body, "four");
  EXPECT_EQ(client.answer(ids[2]).body, "two");
  ids.push_back(client.get("/5"));
  loop.run_for(100ms);
  client.peer().close();
  loop.run_for(100ms);
  EXPECT_EQ(gone, (std::vector<std::string>{"/0", "/5"}));
}

}  // namespace
}  // namespace lateen::stream
