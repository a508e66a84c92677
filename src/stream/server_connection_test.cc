// What a connection's first bytes make of it, and HTTP/2 frames as raw bytes.
#include "stream/server_connection.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "stream/h2_server_connection.h"
#include "stream/h2_server_fixture_test.h"
#include "testing/peer.h"

namespace lateen::stream {
namespace {

TEST(ServerConnection, TheFirstBytesDecideHoweverTheyAreCut) {
  const auto first_line = [](const std::vector<std::string>& pieces) {
    testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
    Server server(loop, {}, make_either);
    server.on_exchange = answer_at_end;
    testing::Peer peer(loop, server.address());
    for (const std::string& piece : pieces) {
      peer.write(piece);
      loop.run_for(100ms);
    }
    const std::string text = peer.take();
    return text.substr(0, text.find("\r\n"));
  };
  EXPECT_EQ(first_line({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}), "HTTP/1.1 200 OK");
  EXPECT_EQ(first_line({"P", "OST / HTTP/1.1\r\nHost: h\r\nContent-Le", "ngth: 0\r\n\r\n"}), "HTTP/1.1 200 OK");
  EXPECT_EQ(first_line({"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"}), "HTTP/1.1 505 HTTP Version Not Supported");
  EXPECT_EQ(first_line({"PR", "X / HTTP/1.1\r\nHost: h\r\n\r\n"}), "HTTP/1.1 200 OK");
  std::vector<std::string> bytes;
  for (const char c : std::string(kH2Preface)) bytes.emplace_back(1, c);
  EXPECT_EQ(first_line(bytes).substr(3, 1), "\x4") << "SETTINGS";
}

TEST(ServerConnection, AConnectionThatSaysNothingEndsAtItsTimes) {
  for (const std::string_view bytes : {"", "PRI"}) {
    testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
    Server server(loop, {.header_timeout = 2s, .idle_timeout = 10s}, make_either);
    testing::Peer peer(loop, server.address());
    peer.write(bytes);
    loop.run_for(9s);
    EXPECT_EQ(server.connection == nullptr, !bytes.empty());
    loop.run_for(3s);
    EXPECT_EQ(server.connection, nullptr);
  }
  testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
  Server server(loop, {}, make_either);
  testing::Peer peer(loop, server.address());
  loop.run_for(100ms);
  server.connection->drain();
  loop.run_for(2s);
  EXPECT_EQ(server.connection, nullptr);
}

TEST(H2ServerConnection, ThePrefaceMayComeByteByByte) {
  testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
  Server server(loop, {}, make_either);
  server.on_exchange = answer_at_end;
  testing::Peer peer(loop, server.address());
  std::string bytes(kH2Preface);
  bytes.append("\0\0\0\4\0\0\0\0\0", 9);                                    // SETTINGS
  bytes.append("\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1h", 15);   // HEADERS: GET http / of "h"
  for (const char byte : bytes) {
    peer.write(std::string_view(&byte, 1));
    loop.run_for(1ms);
  }
  loop.run_for(100ms);
  ASSERT_EQ(server.exchanges.size(), 1u);
  EXPECT_EQ(server.exchanges[0]->log, "GET h/. complete");
}

TEST(H2ServerConnection, WhatOnlyBeginsLikeThePrefaceIsRefused) {
  const std::string cases[] = {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
                               "PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/2.0\r\nHost: a\r\n\r\n"};
  for (const std::string& text : cases) {
    testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
    Server server(loop, {}, make_either);
    testing::Peer peer(loop, server.address());
    peer.write(text);
    loop.run_for(3s);
    EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 ")) << text << peer.received();
    EXPECT_TRUE(peer.gone()) << text;
    EXPECT_TRUE(server.exchanges.empty());
  }
}

TEST(H2ServerConnection, WhatIsNoHttpAtAllIsToldSo) {
  for (const char* text : {"nonsense\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET / HTTX/1.1\r\n\r\n", "GET / a HTTP/1.1\r\n\r\n", "GET * FTP\r\n\r\n"}) {
    testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
    Server server(loop, {}, make_either);
    testing::Peer peer(loop, server.address());
    peer.write(text);
    loop.run_for(3s);
    EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 400 ")) << text << peer.received();
    EXPECT_TRUE(peer.gone()) << text;
    EXPECT_EQ(server.refused.size(), 1u) << text;
  }
}

TEST(H2ServerConnection, ABadPrefaceGetsNoAnswerThatItWouldReadAsFrames) {
  testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
  Server server(loop, {}, make_either);
  testing::Peer peer(loop, server.address());
  peer.write("INVALID CONNECTION PREFACE\r\n\r\n");
  loop.run_for(3s);
  EXPECT_EQ(peer.received(), "");
  EXPECT_TRUE(peer.gone());
  EXPECT_EQ(server.refused.size(), 1u);
}

TEST(H2ServerConnection, AnHttp1ConnectionCannotBecomeHttp2) {
  testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
  Server server(loop, {}, make_either);
  server.on_exchange = answer_at_end;
  testing::Peer peer(loop, server.address());
  peer.write("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
  loop.run_for(100ms);
  peer.take();
  peer.write(kH2Preface);
  loop.run_for(100ms);
  EXPECT_TRUE(peer.take().starts_with("HTTP/1.1 505 "));
}

// SETTINGS behind the preface; the head of a GET of "h" on stream 1 with such flags.
std::string start_of_h2() { return std::string(kH2Preface) + std::string("\0\0\0\4\0\0\0\0\0", 9); }
std::string get_head(char flags) { return std::string("\0\0\6\1", 4) + flags + std::string("\0\0\0\1\x82\x86\x84\x41\1h", 10); }

// RFC 9113, section 5.1: what comes on a stream that the client itself has ended or reset.
TEST(H2ServerConnection, FramesOnStreamsThatTheClientHasEndedEndTheConnection) {
  const std::string reset("\0\0\4\3\0\0\0\0\1\0\0\0\x8", 13), data("\0\0\2\0\1\0\0\0\1hi", 11);
  const struct {
    std::string first, then;
  } cases[] = {{get_head(4) + reset, data}, {get_head(4) + reset, get_head(5)}, {get_head(5), data}, {get_head(5), get_head(5)}};
  for (const bool at_once : {false, true}) {
    for (const auto& c : cases) {
      testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
      Server server(loop, {}, make_either);
      server.on_exchange = [](Exchange& exchange, End end) {
        if (end == End::kYes) exchange.respond(200, "x");
      };
      testing::Peer peer(loop, server.address());
      peer.write(start_of_h2() + c.first);
      if (!at_once) loop.run_for(100ms);
      peer.write(c.then);
      loop.run_for(3s);
      const auto at = &c - cases;
      // GOAWAY or RST_STREAM with STREAM_CLOSED.
      EXPECT_NE(peer.received().find(std::string("\0\0\0\5", 4)), std::string::npos) << at << at_once;
      EXPECT_EQ(server.exchanges.size(), 1u) << at << at_once;
    }
  }
}

// Whoever cuts the bytes: a head in HEADERS and CONTINUATION is a head.
TEST(H2ServerConnection, AHeadInTwoFramesMayComeByteByByte) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{64}}) {
    testing::VirtualLoop loop(1, testing::NetworkOptions::calm());
    Server server(loop, {}, make_either);
    server.on_exchange = answer_at_end;
    testing::Peer peer(loop, server.address());
    const std::string bytes = start_of_h2() + std::string("\0\0\2\1\1\0\0\0\1\x82\x86", 11) + std::string("\0\0\4\x9\4\0\0\0\1\x84\x41\1h", 13);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      peer.write(std::string_view(bytes).substr(at, piece));
      loop.run_for(1ms);
    }
    loop.run_for(100ms);
    ASSERT_EQ(server.exchanges.size(), 1u) << piece;
    EXPECT_EQ(server.exchanges[0]->log, "GET h/. complete") << piece;
  }
}

}  // namespace
}  // namespace lateen::stream
