#include "stream/h2_server_connection.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "http/h2_session.h"
#include "stream/h2_received.h"
#include "stream/h2_server_fixture_test.h"

namespace lateen::stream {
namespace {

TEST(H2ServerConnection, AnswersRequestsWithBodiesTrailersAndManyAtOnce) {
  Fixture f;
  const std::int32_t a = f.client.get("/a?q", {{"x-one", "1"}, {"cookie", "a=b"}, {"cookie", "c=d"}});
  const std::int32_t b = f.client.start(H2Client::fields("POST", "/b"), false);
  const std::int32_t c = f.client.start(H2Client::fields("PUT", "/c", {{"content-length", "4"}}), false);
  f.client.send_body(c, "ab", false);
  f.client.send_body(b, "xyz", true, {{"x-sum", "9"}});
  f.loop.run_for(100ms);
  f.client.send_body(c, "cd", true);
  f.loop.run_for(500ms);
  EXPECT_EQ(f.client.answer(a).body, "<>");
  EXPECT_EQ(f.client.answer(a).fields, "content-length=2;");
  EXPECT_EQ(f.client.answer(b).body, "<xyz>");
  EXPECT_EQ(f.client.answer(c).body, "<abcd>");
  for (const std::int32_t id : {a, b, c}) {
    EXPECT_EQ(f.client.answer(id).status, 200);
    EXPECT_TRUE(f.client.answer(id).ended && f.client.answer(id).closed);
    EXPECT_EQ(f.client.answer(id).reset, -1);
  }
  EXPECT_EQ(f.server.exchanges[0]->log, "GET h/a?q. complete");
  EXPECT_EQ(f.server.exchanges[0]->fields, "x-one=1;cookie=a=b; c=d;");
  EXPECT_EQ(f.server.exchanges[1]->log, "POST h/b trailers:x-sum=9 complete");
  EXPECT_EQ(f.server.exchanges[2]->log, "PUT h/c end complete");
  EXPECT_EQ(f.server.exchanges[2]->sent, 6U);
  EXPECT_TRUE(f.server.connection->idle());
}

TEST(H2ServerConnection, EveryByteArrivesWhateverTheNetworkDoesToTheSegments) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    testing::NetworkOptions network;
    network.pipe_bytes = 1000 + seed * 977 % 60'000;
    Fixture f({}, {}, seed, network);
    std::vector<std::pair<std::int32_t, std::string>> sent;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::string body = bytes_of((seed * 12'347 + k * 99'991) % 300'000);
      sent.emplace_back(f.client.start(H2Client::fields("POST", "/"), false), body);
      f.client.send_body(sent.back().first, body, true);
    }
    f.loop.run_for(60s);
    for (const auto& [id, body] : sent) ASSERT_EQ(f.client.answer(id).body, "<" + body + ">") << "seed " << seed;
    for (const auto& exchange : f.server.exchanges) ASSERT_TRUE(exchange->log.ends_with(" complete")) << exchange->log;
  }
}

TEST(H2ServerConnection, AHandlerThatTakesNothingStopsItsClientAndOnlyThatStream) {
  Fixture f;
  f.server.on_exchange = [](Exchange&, End) {};
  const std::int32_t slow = f.client.start(H2Client::fields("POST", "/slow"), false);
  const std::string body = bytes_of(3 * kStreamWindowBytes);
  f.client.send_body(slow, body, true);
  f.loop.run_for(5s);
  Exchange& held = *f.server.exchanges[0];
  EXPECT_EQ(held.held, kStreamWindowBytes);
  f.server.on_exchange = answer_at_end;
  EXPECT_EQ(f.get("/other").body, "<>");
  EXPECT_EQ(held.held_max, kStreamWindowBytes);
  while (held.log.find("end") == std::string::npos) {
    held.take();
    f.loop.run_for(100ms);
  }
  EXPECT_LE(held.held_max, kStreamWindowBytes);
  EXPECT_TRUE(held.body == body);
  held.respond(200, "done");
  EXPECT_EQ(f.finish(slow).body, "done");
}

