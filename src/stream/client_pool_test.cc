#include "stream/client_pool.h"

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;

struct Admission final : ConnectionAdmission {
  std::size_t limit = 1000, open = 0, open_max = 0, failed = 0;
  bool try_acquire_connection(bool must) override {
    if (!must && open >= limit) return false;
    open_max = std::max(open_max, ++open);
    return true;
  }
  void release_connection() override { --open; }
  void on_connect_failed(ResetReason) override { ++failed; }
};

// One request: asks the pool, sends, and writes down what comes.
class Exchange final : public StreamWaiter, public ClientStreamHandler {
 public:
  Exchange(ClientPool& pool, std::string path, std::string method = "GET") : path_(std::move(path)), method_(std::move(method)) {
    pending = pool.start(*this, *this);
  }
  void on_stream_ready(std::unique_ptr<ClientStream> ready) override {
    pending.reset();
    stream = std::move(ready);
    log += stream->on_reused_connection() ? "reused " : "new ";
    http::RequestHead head;
    head.method = method_;
    head.path = path_;
    head.authority = "h";
    head.is_upgrade = upgrade;
    if (upgrade) head.headers.add("upgrade", "websocket");
    stream->send_headers(head, body_follows || upgrade ? End::kNo : End::kYes);
  }
  bool leaves_draining_pool() const override { return leaves; }
  void on_stream_failure(ResetReason reason, std::string_view detail) override {
    pending.reset();
    log += "failed" + std::to_string(static_cast<int>(reason)) + ":" + std::string(detail);
  }
  void on_informational(http::ResponseHead head) override { log += "(" + std::to_string(head.status) + ")"; }
  void on_headers(http::ResponseHead head, End end) override {
    status = head.status;
    log += std::to_string(head.status) + (end == End::kYes ? "." : "");
    if (end == End::kYes) finish();
  }
  void on_data(Buffer data, End end) override {
    body += data.to_string();
    held += data.size();
    if (takes) {
      stream->consumed(held);
      held = 0;
    }
    if (end == End::kYes) {
      log += " end";
      finish();
    }
  }
  void on_trailers(http::HeaderMap trailers) override {
    log += " trailers" + std::to_string(trailers.size());
    finish();
  }
  void on_reset(ResetReason reason, bool bytes_sent, std::string_view) override {
    log += " reset" + std::to_string(static_cast<int>(reason)) + (bytes_sent ? "+" : "-") +
           (stream->on_reused_connection() ? "r" : "");
    stream.reset();
  }
  void on_sent(std::size_t bytes) override { sent += bytes; }
  void finish() {
    if (keeps) return;
    stream.reset();
  }
  void send(std::string_view text, End end) {
    Buffer data;
    data.append_copy(text);
    stream->send_data(std::move(data), end);
  }

  std::unique_ptr<PendingStream> pending;
  std::unique_ptr<ClientStream> stream;
  std::string log, body;
  int status = 0;
  std::size_t held = 0, sent = 0;
  bool takes = true, keeps = false, leaves = true;
  inline static bool body_follows = false, upgrade = false;

