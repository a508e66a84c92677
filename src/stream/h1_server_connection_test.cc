#include "stream/h1_server_connection.h"

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "stream/scripted_server_test.h"
#include "testing/peer.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<ServerConnection> make_http1(net::Loop& loop, std::unique_ptr<net::Socket> socket, ServerStreamAcceptor& acceptor,
                                             const H1ServerOptions& options) {
  return make_h1_server_connection(loop, std::move(socket), acceptor, options);
}

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
std::string answer(std::string_view body) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

struct Fixture {
  explicit Fixture(H1ServerOptions options = {}, std::uint64_t seed = 1,
                   testing::NetworkOptions network = testing::NetworkOptions::calm())
      : loop(seed, network), server(loop, options, make_http1), client(loop, server.address()) {
    server.on_exchange = answer_at_end;
  }
  std::string exchange(std::string_view request) {
    client.write(request);
    loop.run_for(500ms);
    return client.take();
  }
  testing::VirtualLoop loop;
  Server server;
  testing::Peer client;
};

TEST(H1ServerConnection, AnswersOneRequestAfterAnotherOnAConnectionThatStaysOpen) {
  Fixture f;
  EXPECT_EQ(f.exchange(kGet), answer("<>"));
  EXPECT_EQ(f.exchange("POST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"), answer("<abc>"));
  EXPECT_EQ(f.exchange("PUT /z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\n\r\n"),
            answer("<abc>"));
  EXPECT_FALSE(f.client.gone());
  ASSERT_EQ(f.server.exchanges.size(), 3u);
  EXPECT_EQ(f.server.exchanges[0]->log, "GET /x. complete");
  EXPECT_EQ(f.server.exchanges[1]->log, "POST /y end complete");
  EXPECT_EQ(f.server.exchanges[2]->log, "PUT /z trailers:x-t=1 complete");
  EXPECT_EQ(f.server.exchanges[1]->sent, 5u);
}

TEST(H1ServerConnection, TheAnswersDoNotDependOnHowThePipelinedBytesWereCut) {
  const std::string requests = std::string(kGet) + "POST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
                               "PUT /z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" +
                               std::string(kGet);
  const std::string expected = answer("<>") + answer("<abc>") + answer("<abc>") + answer("<>");
  for (std::size_t cut = 0; cut <= requests.size(); ++cut) {
    Fixture f;
    std::string received = f.exchange(requests.substr(0, cut));
    received += f.exchange(requests.substr(cut));
    ASSERT_EQ(received, expected) << "cut at " << cut;
  }
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    testing::NetworkOptions network;
    network.cut_per_million = 950'000;
    network.pipe_bytes = 1 + seed % 200;
    Fixture f({}, seed, network);
    f.client.write(requests);
    f.loop.run_for(2s);
    ASSERT_EQ(f.client.received(), expected) << "seed " << seed;
  }
}