TEST(H2ServerConnection, OnSentFollowsWhatAClientTakes) {
  Fixture f({}, {.returns_window = false, .stream_window = 1000});
  f.server.on_exchange = [](Exchange& e, End) {
    e.start(200);
    e.send(bytes_of(5000), End::kYes);
  };
  const std::int32_t id = f.client.get("/");
  f.loop.run_for(1s);
  Exchange& exchange = *f.server.exchanges[0];
  EXPECT_EQ(exchange.sent, 1000U);
  EXPECT_EQ(exchange.log, "GET h/.");
  for (std::size_t taken = 0; taken < 5000; taken += 1000) {
    f.client.consume(id, 1000);
    f.loop.run_for(100ms);
  }
  EXPECT_EQ(exchange.sent, 5000U);
  EXPECT_EQ(exchange.log, "GET h/. complete");
  EXPECT_EQ(f.client.answer(id).body, bytes_of(5000));
}

TEST(H2ServerConnection, ResponseForms) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) {
    const std::string path(e.stream->request().path);
    if (path == "/trailers") {
      e.start(200, {{"connection", "x-hop"}, {"x-hop", "1"}, {"keep-alive", "5"}, {"transfer-encoding", "chunked"}, {"x-end", "2"}});
      e.send("text", End::kNo);
      http::HeaderMap trailers;
      trailers.add("grpc-status", "0");
      trailers.add("content-length", "1");
      e.stream->send_trailers(trailers);
    } else if (path == "/head" || path == "/none") {
      e.start(path == "/none" ? 204 : 200, {{"content-length", "7"}});
      e.send("ignored", End::kYes);
    } else if (path == "/hints") {
      http::ResponseHead hint;
      hint.status = 103;
      e.stream->send_informational(hint);
      e.respond(201, "x");
    } else if (path == "/long" || path == "/short") {
      e.start(200, {{"content-length", "3"}});
      e.send(path == "/long" ? "1234" : "12", End::kYes);
    } else if (path == "/empty") {
      http::ResponseHead head;
      head.status = 304;
      e.stream->send_headers(head, End::kYes);
    } else if (path == "/reset") {
      e.start(200);
      e.send("part", End::kNo);
      std::exchange(e.stream, nullptr)->reset();
    }
  };
  H2Client::Answer& trailers = f.get("/trailers");
  EXPECT_EQ(trailers.fields, "x-end=2;");
  EXPECT_EQ(trailers.body, "text");
  EXPECT_EQ(trailers.trailers, "grpc-status=0;");
  H2Client::Answer& head = f.finish(f.client.start(H2Client::fields("HEAD", "/head"), true));
  EXPECT_EQ(head.fields, "content-length=7;");
  EXPECT_TRUE(head.body.empty() && head.ended);
  H2Client::Answer& none = f.get("/none");
  EXPECT_TRUE(none.status == 204 && none.fields.empty() && none.body.empty() && none.ended);
  H2Client::Answer& hints = f.get("/hints");
  EXPECT_EQ(hints.informational, std::vector<int>{103});
  EXPECT_EQ(hints.status, 201);
  EXPECT_TRUE(f.get("/empty").ended);
  for (const std::string_view path : {"/long", "/short", "/reset"}) {
    H2Client::Answer& cut = f.get(path);
    EXPECT_EQ(cut.reset, 2) << path;
    EXPECT_FALSE(cut.ended) << path;
  }
  EXPECT_EQ(f.server.exchanges[5]->log, "GET h/long. reset" + std::to_string(static_cast<int>(ResetReason::kLocal)));
  EXPECT_EQ(f.get("/hints").status, 201) << "the connection lives on";
}

TEST(H2ServerConnection, ContinueIsSentWhenTheBodyIsWanted) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End end) {
    answer_at_end(e, end);
    e.stream->consumed(0);
  };
  const std::int32_t id = f.client.start(H2Client::fields("POST", "/", {{"expect", "100-continue"}}), false);
  EXPECT_EQ(f.finish(id).informational, std::vector<int>{100});
  f.client.send_body(id, "now", true);
  EXPECT_EQ(f.finish(id).body, "<now>");
}

