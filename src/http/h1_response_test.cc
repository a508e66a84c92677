#include <gtest/gtest.h>

#include <string>

#include "http/h1_parser.h"
#include "http/walk_test.h"

namespace lateen::http {
namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\n";

TEST(ResponseParser, RefusesWhatIsNoResponse) {
  using namespace std::string_literals;
  const std::string cases[] = {
      "HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 1000 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
      "HTTP/1.1 600 Six\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n\r\n",
      "<html>hi</html>", "\r\n" + kOk + "\r\n", "HTTP/1.1 200 O\0K\r\n\r\n"s, "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\rX\r\n\r\n",
      kOk + "X-A : b\r\n\r\n", kOk + "X(A: b\r\n\r\n", kOk + "X-A: b\0c\r\n\r\n"s, kOk + "X-A: b\rSet-Cookie: x\r\n\r\n",
      kOk + "X-A: b\r\n c\r\n\r\n", kOk + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      kOk + "Content-Length: 5\r\nContent-Length: 3\r\n\r\n", kOk + "Content-Length: +5\r\n\r\n",
      kOk + "Content-Length: 18446744073709551621\r\n\r\n", kOk + "Transfer-Encoding: xchunked\r\n\r\n",
      kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      kOk + "X: " + std::string(70000, 'v') + "\r\n\r\n",
  };
  for (const std::string& text : cases) {
    for (std::size_t piece : {text.size(), text.size() > 5000 ? text.size() : 1}) {
      Walk walk(Walk::Side::kResponses);
      for (std::size_t at = 0; at < text.size(); at += piece) walk.feed(text.substr(at, piece));
      EXPECT_TRUE(walk.refused()) << text.substr(0, 100) << walk.text().substr(0, 200);
      EXPECT_EQ(walk.refusal().status, 502);
      EXPECT_EQ(walk.messages(), 0u);
    }
  }
}

struct Framed {
  const char* method;
  std::string text;
  BodyKind body;
  std::uint64_t length;
  bool keep_alive;
};

TEST(ResponseParser, SaysHowTheBodyIsFramed) {
  const Framed cases[] = {
      {"GET", kOk + "Content-Length: 5\r\n\r\n", BodyKind::kLength, 5, true},
      {"GET", kOk + "Content-Length: 0\r\n\r\n", BodyKind::kNone, 0, true},
      {"GET", kOk + "Transfer-Encoding: chunked\r\n\r\n", BodyKind::kChunked, 0, true},
      {"GET", kOk + "\r\n", BodyKind::kUntilClose, 0, false},
      {"GET", kOk + "Connection: close\r\nContent-Length: 5\r\n\r\n", BodyKind::kLength, 5, false},
      {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", BodyKind::kLength, 5, false},
      {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", BodyKind::kLength, 5, true},
      {"HEAD", kOk + "Content-Length: 5\r\n\r\n", BodyKind::kNone, 0, true},
      {"HEAD", kOk + "Transfer-Encoding: chunked\r\n\r\n", BodyKind::kNone, 0, true},
      {"HEAD", kOk + "\r\n", BodyKind::kNone, 0, true},
      {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", BodyKind::kNone, 0, true},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", BodyKind::kNone, 0, true},
      {"GET", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", BodyKind::kNone, 0, true},
      {"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", BodyKind::kTunnel, 0, true},
      {"CONNECT", kOk + "Content-Length: 5\r\n\r\n", BodyKind::kTunnel, 0, true},
      {"CONNECT", "HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", BodyKind::kLength, 5, true},
  };
  for (const Framed& framed : cases) {
    std::string bytes = framed.text;
    ResponseParser parser;
    parser.reset(framed.method);
    ASSERT_EQ(parser.parse(bytes.data(), bytes.size()), ParseState::kComplete) << framed.text;
    EXPECT_EQ(parser.framing().body, framed.body) << framed.method << " " << framed.text;
    EXPECT_EQ(parser.framing().length, framed.length) << framed.text;
    EXPECT_EQ(parser.framing().keep_alive, framed.keep_alive) << framed.text;
    EXPECT_EQ(parser.head_bytes(), bytes.size());
  }
}

TEST(ResponseParser, TheReasonPhraseAndItsSpaceMayBeMissing) {
  for (std::string text : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.0 200 \xe9\t!\r\n\r\n"}) {
    ResponseParser parser;
    ASSERT_EQ(parser.parse(text.data(), text.size()), ParseState::kComplete) << text;
    EXPECT_EQ(parser.head().status, 200);
  }
}

TEST(ResponseParser, NoCutChangesTheOutcome) {
  const std::string stream =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nHost: odd\r\n\r\nok"
      "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.0 500 Oops\r\nServer:  x \r\n\r\nuntil the end";
  Walk whole(Walk::Side::kResponses);
  whole.feed(stream);
  ASSERT_EQ(whole.messages(), 3u) << whole.text();
  ASSERT_EQ(whole.body(), "ok0123456789until the end");
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    Walk walk(Walk::Side::kResponses);
    walk.feed(stream.substr(0, first));
    walk.feed(stream.substr(first));
    ASSERT_EQ(walk.text() + walk.body(), whole.text() + whole.body()) << "cut at " << first;
  }
}

}  // namespace
}  // namespace lateen::http