TEST(H1ServerConnection, AnswersItselfAndClosesWhereTheRequestIsNotLegal) {
  struct Case {
    std::string_view name, request;
    std::uint16_t status;
  };
  const std::string large = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n";
  const Case cases[] = {
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two framings", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"garbage", "\x16\x03\x01 what\r\n\r\n", 400},
      {"large head", large, 431},
      {"bad chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
  };
  for (const Case& c : cases) {
    Fixture f;
    const std::string received = f.exchange(c.request);
    EXPECT_TRUE(received.starts_with("HTTP/1.1 " + std::to_string(c.status) + " ")) << c.name << ": " << received;
    EXPECT_NE(received.find("\r\nconnection: close\r\n"), std::string::npos) << c.name;
    EXPECT_NE(received.find("\r\nserver: envoy\r\n"), std::string::npos) << c.name;
    f.loop.run_for(5s);
    EXPECT_TRUE(f.client.ended()) << c.name;
    EXPECT_EQ(f.client.error(), 0) << c.name << ": the answer must not be overtaken by a reset";
    EXPECT_EQ(f.server.refused, std::vector<std::uint16_t>{c.status}) << c.name;
    EXPECT_EQ(f.server.closed, 1) << c.name;
  }
}

TEST(H1ServerConnection, AHeadThatDoesNotEndIs408AndAnIdleConnectionIsClosedInSilence) {
  H1ServerOptions options;
  options.header_timeout = 3s;
  options.idle_timeout = 5s;
  Fixture f(options);
  f.client.write("GET / HTTP/1.1\r\nHo");
  f.loop.run_for(2900ms);
  EXPECT_EQ(f.client.received(), "");
  f.loop.run_for(200ms);
  EXPECT_TRUE(f.client.received().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_EQ(f.server.refused, std::vector<std::uint16_t>{408});
  f.loop.run_for(5s);
  EXPECT_TRUE(f.client.ended());

  Fixture idle(options);
  EXPECT_EQ(idle.exchange(kGet), answer("<>"));
  idle.loop.run_for(4s);
  EXPECT_FALSE(idle.client.gone());
  idle.loop.run_for(2s);
  EXPECT_TRUE(idle.client.ended());
  EXPECT_EQ(idle.client.take(), "");
  EXPECT_TRUE(idle.server.refused.empty());
}

TEST(H1ServerConnection, A100IsSentWhenTheBodyIsWantedAndNotBefore) {
  Fixture f;
  f.server.on_exchange = nullptr;
  EXPECT_EQ(f.exchange("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), "");
  Exchange& exchange = *f.server.exchanges.at(0);
  exchange.stream->consumed(0);
  f.loop.run_for(100ms);
  EXPECT_EQ(f.client.take(), "HTTP/1.1 100 Continue\r\n\r\n");
  // The upstream's own 100 is the second one, and is not passed on.
  http::ResponseHead again;
  again.status = 100;
  exchange.stream->send_informational(again);
  exchange.on_body = [](Exchange& e, End) { e.take(); };
  EXPECT_EQ(f.exchange("ab"), "");
  exchange.respond(200, "ok");
  f.loop.run_for(100ms);
  EXPECT_EQ(f.client.take(), answer("ok"));
  EXPECT_FALSE(f.client.gone());
}

TEST(H1ServerConnection, AnAnswerInsteadOfA100ClosesBecauseTheBodyMayOrMayNotCome) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.respond(403, "no"); };
  EXPECT_EQ(f.exchange("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
  f.loop.run_for(5s);
  EXPECT_TRUE(f.client.ended());
  EXPECT_EQ(f.server.exchanges.size(), 1u);
}

TEST(H1ServerConnection, AfterAnEarlyAnswerASmallBodyIsDroppedAndTheNextRequestServed) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.respond(403, "no"); };
  const std::string refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
  EXPECT_EQ(f.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 45\r\n\r\nGET /smuggled HTTP"), refused);
  EXPECT_EQ(f.exchange(std::string(45 - 18, 'x') + std::string(kGet)), refused);
  ASSERT_EQ(f.server.exchanges.size(), 2u);
  EXPECT_EQ(f.server.exchanges[1]->log, "GET /x. complete");
}

// The head of the answer has promised to keep the connection: closing it would break the client's next request.
TEST(H1ServerConnection, AfterAnEarlyAnswerThatPromisedToKeepTheConnectionAMebibyteIsDropped) {
  for (const bool chunked : {false, true}) {
    Fixture f;
    f.server.on_exchange = [](Exchange& e, End) { e.respond(200, "early"); };
    const std::string body(1'000'000, 'x');
    f.client.write(std::string("POST / HTTP/1.1\r\nHost: h\r\n") +
                   (chunked ? "Transfer-Encoding: chunked\r\n\r\nf4240\r\n" : "Content-Length: 1000000\r\n\r\n"));
    f.loop.run_for(1ms);
    EXPECT_EQ(f.client.received(), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly");
    f.client.write(body + (chunked ? "\r\n0\r\n\r\n" : "") + std::string(kGet));
    f.loop.run_for(500ms);
    EXPECT_FALSE(f.client.ended());
    ASSERT_EQ(f.server.exchanges.size(), 2u) << chunked;
    EXPECT_EQ(f.server.exchanges[1]->log, "GET /x. complete");
  }
}

TEST(H1ServerConnection, AfterAnEarlyAnswerALargeBodyEndsTheConnectionWithoutLosingTheAnswer) {
  for (const std::string framing : {"Content-Length: 5000000", "Transfer-Encoding: chunked"}) {
    Fixture f;
    f.server.on_exchange = [](Exchange& e, End) { e.respond(413, "too large"); };
    f.client.write("POST / HTTP/1.1\r\nHost: h\r\n" + framing + "\r\n\r\n");
    for (int i = 0; i < 100; ++i) {
      f.client.write((framing[0] == 'T' ? "1388\r\n" : "") + std::string(5000, 'x') + (framing[0] == 'T' ? "\r\n" : ""));
      f.loop.run_for(1ms);
    }
    f.loop.run_for(10s);
    EXPECT_TRUE(f.client.received().ends_with("too large")) << framing;
    EXPECT_TRUE(f.client.ended()) << framing;
    EXPECT_EQ(f.client.error(), 0) << framing;
    EXPECT_EQ(f.server.closed, 1) << framing;
  }
}

TEST(H1ServerConnection, NoMoreOfABodyIsReadThanTheWindowUntilItIsConsumed) {
  Fixture f;
  f.server.on_exchange = nullptr;
  f.client.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" + std::string(2'000'000, 'x'));
  f.loop.run_for(10s);
  ASSERT_EQ(f.server.exchanges.size(), 1u);
  Exchange& exchange = *f.server.exchanges[0];
  EXPECT_EQ(exchange.held, kStreamWindowBytes);
  while (exchange.body.size() < 2'000'000) {
    exchange.take();
    f.loop.run_for(1s);
  }
  EXPECT_EQ(exchange.held_max, kStreamWindowBytes);
  EXPECT_EQ(exchange.log, "POST / end");
  EXPECT_EQ(exchange.stream->request_bytes(), 2'000'000u);
}

TEST(H1ServerConnection, ASlowReaderHoldsOnSentBackAndGetsEveryByte) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.start(200); };
  f.client.pause();
  f.client.write(kGet);
  f.loop.run_for(1s);
  Exchange& exchange = *f.server.exchanges.at(0);
  exchange.send(std::string(300'000, 'y'), End::kNo);
  f.loop.run_for(1s);
  EXPECT_LT(exchange.sent, 100'000u);
  EXPECT_GT(exchange.sent, 10'000u);
  f.client.resume();
  f.loop.run_for(5s);
  EXPECT_EQ(exchange.sent, 300'000u);
  exchange.send("", End::kYes);
  f.loop.run_for(1s);
  EXPECT_EQ(f.client.received(), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n493e0\r\n" +
                                     std::string(300'000, 'y') + "\r\n0\r\n\r\n");
  EXPECT_EQ(exchange.log, "GET /x. complete");
}

TEST(H1ServerConnection, AClientThatHasClosedItsHalfStillGetsItsAnswer) {
  Fixture f;
  f.server.on_exchange = nullptr;
  f.client.write(kGet);
  f.client.shutdown_write();
  f.loop.run_for(1s);
  ASSERT_EQ(f.server.exchanges.size(), 1u);
  f.server.exchanges[0]->respond(200, "late");
  f.loop.run_for(1s);
  EXPECT_TRUE(f.client.received().ends_with("connection: close\r\n\r\nlate"));
  EXPECT_TRUE(f.client.ended());
  EXPECT_EQ(f.server.closed, 1);
}

TEST(H1ServerConnection, AClientThatGoesAwayInTheMiddleResetsTheStream) {
  struct Case {
    std::string_view name;
    std::string_view request;
    bool with_reset;
  };
  const Case cases[] = {{"end within the body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", false},
                        {"end within a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false},
                        {"reset within the body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", true},
                        {"reset before the answer", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true}};
  for (const Case& c : cases) {
    Fixture f;
    f.server.on_exchange = nullptr;
    f.client.write(c.request);
    f.loop.run_for(1s);
    if (c.with_reset) {
      f.client.reset();
    } else {
      f.client.shutdown_write();
    }
    f.loop.run_for(1s);
    ASSERT_EQ(f.server.exchanges.size(), 1u) << c.name;
    EXPECT_TRUE(f.server.exchanges[0]->log.ends_with(" reset3")) << c.name << ": " << f.server.exchanges[0]->log;
    EXPECT_EQ(f.server.closed, 1) << c.name;
  }
}

TEST(H1ServerConnection, AnUpgradeBecomesRawBytesBothWaysAndEachHalfClosesOnItsOwn) {
  for (const bool client_first : {true, false}) {
    Fixture f;
    f.server.on_exchange = nullptr;
    f.client.write("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    f.loop.run_for(1s);
    Exchange& exchange = *f.server.exchanges.at(0);
    EXPECT_EQ(exchange.body, "");
    http::ResponseHead head;
    head.status = 101;
    head.headers.add("upgrade", "websocket");
    exchange.stream->send_headers(head, End::kNo);
    exchange.send("hello", End::kNo);
    f.loop.run_for(1s);
    EXPECT_TRUE(f.client.take().ends_with("\r\n\r\nhello"));
    EXPECT_EQ(exchange.body, "early");
    exchange.on_body = [](Exchange& e, End) { e.take(); };
    if (client_first) {
      f.client.shutdown_write();
      f.loop.run_for(1s);
      EXPECT_EQ(exchange.log, "GET /ws end");
      exchange.send("bye", End::kYes);
    } else {
      exchange.send("bye", End::kYes);
      f.loop.run_for(1s);
      EXPECT_TRUE(f.client.ended());
      f.client.write("last");
      f.client.shutdown_write();
    }
    f.loop.run_for(1s);
    EXPECT_EQ(f.client.take(), "bye");
    EXPECT_EQ(exchange.body, client_first ? "early" : "earlylast");
    EXPECT_EQ(exchange.log, "GET /ws end complete");
    EXPECT_EQ(f.server.closed, 1);
  }
}

TEST(H1ServerConnection, AfterARefusedUpgradeTheConnectionServesOnButNotAfterARefusedConnect) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.respond(403, "no"); };
  EXPECT_EQ(f.exchange("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
  f.server.on_exchange = answer_at_end;
  EXPECT_EQ(f.exchange(kGet), answer("<>"));

  Fixture connect;
  connect.server.on_exchange = [](Exchange& e, End) { e.respond(403, "no"); };
  const std::string received = connect.exchange("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(received.starts_with("HTTP/1.1 403 "));
  connect.loop.run_for(5s);
  EXPECT_EQ(connect.server.exchanges.size(), 1u);
  EXPECT_TRUE(connect.client.ended());
}

TEST(H1ServerConnection, AResetStreamLooksLikeNoEndToTheClient) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.start(200); };
  f.client.write(kGet);
  f.loop.run_for(1s);
  f.server.exchanges.at(0)->send("part", End::kNo);
  f.server.exchanges.at(0)->stream->reset();
  f.loop.run_for(1s);
  EXPECT_TRUE(f.client.gone());
  EXPECT_FALSE(f.client.received().ends_with("0\r\n\r\n"));
  EXPECT_EQ(f.server.exchanges[0]->log, "GET /x.");
  EXPECT_EQ(f.server.closed, 1);

  // HTTP/1.0 has only the end of the connection: there a reset must be a reset.
  Fixture old;
  old.server.on_exchange = [](Exchange& e, End) { e.start(200); };
  old.client.write("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
  old.loop.run_for(1s);
  old.server.exchanges.at(0)->send("part", End::kNo);
  old.loop.run_for(1s);
  old.server.exchanges.at(0)->stream->reset();
  old.loop.run_for(1s);
  EXPECT_NE(old.client.error(), 0);
  EXPECT_FALSE(old.client.ended());
}

TEST(H1ServerConnection, DrainingServesOneMoreRequestAndClosesAnIdleConnectionAfterAWhile) {
  Fixture idle;
  EXPECT_EQ(idle.exchange(kGet), answer("<>"));
  idle.server.connection->drain();
  idle.loop.run_for(900ms);
  EXPECT_FALSE(idle.client.ended());
  idle.loop.run_for(200ms);
  EXPECT_TRUE(idle.client.ended());

  Fixture crossing;
  crossing.loop.run_for(1ms);
  crossing.client.write(kGet);
  crossing.loop.run_for(50us);
  crossing.server.connection->drain();
  crossing.loop.run_for(1s);
  EXPECT_EQ(crossing.client.received(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n<>");
  EXPECT_TRUE(crossing.client.ended());

  Fixture busy;
  busy.server.on_exchange = nullptr;
  busy.client.write(std::string(kGet) + std::string(kGet));
  busy.loop.run_for(1s);
  busy.server.connection->drain();
  busy.loop.run_for(1s);
  EXPECT_FALSE(busy.client.gone());
  busy.server.exchanges.at(0)->respond(200, "last");
  busy.loop.run_for(5s);
  EXPECT_TRUE(busy.client.received().ends_with("connection: close\r\n\r\nlast"));
  EXPECT_EQ(busy.server.exchanges.size(), 1u);
}

}  // namespace
}  // namespace lateen::stream