TEST(H2ServerConnection, AnAnswerBeforeTheEndOfTheRequestStopsTheClientWithoutAnError) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) { e.respond(403, "no"); };
  const std::int32_t id = f.client.start(H2Client::fields("POST", "/"), false);
  f.client.send_body(id, bytes_of(500'000), true);
  H2Client::Answer& answer = f.finish(id);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, "no");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.reset, 0);
  EXPECT_TRUE(f.server.exchanges[0]->log.ends_with(" complete")) << f.server.exchanges[0]->log;
  // What the client had sent of it does not stay in the connection's window: several windows' worth still come through.
  f.server.on_exchange = answer_at_end;
  for (int i = 0; i < 4; ++i) {
    const std::int32_t next = f.client.start(H2Client::fields("POST", "/"), false);
    f.client.send_body(next, bytes_of(400'000), true);
    EXPECT_EQ(f.finish(next).body.size(), 400'002U);
  }
}

TEST(H2ServerConnection, AClientThatCancelsOrGoesAwayIsToldToTheHandler) {
  Fixture f;
  f.server.on_exchange = [](Exchange&, End) {};
  const std::string reset = " reset" + std::to_string(static_cast<int>(ResetReason::kConnectionTermination));
  const std::int32_t first = f.client.start(H2Client::fields("POST", "/1"), false);
  f.client.send_body(first, "abc", false);
  f.client.get("/2");
  f.loop.run_for(100ms);
  f.client.reset(first);
  f.loop.run_for(100ms);
  EXPECT_EQ(f.server.exchanges[0]->log, "POST h/1" + reset);
  EXPECT_EQ(f.server.exchanges[1]->log, "GET h/2.");
  f.client.peer().close();
  f.loop.run_for(100ms);
  EXPECT_EQ(f.server.exchanges[1]->log, "GET h/2." + reset);
  EXPECT_EQ(f.server.closed, 1);
  EXPECT_EQ(f.server.connection, nullptr);
}

TEST(H2ServerConnection, WhatIsNotLegalIsRefusedAndTheConnectionLivesOn) {
  struct Case {
    H2Client::Fields fields;
    int status;   // 0: RST_STREAM with PROTOCOL_ERROR
  };
  const auto request = [](const H2Client::Fields& extra) { return H2Client::fields("GET", "/", extra); };
  const std::vector<Case> cases = {
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h/x"}, {":path", "/"}}, 0},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "u@h"}, {":path", "/"}}, 400},
      {{{":method", "GET"}, {":scheme", "ftp"}, {":authority", "h"}, {":path", "/"}}, 400},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "*"}}, 0},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/a#b"}}, 400},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "x"}}, 0},
      {{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, 0},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}}, 0},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}, {":path", "/"}}, 0},
      {{{":method", "G T"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, 0},
      {{{":method", "CONNECT"}, {":authority", "h"}}, 400},
      {request({{"host", "other"}}), 400},
      {request({{"connection", "close"}}), 0},
      {request({{"transfer-encoding", "chunked"}}), 0},
      {request({{"te", "gzip"}}), 0},
      {request({{"x-a", "b\r\nc"}}), 0},
      {request({{"x-a", std::string("b\0c", 3)}}), 0},
      {request({{"x a", "b"}}), 0},
      {request({{"content-length", "1"}}), 0},
      {request({{"content-length", "x"}}), 0},
      {request({{":late", "x"}}), 0},
      {request({{"expect", "tea"}}), 417},
      {request({{"x-big", std::string(61 * 1024, 'x')}}), 431},
      {request(H2Client::Fields(101, {"x-many", "1"})), 431},
  };
  Fixture f;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::size_t refused = f.server.refused.size();
    H2Client::Answer& answer = f.finish(f.client.start(cases[i].fields, true));
    EXPECT_EQ(answer.status, cases[i].status) << "case " << i;
    EXPECT_EQ(answer.reset, cases[i].status == 0 ? 1 : -1) << "case " << i;
    EXPECT_EQ(f.server.refused.size(), refused + 1) << "case " << i;
  }
  EXPECT_TRUE(f.server.exchanges.empty());
  EXPECT_EQ(f.get("/", {{"host", "H"}, {"te", "trailers"}}).body, "<>");
  EXPECT_EQ(f.finish(f.client.start({{":method", "OPTIONS"}, {":scheme", "http"}, {":authority", "h"}, {":path", "*"}}, true)).status, 200);
}

TEST(H2ServerConnection, ABodyThatBreaksItsLengthOrItsTrailersResetsTheStream) {
  Fixture f;
  const std::int32_t length = f.client.start(H2Client::fields("POST", "/", {{"content-length", "2"}}), false);
  f.client.send_body(length, "abc", true);
  const std::int32_t trailers = f.client.start(H2Client::fields("POST", "/"), false);
  f.client.send_body(trailers, "abc", true, {{"authorization", "me"}});
  f.loop.run_for(500ms);
  for (const std::int32_t id : {length, trailers}) EXPECT_EQ(f.client.answer(id).reset, 1);
  const std::string reset = " reset" + std::to_string(static_cast<int>(ResetReason::kProtocolError));
  for (const auto& exchange : f.server.exchanges) EXPECT_EQ(exchange->log, "POST h/" + reset);
  EXPECT_EQ(f.get("/").body, "<>");
}

