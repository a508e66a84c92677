#include "http/h1_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lateen::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

RequestHead request(std::string_view method, std::string_view path, const Fields& fields) {
  RequestHead head;
  head.method = method;
  head.path = path;
  head.authority = "reviews:9080";
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return head;
}

ResponseHead response(std::uint16_t status, const Fields& fields) {
  ResponseHead head;
  head.status = status;
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return head;
}

std::string written(const RequestHead& head, bool has_body) {
  std::string text;
  append_head(text, head, frame_request(head, has_body));
  return text;
}

std::string written(const ResponseHead& head, const Answered& answered, bool has_body) {
  std::string text;
  append_head(text, head, frame_response(head, answered, has_body));
  return text;
}

TEST(WriteRequest, HostFirstThenFieldsThenFraming) {
  EXPECT_EQ(written(request("GET", "/a?b", {{"x-a", "1"}, {"x-b", ""}}), false),
            "GET /a?b HTTP/1.1\r\nhost: reviews:9080\r\nx-a: 1\r\nx-b: \r\n\r\n");
  EXPECT_EQ(written(request("POST", "/", {{"content-length", "5"}}), true),
            "POST / HTTP/1.1\r\nhost: reviews:9080\r\ncontent-length: 5\r\n\r\n");
  EXPECT_EQ(written(request("POST", "/", {}), true),
            "POST / HTTP/1.1\r\nhost: reviews:9080\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(written(request("POST", "/", {}), false), "POST / HTTP/1.1\r\nhost: reviews:9080\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(written(request("GET", "/", {{"content-length", "0"}}), false),
            "GET / HTTP/1.1\r\nhost: reviews:9080\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(written(request("CONNECT", "", {}), false), "CONNECT reviews:9080 HTTP/1.1\r\nhost: reviews:9080\r\n\r\n");
}

TEST(WriteRequest, LeavesOutWhatBelongsToOneHop) {
  const RequestHead head = request("GET", "/", {{"connection", "close, X-Secret, te, host, X-Forwarded-For"},
                                                {"x-secret", "1"},
                                                {"keep-alive", "timeout=5"},
                                                {"proxy-connection", "keep-alive"},
                                                {"te", "gzip;q=1, trailers"},
                                                {"transfer-encoding", "chunked"},
                                                {"upgrade", "foo/1"},
                                                {"x-forwarded-for", "1.2.3.4"},
                                                {"host", "evil.test"},
                                                {"accept", "*/*"}});
  EXPECT_EQ(written(head, false),
            "GET / HTTP/1.1\r\nhost: reviews:9080\r\nx-forwarded-for: 1.2.3.4\r\naccept: */*\r\nte: trailers\r\n\r\n");
}

TEST(WriteRequest, PassesAnUpgradeOnOnlyWhereItIsOne) {
  RequestHead head = request("GET", "/ws", {{"connection", "Upgrade, HTTP2-Settings"}, {"upgrade", "websocket"}, {"http2-settings", "A"}});
  EXPECT_EQ(written(head, false), "GET /ws HTTP/1.1\r\nhost: reviews:9080\r\n\r\n");
  head.is_upgrade = true;
  EXPECT_EQ(written(head, false),
            "GET /ws HTTP/1.1\r\nhost: reviews:9080\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
}

TEST(WriteResponse, FramesByWhatItAnswers) {
  const Fields length = {{"content-length", "5"}};
  struct Case {
    std::uint16_t status;
    Fields fields;
    Answered answered;
    bool has_body;
    const char* text;
  };
  const Answered get{.method = "GET"};
  const Answered head{.method = "HEAD"};
  const Answered old{.method = "GET", .version = Version::kHttp10, .keep_alive = false};
  const Answered old_keep{.method = "GET", .version = Version::kHttp10, .keep_alive = true};
  const Answered connect{.method = "CONNECT"};
  const Answered close{.method = "GET", .keep_alive = false};
  const Case cases[] = {
      {200, length, get, true, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
      {200, {}, get, true, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"},
      {200, {}, get, false, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
      {200, length, head, false, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
      {200, {}, head, false, "HTTP/1.1 200 OK\r\n\r\n"},
      {204, length, get, false, "HTTP/1.1 204 No Content\r\n\r\n"},
      {304, length, get, false, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"},
      {200, {}, old, true, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"},
      {200, length, old_keep, true, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n"},
      {200, {}, old_keep, true, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"},
      {200, length, close, true, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"},
      {200, length, connect, true, "HTTP/1.1 200 OK\r\n\r\n"},
      {103, length, get, false, "HTTP/1.1 103 Early Hints\r\n\r\n"},
      {101, {{"upgrade", "websocket"}, {"connection", "Upgrade"}}, get, true,
       "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
      {426, {{"upgrade", "websocket"}}, get, false,
       "HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n"},
      {200, {{"upgrade", "websocket"}}, get, false, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
      {418, {}, get, false, "HTTP/1.1 418 Unknown\r\ncontent-length: 0\r\n\r\n"},
      {200, {{"connection", "X-Hop"}, {"x-hop", "1"}}, get, false, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
      {200, {{"content-length", "5"}, {"content-length", "6"}}, get, true, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(written(response(c.status, c.fields), c.answered, c.has_body), c.text);
}

TEST(WriteHead, NeverNeedsMoreThanItSays) {
  const RequestHead head = request("CONNECT", std::string(1000, 'p'), {{"connection", "upgrade"}, {"upgrade", std::string(500, 'u')}, {"te", "trailers"}});
  OutgoingFraming framing{.body = BodyKind::kChunked, .length = ~std::uint64_t{0}, .writes_length = true, .close = true};
  std::string text;
  append_head(text, head, framing);
  EXPECT_LE(text.size(), head_bytes_max(head));
  const ResponseHead answer = response(511, {{"upgrade", std::string(500, 'u')}});
  text.clear();
  append_head(text, answer, framing);
  EXPECT_LE(text.size(), head_bytes_max(answer));
}

}  // namespace
}  // namespace lateen::http