 private:
  const std::string path_, method_;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Fixture {
  explicit Fixture(PoolOptions options = {}, testing::NetworkOptions network_options = testing::NetworkOptions::calm(),
                   std::uint64_t seed = 1)
      : network(seed, network_options), loop(network), servers(network), listener(servers) {
    Exchange::body_follows = Exchange::upgrade = false;
    pool = make_h1_client_pool(loop, listener.address(), options, admission);
  }
  Exchange& start(std::string path, std::string method = "GET") {
    exchanges.push_back(std::make_unique<Exchange>(*pool, std::move(path), std::move(method)));
    return *exchanges.back();
  }
  void run() { network.run_for(100ms); }
  // The upstream's next words on its nth connection.
  void say(std::size_t connection, std::string_view text) {
    listener.at(connection).write(text);
    run();
  }
  testing::VirtualNetwork network;
  testing::VirtualLoop loop, servers;
  testing::PeerListener listener;
  Admission admission;
  std::unique_ptr<ClientPool> pool;
  std::vector<std::unique_ptr<Exchange>> exchanges;
};

TEST(ClientPool, UsesTheConnectionAgainThatWasUsedLast) {
  Fixture f;
  f.start("/1");
  f.start("/2");
  f.run();
  ASSERT_EQ(f.listener.size(), 2u);
  f.say(0, kOk);
  f.say(1, kOk);
  EXPECT_EQ(f.pool->idle_connections(), 2u);
  Exchange& third = f.start("/3");
  f.run();
  EXPECT_EQ(f.listener.size(), 2u);
  EXPECT_EQ(f.listener.at(1).received(),
            "GET /2 HTTP/1.1\r\nhost: h\r\n\r\nGET /3 HTTP/1.1\r\nhost: h\r\n\r\n");
  f.say(1, kOk);
  EXPECT_EQ(third.log, "reused 200 end");
  EXPECT_EQ(third.body, "ok");
}

TEST(ClientPool, WhoWaitsIsServedInOrderWhenTheLimitIsReached) {
  Fixture f;
  f.admission.limit = 2;
  for (int i = 0; i < 6; ++i) f.start("/" + std::to_string(i));
  f.run();
  EXPECT_EQ(f.listener.size(), 2u);
  EXPECT_EQ(f.pool->pending(), 4u);
  f.exchanges[3]->pending.reset();  // gives up
  EXPECT_EQ(f.pool->pending(), 3u);
  for (int i = 0; i < 3; ++i) {
    f.say(0, kOk);
    f.say(1, kOk);
  }
  EXPECT_EQ(f.admission.open_max, 2u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(f.exchanges[static_cast<std::size_t>(i)]->status, i == 3 ? 0 : 200) << i;
  }
  EXPECT_EQ(f.listener.at(0).received() + f.listener.at(1).received(),
            "GET /0 HTTP/1.1\r\nhost: h\r\n\r\nGET /2 HTTP/1.1\r\nhost: h\r\n\r\nGET /5 HTTP/1.1\r\nhost: h\r\n\r\n"
            "GET /1 HTTP/1.1\r\nhost: h\r\n\r\nGET /4 HTTP/1.1\r\nhost: h\r\n\r\n");
}

TEST(ClientPool, APoolWithoutAConnectionMayOpenOneWhateverTheLimit) {
  Fixture f;
  f.admission.limit = 0;
  Exchange& exchange = f.start("/");
  f.run();
  f.say(0, kOk);
  EXPECT_EQ(exchange.log, "new 200 end");
}

TEST(ClientPool, ConnectFailuresAndTimeoutsAreToldToAllWhoWait) {
  PoolOptions options;
  options.connect_timeout = 500ms;
  Fixture f(options);
  const net::Address nowhere{net::Address::Family::kIpv4, "10.9.9.9", 80};
  f.pool = make_h1_client_pool(f.loop, nowhere, options, f.admission);
  Exchange& refused = f.start("/");
  f.run();
  EXPECT_EQ(refused.log, "failed1:connection refused");
  f.network.set_unreachable(nowhere, true);
  Exchange& first = f.start("/");
  Exchange& second = f.start("/");
  f.network.run_for(499ms);
  EXPECT_EQ(first.log, "");
  f.network.run_for(2ms);
  EXPECT_EQ(first.log, "failed2:connection timeout");
  EXPECT_EQ(second.log, first.log);
  EXPECT_EQ(f.admission.open, 0u);
  EXPECT_EQ(f.pool->connections(), 0u);
}

TEST(ClientPool, WhatTheUpstreamSaysDecidesWhetherTheConnectionIsKept) {
  struct Case {
    std::string_view name, method, response;
    bool then_closes;
    std::string_view log;
    bool kept;
  };
  const Case cases[] = {
      {"length", "GET", kOk, false, "new 200 end", true},
      {"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", false, "new 204.", true},
      {"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, "new 200 end", true},
      {"trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", false,
       "new 200 trailers1", true},
      {"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "new 200.", true},
      {"early hints", "GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false,
       "new (103)200.", true},
      {"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, "new 200 end", false},
      {"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "new 200 end", false},
      {"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nok", true, "new 200 end", false},
      {"bytes behind", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokJUNK", false, "new 200 end", false},
      {"body behind HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "new 200.", false},
      {"closed behind it", "GET", kOk, true, "new 200 end", false},
      {"not HTTP", "GET", "SSH-2.0-OpenSSH\r\n\r\n", false, "new  reset4+", false},
      {"101 unasked", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw", false, "new  reset4+", false},
      {"nothing", "GET", "", true, "new  reset3+", false},
      {"part of a head", "GET", "HTTP/1.1 200 OK\r\nCont", true, "new  reset3+", false},
      {"short body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true, "new 200 reset3+", false},
      {"no last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, "new 200 reset3+", false},
      {"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, "new 200 reset4+", false},
  };
  for (const Case& c : cases) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      testing::NetworkOptions network;
      network.cut_per_million = seed == 1 ? 0 : 800'000;
      Fixture f({}, network, seed);
      Exchange& exchange = f.start("/", std::string(c.method));
      f.run();
      f.listener.at(0).write(c.response);
      if (c.then_closes) f.listener.at(0).shutdown_write();
      f.network.run_for(1s);
      EXPECT_EQ(exchange.log, c.log) << c.name << ", seed " << seed;
      EXPECT_EQ(f.pool->idle_connections(), c.kept ? 1u : 0u) << c.name << ", seed " << seed;
      EXPECT_EQ(f.admission.open, f.pool->connections()) << c.name;
      EXPECT_EQ(f.pool->connections(), c.kept ? 1u : 0u) << c.name;
    }
  }
}

TEST(ClientPool, AFloodOfInformationalResponsesIsRefused) {
  Fixture f;
  Exchange& exchange = f.start("/");
  f.run();
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += "HTTP/1.1 100 Continue\r\n\r\n";
  f.say(0, flood);
  EXPECT_TRUE(exchange.log.ends_with(" reset4+"));
  EXPECT_EQ(exchange.status, 0);
}

TEST(ClientPool, BytesThatComeUnaskedCloseAnIdleConnectionAndAreNeverAnAnswer) {
  for (const std::string_view unasked : {"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "junk"}) {
    Fixture f;
    f.start("/1");
    f.run();
    f.say(0, kOk);
    ASSERT_EQ(f.pool->idle_connections(), 1u);
    f.say(0, unasked);
    EXPECT_EQ(f.pool->connections(), 0u);
    Exchange& second = f.start("/2");
    f.run();
    ASSERT_EQ(f.listener.size(), 2u);
    f.say(1, kOk);
    EXPECT_EQ(second.log, "new 200 end");
  }
}

TEST(ClientPool, AnIdleTimeoutOfTheUpstreamThatCrossesARequestIsAResetOfAReusedConnection) {
  for (const std::string_view last_words : {"", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"}) {
    Fixture f;
    f.start("/1");
    f.run();
    f.say(0, kOk);
    // Both are under way at the same time.
    f.listener.at(0).write(last_words);
    f.listener.at(0).close();
    Exchange& second = f.start("/2");
    f.network.run_for(1s);
    EXPECT_EQ(second.log.substr(0, 14), "reused  reset3") << second.log;
    EXPECT_TRUE(second.log.ends_with("r"));
  }
}

TEST(ClientPool, LimitsOfTimeAndNumberEndConnectionsBetweenRequests) {
  PoolOptions options;
  options.max_requests_per_connection = 2;
  options.idle_timeout = 10s;
  options.max_connection_duration = 60s;
  Fixture f(options);
  for (int i = 0; i < 4; ++i) {
    f.start("/");
    f.run();
    f.say(static_cast<std::size_t>(i / 2), kOk);
  }
  EXPECT_EQ(f.listener.size(), 2u);
  EXPECT_EQ(f.pool->connections(), 0u);
  f.start("/");
  f.run();
  f.say(2, kOk);
  EXPECT_EQ(f.pool->idle_connections(), 1u);
  f.network.run_for(10s);
  EXPECT_EQ(f.pool->connections(), 0u);
  Exchange& busy = f.start("/");
  f.network.run_for(70s);
  EXPECT_EQ(f.pool->connections(), 1u);
  f.say(3, kOk);
  EXPECT_EQ(busy.log, "new 200 end");
  EXPECT_EQ(f.pool->connections(), 0u);
}

TEST(ClientPool, AnAbandonedExchangeClosesItsConnectionUnlessItsRestIsThere) {
  Fixture f;
  Exchange& abandoned = f.start("/");
  f.run();
  abandoned.stream.reset();
  f.run();
  EXPECT_EQ(f.pool->connections(), 0u);
  EXPECT_TRUE(f.listener.at(0).gone());
}

TEST(ClientPool, ASlowReaderStopsTheUpstreamAtTheWindow) {
  Fixture f;
  Exchange& exchange = f.start("/");
  exchange.takes = false;
  f.run();
  f.listener.at(0).write("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + std::string(2'000'000, 'x'));
  f.network.run_for(10s);
  EXPECT_EQ(exchange.held, kStreamWindowBytes);
  exchange.takes = true;
  exchange.stream->consumed(std::exchange(exchange.held, 0));
  f.network.run_for(10s);
  EXPECT_EQ(exchange.body.size(), 2'000'000u);
  EXPECT_EQ(exchange.log, "new 200 end");
}

TEST(ClientPool, AnEarlyAnswerToABodyThatGoesOnIsDeliveredAndTheConnectionNotKept) {
  for (const bool closes : {false, true}) {
    Fixture f;
    Exchange::body_follows = true;
    Exchange& exchange = f.start("/", "POST");
    exchange.keeps = true;
    f.run();
    exchange.send(std::string(100'000, 'x'), End::kNo);
    f.run();
    f.listener.at(0).write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    if (closes) f.listener.at(0).shutdown_write();
    f.run();
    EXPECT_EQ(exchange.log, "new 413 end");
    EXPECT_EQ(exchange.body, "no");
    exchange.stream.reset();
    EXPECT_EQ(f.pool->connections(), 0u);
  }
}

TEST(ClientPool, AnUpgradeHoldsBytesBackUntilItIsGrantedAndThenIsRaw) {
  Fixture f;
  Exchange::upgrade = true;
  Exchange& exchange = f.start("/ws");
  f.run();
  exchange.send("early", End::kNo);
  f.run();
  EXPECT_EQ(f.listener.at(0).received(),
            "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  f.listener.at(0).take();
  f.say(0, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nraw");
  EXPECT_EQ(exchange.log, "new 101");
  EXPECT_EQ(exchange.body, "raw");
  EXPECT_EQ(f.listener.at(0).take(), "early");
  exchange.send("bye", End::kYes);
  f.run();
  EXPECT_EQ(f.listener.at(0).take(), "bye");
  EXPECT_TRUE(f.listener.at(0).ended());
  f.listener.at(0).write("last");
  f.listener.at(0).shutdown_write();
  f.run();
  EXPECT_EQ(exchange.body, "rawlast");
  EXPECT_EQ(exchange.log, "new 101 end");
  EXPECT_EQ(f.pool->connections(), 0u);
}

TEST(ClientPool, DrainingAndDestroyingTellEverybodyOnce) {
  Fixture f;
  f.admission.limit = 1;
  Exchange& busy = f.start("/1");
  Exchange& waiting = f.start("/2");
  f.run();
  bool empty = false;
  f.pool->drain([&] { empty = true; });
  EXPECT_EQ(waiting.log, "failed6:connection pool closed");
  f.run();
  EXPECT_FALSE(empty);
  f.say(0, kOk);
  EXPECT_EQ(busy.log, "new 200 end");
  EXPECT_TRUE(empty);

  Fixture destroyed;
  Exchange& lost = destroyed.start("/");
  destroyed.run();
  destroyed.pool.reset();
  EXPECT_EQ(lost.log, "new  reset6+");
  EXPECT_EQ(destroyed.admission.open, 0u);
}

// An endpoint that comes and goes faster than connections are made must not fail who has nowhere else to go.
TEST(ClientPool, WhoStaysIsServedWhileThePoolDrains) {
  for (const std::size_t limit : {1U, 1000U}) {
    Fixture f;
    f.admission.limit = limit;
    Exchange& first = f.start("/1");
    Exchange& second = f.start("/2");
    Exchange& leaving = f.start("/3");
    first.leaves = second.leaves = false;
    bool empty = false;
    f.pool->drain([&] { empty = true; });   // no connection has been made yet
    EXPECT_EQ(leaving.log, "failed6:connection pool closed");
    f.run();
    EXPECT_EQ(first.log, "new ");
    Exchange& late = f.start("/4");
    EXPECT_EQ(late.log, "failed6:connection pool closed");
    f.say(0, kOk);
    f.run();
    EXPECT_EQ(first.log, "new 200 end");
    ASSERT_EQ(second.log, "new ") << "on a connection of its own, for the first one is not kept";
    EXPECT_FALSE(empty);
    f.say(1, kOk);
    f.run();
    EXPECT_EQ(second.log, "new 200 end");
    EXPECT_TRUE(empty);
    EXPECT_EQ(f.pool->connections(), 0U);
  }
}

}  // namespace
}  // namespace lateen::stream