TEST(H2ServerConnection, NoMoreStreamsAtOnceThanTheSettingsSay) {
  Fixture f;
  f.server.on_exchange = [](Exchange&, End) {};
  f.get("/first");   // the settings have come
  for (std::uint32_t i = 0; i < http::kH2StreamsMax + 5; ++i) f.client.get("/");
  f.loop.run_for(1s);
  EXPECT_EQ(f.server.exchanges.size(), http::kH2StreamsMax);
}

TEST(H2ServerConnection, FloodsEndWithEnhanceYourCalm) {
  constexpr int kCalm = 11;
  const auto flood = [](const std::function<void(H2Client&)>& once, int times) {
    Fixture f({.linger_timeout = 100ms});
    f.server.on_exchange = [](Exchange&, End) {};
    f.loop.run_for(100ms);
    for (int i = 0; i < times; ++i) once(f.client);
    f.loop.run_for(1s);
    EXPECT_EQ(f.server.connection == nullptr, f.client.go_away_error() == kCalm);
    return f.client.go_away_error();
  };
  EXPECT_EQ(flood([](H2Client& c) { c.ping(); }, 1100), kCalm);
  EXPECT_EQ(flood([](H2Client& c) { c.ping(); }, 900), -1);
  EXPECT_EQ(flood([](H2Client& c) { c.peer().write({"\0\0\5\2\0\0\0\0\1\0\0\0\0\x10", 14}); }, 1100), kCalm);  // PRIORITY
  EXPECT_EQ(flood([](H2Client& c) { c.peer().write({"\0\0\4\x8\0\0\0\0\0\0\0\0\1", 13}); }, 1100), kCalm);  // WINDOW_UPDATE
  EXPECT_EQ(flood([](H2Client& c) { c.reset(c.get("/")); }, 600), kCalm);
  EXPECT_EQ(flood([](H2Client& c) { c.reset(c.get("/")); }, 400), -1);
  EXPECT_EQ(flood([](H2Client& c) { c.start(H2Client::fields("G T", "/"), true); }, 600), kCalm);
}

TEST(H2ServerConnection, DrainTakesWhatIsOnItsWayAndEndsWhenTheStreamsHave) {
  Fixture f;
  f.server.on_exchange = [](Exchange&, End) {};
  const std::int32_t first = f.client.get("/1");
  f.loop.run_for(100ms);
  f.server.connection->drain();
  f.loop.run_for(100ms);
  EXPECT_EQ(f.client.go_away_error(), 0);
  EXPECT_EQ(f.client.go_away_stream(), 0x7fffffff);
  f.loop.run_for(2s);
  EXPECT_EQ(f.client.go_away_stream(), first);
  EXPECT_NE(f.server.connection, nullptr);
  f.server.exchanges[0]->respond(200, "last");
  EXPECT_EQ(f.finish(first).body, "last");
  f.loop.run_for(2s);
  EXPECT_TRUE(f.client.peer().ended());
  EXPECT_EQ(f.server.connection, nullptr);
}

TEST(H2ServerConnection, CloseAfterIsADrain) {
  Fixture f;
  f.server.on_exchange = [](Exchange& e, End) {
    e.stream->close_after();
    e.respond(200, "x");
  };
  EXPECT_EQ(f.get("/").body, "x");
  f.loop.run_for(3s);
  EXPECT_EQ(f.server.connection, nullptr);
}

TEST(H2ServerConnection, TimeoutsOfTheHeadAndOfAnIdleConnection) {
  Fixture f({.header_timeout = 2s, .idle_timeout = 10s});
  EXPECT_EQ(f.get("/").body, "<>");
  f.loop.run_for(8s);
  EXPECT_EQ(f.get("/").body, "<>");
  // HEADERS without END_HEADERS, and nothing behind it.
  f.client.peer().write({"\0\0\1\1\1\0\0\0\x9\x82", 10});
  f.loop.run_for(1s);
  EXPECT_TRUE(f.server.refused.empty());
  f.loop.run_for(3s);
  EXPECT_EQ(f.server.refused, std::vector<std::uint16_t>{408});
  EXPECT_EQ(f.server.details, std::vector<std::string>{"request_header_timeout"});
  EXPECT_EQ(f.server.connection, nullptr);

  Fixture idle({.header_timeout = 2s, .idle_timeout = 10s});
  EXPECT_EQ(idle.get("/").body, "<>");
  idle.loop.run_for(12s);
  EXPECT_EQ(idle.client.go_away_error(), 0);
  EXPECT_EQ(idle.server.connection, nullptr);
}

TEST(H2ServerConnection, APeerThatReadsNothingDoesNotKeepADyingConnection) {
  Fixture f({.idle_timeout = 5s}, {.returns_window = false, .stream_window = 1'000'000});
  f.server.on_exchange = [](Exchange& e, End) { e.respond(200, bytes_of(60'000)); };
  f.loop.run_for(100ms);
  f.client.peer().pause();
  for (int i = 0; i < 2000; ++i) f.client.ping();
  f.client.get("/");
  f.client.get("/");
  f.loop.run_for(10s);
  EXPECT_EQ(f.server.connection, nullptr);
}

// ---- which protocol it is -------------------------------------------------------------------------------------------

TEST(H2ServerConnection, AnExtendedConnectIsAnUpgrade) {
  H1ServerOptions options;
  options.http2_extended_connect = true;
  Fixture f(options);
  bool was_upgrade = false;
  f.server.on_exchange = [&](Exchange& exchange, End) {
    was_upgrade = exchange.stream->request().is_upgrade;
    exchange.start(101, {{"connection", "upgrade"}, {"upgrade", "websocket"}});
    exchange.on_body = [](Exchange& e, End last) {
      e.take();
      e.send("<" + std::exchange(e.body, "") + ">", last);
    };
  };
  f.loop.run_for(100ms);
  const H2Client::Fields connect = {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/chat"}};
  const std::int32_t id = f.client.start(connect, false);
  H2Client::Answer& answer = f.finish(id);
  EXPECT_TRUE(was_upgrade);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields, "");
  f.client.send_body(id, "ping", false);
  EXPECT_EQ(f.finish(id).body, "<ping>");
  f.client.send_body(id, "end", true);
  EXPECT_EQ(f.finish(id).body, "<ping><end><>");
  EXPECT_TRUE(answer.ended);
  const Exchange& exchange = *f.server.exchanges.at(0);
  EXPECT_TRUE(exchange.log.starts_with("GET h/chat")) << exchange.log;
  EXPECT_TRUE(exchange.fields.starts_with("connection=upgrade;upgrade=websocket;sec-websocket-key=")) << exchange.fields;

  Fixture off;
  EXPECT_EQ(off.finish(off.client.start(connect, false)).reset, 1) << "PROTOCOL_ERROR";
}

TEST(H2ServerConnection, AnExtendedConnectIsNotGrantedByAnother2xx) {
  H1ServerOptions options;
  options.http2_extended_connect = true;
  Fixture f(options);
  f.server.on_exchange = [](Exchange& exchange, End) { exchange.respond(200, "a page"); };
  f.loop.run_for(100ms);
  const std::int32_t id = f.client.start({{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
  EXPECT_EQ(f.finish(id).status, 0);
  EXPECT_GT(f.client.answer(id).reset, 0);
}

TEST(H2ServerConnection, StreamsAndWindowsAreThoseOfTheOptions) {
  H1ServerOptions options;
  options.http2_streams_max = 3;
  options.http2_stream_window_bytes = 100'000;
  options.http2_connection_window_bytes = 200'000;
  Fixture f(options);
  f.server.on_exchange = [](Exchange&, End) {};
  f.loop.run_for(100ms);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(f.client.start(H2Client::fields("POST", "/"), false));
    f.client.send_body(ids.back(), bytes_of(150'000), true);
  }
  f.loop.run_for(1s);
  std::size_t held = 0;
  for (const auto& exchange : f.server.exchanges) {
    EXPECT_LE(exchange->held, 100'000u);
    held += exchange->held;
  }
  EXPECT_EQ(held, 200'000u);
  f.client.get("/");
  f.loop.run_for(1s);
  EXPECT_EQ(f.server.exchanges.size(), 3u);
}

TEST(H2Received, SmallPiecesAreGatheredAndLargeOnesShared) {
  Slab* slab = Slab::make();
  const Slice whole(slab, reinterpret_cast<const char*>(slab->data()), kSlabBytes);
  slab->release();
  Buffer small;
  for (std::size_t at = 0; at + 10 < kSlabBytes; at += 10) small.append(received_piece(whole, whole.view().substr(at, 1)));
  EXPECT_LE(small.slices().size(), 2u);
  const Buffer large = received_piece(whole, whole.view().substr(0, kCopiedPieceBytes + 1));
  EXPECT_EQ(large.slices().at(0).view().data(), whole.view().data());
}

}  // namespace
}  // namespace lateen::stream
