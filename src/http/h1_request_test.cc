#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/h1_parser.h"
#include "http/walk_test.h"

namespace lateen::http {
namespace {

const std::string kHost = "Host: good.test\r\n";

std::string get(const std::string& fields) { return "GET /c HTTP/1.1\r\n" + kHost + fields + "\r\n"; }
std::string line(const std::string& text) { return text + "\r\n" + kHost + "\r\n"; }

struct Refused {
  const char* name;
  std::string bytes;
  std::uint16_t status = 400;
};

void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

class RefusedRequest : public testing::TestWithParam<Refused> {};

// Whatever comes behind the first fault cannot matter: each input ends in "\r\n\r\n" or stands alone.
TEST_P(RefusedRequest, IsRefusedWithItsStatusHoweverItIsCut) {
  const Refused& refused = GetParam();
  for (std::size_t piece : {refused.bytes.size(), std::size_t{1}, std::size_t{7}}) {
    if (piece != refused.bytes.size() && refused.bytes.size() > 5000) continue;   // a walk copies what it has at each piece
    Walk walk(Walk::Side::kRequests);
    for (std::size_t at = 0; at < refused.bytes.size(); at += piece) walk.feed(refused.bytes.substr(at, piece));
    EXPECT_TRUE(walk.refused()) << walk.text();
    EXPECT_EQ(walk.refusal().status, refused.status) << walk.text();
    EXPECT_TRUE(walk.refusal().detail.starts_with("http1.")) << walk.text();
    EXPECT_EQ(walk.messages(), 0u);
  }
}

std::vector<Refused> first_lines() {
  using namespace std::string_literals;
  std::vector<Refused> cases = {
      {"method_at", line("G@T /c HTTP/1.1")},
      {"method_nul", line("G\0T /c HTTP/1.1"s)},
      {"method_8bit", line("G\xc3T /c HTTP/1.1")},
      {"method_empty", line(" /c HTTP/1.1")},
      {"method_slash", line("HTTP/1.1 200 OK")},
      {"method_pri", line("PRI /c HTTP/1.1")},
      {"preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"http09", "GET /c\r\n\r\n"},
      {"version_20", line("GET /c HTTP/2.0"), 505},
      {"version_09", line("GET /c HTTP/0.9"), 505},
      {"version_12", line("GET /c HTTP/1.2"), 505},
      {"version_110", line("GET /c HTTP/1.10")},
      {"version_011", line("GET /c HTTP/01.1")},
      {"version_lower", line("GET /c http/1.1")},
      {"version_short", line("GET /c HTTP/1.")},
      {"version_space", line("GET /c HTTP/1.1 ")},
      {"version_vt", line("GET /c HTTP/1.1\x0b")},
      {"version_8bit", line("GET /c HTTP/1.\xb9")},
      {"version_other", line("GET /c ICY/1.1")},
      {"two_spaces", line("GET  /c HTTP/1.1")},
      {"two_spaces_version", line("GET /c  HTTP/1.1")},
      {"tabs", line("GET\t/c\tHTTP/1.1")},
      {"space_in_target", line("GET /c d HTTP/1.1")},
      {"lf_in_target", line("GET /c HTTP/1.1\nX: y HTTP/1.1")},
      {"nul_in_target", line("GET /c\0d HTTP/1.1"s)},
      {"del_in_target", line("GET /c\x7f HTTP/1.1")},
      {"cr_in_target", line("GET /c\rd HTTP/1.1")},
      {"8bit_in_target", line("GET /\xc3\xa9 HTTP/1.1")},
      {"fragment", line("GET /c#/../admin HTTP/1.1")},
      {"no_slash", line("GET index.html HTTP/1.1")},
      {"only_query", line("GET ?a=b HTTP/1.1")},
      {"star_get", line("GET * HTTP/1.1")},
      {"star_more", line("OPTIONS *c HTTP/1.1")},
      {"absolute_userinfo", line("GET http://u:p@good.test/c HTTP/1.1")},
      {"absolute_no_host", line("GET http:///c HTTP/1.1")},
      {"absolute_bad_port", line("GET http://good.test:x/c HTTP/1.1")},
      {"absolute_scheme", line("GET ftp://good.test/c HTTP/1.1")},
      {"javascript", line("GET javascript:alert(1) HTTP/1.1")},
      {"connect_no_port", line("CONNECT good.test HTTP/1.1")},
      {"connect_empty_port", line("CONNECT good.test: HTTP/1.1")},
      {"connect_path", line("CONNECT /c HTTP/1.1")},
      {"connect_body", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello"},
      {"leading_space", " " + get("")},
      {"leading_lf", "\n" + get("")},
      {"leading_nul", "\0"s + get("")},
      {"leading_crlf_many", "\r\n\r\n\r\n\r\n\r\n\r\n" + get("")},
      {"lf_only", "GET /c HTTP/1.1\nHost: good.test\n\n"},
      {"cr_only", "GET /c HTTP/1.1\rHost: good.test\r\r"},
      {"cr_cr_lf", line("GET /c HTTP/1.1\r")},
      {"tls_hello", "\x16\x03\x01\x02"s + std::string(100, 'Z')},
  };
  return cases;
}

std::vector<Refused> fields() {
  using namespace std::string_literals;
  std::vector<Refused> cases = {
      {"space_before_colon", get("X-A : b\r\n")},
      {"tab_before_colon", get("X-A\t: b\r\n")},
      {"space_in_name", get("X A: b\r\n")},
      {"empty_name", get(": b\r\n")},
      {"no_colon", get("XAb\r\n")},
      {"paren_in_name", get("X(A: b\r\n")},
      {"8bit_in_name", get("X\xe9: b\r\n")},
      {"nul_in_name", get("X\0A: b\r\n"s)},
      {"folded", get("X-A: b\r\n c\r\n")},
      {"folded_tab", get("X-A: b\r\n\tc\r\n")},
      {"folded_first", "GET /c HTTP/1.1\r\n X: y\r\n" + kHost + "\r\n"},
      {"nul_in_value", get("X-A: b\0c\r\n"s)},
      {"cr_in_value", get("X-A: b\rTransfer-Encoding: chunked\r\n")},
      {"lf_in_value", get("X-A: b\nX-B: c\r\n")},
      {"del_in_value", get("X-A: b\x7f\r\n")},
      {"no_host", "GET /c HTTP/1.1\r\n\r\n"},
      {"no_host_absolute", "GET http://a/ HTTP/1.1\r\n\r\n"},
      {"two_hosts", get("Host: evil.test\r\n")},
      {"two_hosts_same", get("hOsT: good.test\r\n")},
      {"te_list", get("Transfer-Encoding: chunked, identity\r\n")},
      {"te_twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"te_other", get("Transfer-Encoding: identity\r\n"), 501},
      {"te_gzip", get("Transfer-Encoding: gzip\r\n"), 501},
      {"te_gzip_chunked", get("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"connection_host", get("Connection: close, Host\r\n"), 400},
      {"connection_forwarded", get("Connection: X-Forwarded-Proto\r\n"), 400},
      {"connection_pseudo", get("Connection: :path\r\n"), 400},
      {"te_chunked_twice", get("Transfer-Encoding: chunked, chunked\r\n"), 501},
      {"te_comma", get("Transfer-Encoding: chunked,\r\n")},
      {"te_empty", get("Transfer-Encoding:\r\n")},
      {"te_vt", get("Transfer-Encoding: \x0b" "chunked\r\n")},
      {"te_http10", "POST /c HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"cl_and_te", get("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n")},
      {"te_and_cl", get("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n")},
      {"expect_other", get("Expect: 200-ok\r\n"), 417},
      {"expect_list", get("Expect: y 100-continue\r\n"), 417},
      {"expect_twice", get("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417},
  };
  for (const char* value : {"+5", "-5", "5 5", "0x5", "5.", "5e0", "", "abc", "5;", "5, 6", "5, 5", "5,", ",5", "\"5\"",
                            "18446744073709551621", "9223372036854775808", "00000000000000000005", "5\xa0"}) {
    cases.push_back({"content_length", get("Content-Length: " + std::string(value) + "\r\n")});
  }
  cases.push_back({"cl_twice", get("Content-Length: 5\r\nContent-Length: 5\r\n")});
  for (const char* value : {"", "a b", "a,b", "good.test/evil", "u@good.test", "good.test:abc", "good.test:99999", "a?x", "a#x",
                            "a\\b", "a:b:c", "<a>", "[::1", "::1", "[::1]x", "[::1]:x", "[1::2::3]", "[:1]", "[::12345]",
                            "a%zz", "a%2", "g\xe9od.test"}) {
    cases.push_back({"host", "GET /c HTTP/1.1\r\nHost: " + std::string(value) + "\r\n\r\n"});
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "x-" + std::to_string(i) + ": v\r\n";
  cases.push_back({"too_many", get(many), 431});
  cases.push_back({"value_too_long", get("X: " + std::string(70000, 'v') + "\r\n"), 431});
  cases.push_back({"name_too_long", get(std::string(70000, 'n') + ": v\r\n"), 431});
  cases.push_back({"method_too_long", line(std::string(70000, 'A') + " /c HTTP/1.1"), 431});
  cases.push_back({"target_too_long", line("GET /" + std::string(70000, 'a') + " HTTP/1.1"), 414});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(FirstLine, RefusedRequest, testing::ValuesIn(first_lines()));
INSTANTIATE_TEST_SUITE_P(Fields, RefusedRequest, testing::ValuesIn(fields()));

// Parses one whole request; the parser and its bytes live as long as this.
struct Parsed {
  explicit Parsed(std::string text) : bytes(std::move(text)) { state = parser.parse(bytes.data(), bytes.size()); }
  std::string bytes;
  RequestParser parser;
  ParseState state;
};

TEST(RequestParser, ReadsARequestWithoutCopying) {
  Parsed parsed("GET /a?b=c HTTP/1.1\r\nHost: good.test:8080\r\nX-UPPER:\t va lue \t\r\nAccept:\r\n\r\nrest");
  ASSERT_EQ(parsed.state, ParseState::kComplete);
  const RequestHead& head = parsed.parser.head();
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.path, "/a?b=c");
  EXPECT_EQ(head.authority, "good.test:8080");
  EXPECT_EQ(head.scheme, "");
  EXPECT_EQ(head.version, Version::kHttp11);
  ASSERT_EQ(head.headers.size(), 2u);
  EXPECT_EQ(head.headers.get("x-upper"), "va lue");
  EXPECT_EQ(head.headers.get("accept"), "");
  EXPECT_EQ(head.headers.fields()[0].name.data() - parsed.bytes.data(), 43);
  EXPECT_EQ(parsed.parser.head_bytes(), parsed.bytes.size() - 4);
  EXPECT_EQ(parsed.parser.framing().body, BodyKind::kNone);
  EXPECT_TRUE(parsed.parser.framing().keep_alive);
}

struct Target {
  const char* line;
  const char* authority;
  const char* path;
  const char* scheme;
  bool absolute;
};

TEST(RequestParser, ReadsTheFourFormsOfTarget) {
  const Target cases[] = {
      {"GET / HTTP/1.1", "good.test", "/", "", false},
      {"GET http://other.test/c?x HTTP/1.1", "other.test", "/c?x", "http", true},
      {"GET HTTPS://other.test:8443 HTTP/1.1", "other.test:8443", "/", "https", true},
      {"GET http://other.test?x=/y HTTP/1.1", "other.test", "/?x=/y", "http", true},
      {"GET http://[::1]:80/ HTTP/1.1", "[::1]:80", "/", "http", true},
      {"OPTIONS http://other.test HTTP/1.1", "other.test", "*", "http", true},
      {"OPTIONS * HTTP/1.1", "good.test", "*", "", false},
      {"CONNECT other.test:443 HTTP/1.1", "other.test:443", "", "", false},
      {"GET /a\\b\"<>^`{|}%zz HTTP/1.1", "good.test", "/a\\b\"<>^`{|}%zz", "", false},
      {"GET //x/y HTTP/1.1", "good.test", "//x/y", "", false},
  };
  for (const Target& target : cases) {
    Parsed parsed(line(target.line));
    ASSERT_EQ(parsed.state, ParseState::kComplete) << target.line << " " << parsed.parser.refusal().detail;
    const RequestHead& head = parsed.parser.head();
    EXPECT_EQ(head.authority, target.authority) << target.line;
    EXPECT_EQ(head.path, target.path) << target.line;
    EXPECT_EQ(head.scheme, target.scheme) << target.line;
    EXPECT_EQ(head.absolute_form, target.absolute) << target.line;
  }
}

struct Framed {
  const char* text;
  BodyKind body;
  std::uint64_t length;
  bool keep_alive;
};

TEST(RequestParser, SaysHowTheBodyIsFramedAndWhetherTheConnectionStays) {
  const Framed cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BodyKind::kNone, 0, true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n", BodyKind::kNone, 0, false},
      {"GET / HTTP/1.0\r\n\r\n", BodyKind::kNone, 0, false},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", BodyKind::kNone, 0, true},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 \r\n\r\n", BodyKind::kLength, 5, true},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", BodyKind::kNone, 0, true},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", BodyKind::kLength, 9223372036854775807u, true},
      {"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  Chunked \r\n\r\n", BodyKind::kChunked, 0, true},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", BodyKind::kTunnel, 0, true},
  };
  for (const Framed& framed : cases) {
    Parsed parsed(framed.text);
    ASSERT_EQ(parsed.state, ParseState::kComplete) << framed.text;
    const Framing& framing = parsed.parser.framing();
    EXPECT_EQ(framing.body, framed.body) << framed.text;
    EXPECT_EQ(framing.length, framed.length) << framed.text;
    EXPECT_EQ(framing.keep_alive, framed.keep_alive) << framed.text;
  }
}

TEST(RequestParser, SeesUpgradesThatMayBePassedOn) {
  const std::pair<const char*, const char*> cases[] = {
      {"Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"},
      {"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", "websocket"},
      {"Upgrade: websocket\r\n", ""},
      {"Connection: upgrade\r\n", ""},
      {"Connection: upgrade\r\nUpgrade: h2c\r\n", ""},
      {"Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", ""},
      {"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", ""},
  };
  for (const auto& [fields, upgrade] : cases) {
    Parsed parsed(get(fields));
    ASSERT_EQ(parsed.state, ParseState::kComplete) << fields;
    EXPECT_EQ(parsed.parser.framing().upgrade, upgrade) << fields;
    EXPECT_EQ(parsed.parser.head().is_upgrade, *upgrade != '\0') << fields;
  }
}

TEST(RequestParser, AcceptsWhatIsOddButLegal) {
  const std::string cases[] = {
      "\r\n" + get(""), get("X: b\xe9\xff\r\n"), get("X: a\tb\r\n"), get("content_length: 0\r\n"), line("get /c HTTP/1.1"),
      line("FOO-BAR /c HTTP/1.1"), get("Expect: 100-Continue\r\n"), "GET / HTTP/1.1\r\nHost: GOOD.TEST.:80\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8]\r\n\r\n", "GET / HTTP/1.1\r\nHost: a_b~%20\r\n\r\n",
      get("X: " + std::string(50000, 'v') + "\r\n"),
  };
  for (const std::string& text : cases) {
    Parsed parsed(text);
    EXPECT_EQ(parsed.state, ParseState::kComplete) << text.substr(0, 200) << " " << parsed.parser.refusal().detail;
    EXPECT_EQ(parsed.parser.head_bytes(), text.size());
  }
}

TEST(RequestParser, ExpectOfAnHttp10ClientIsDropped) {
  Parsed parsed("POST / HTTP/1.0\r\nHost: a\r\nExpect: anything\r\n\r\n");
  ASSERT_EQ(parsed.state, ParseState::kComplete);
  EXPECT_FALSE(parsed.parser.head().expects_continue);
  EXPECT_TRUE(parsed.parser.head().headers.empty());
}

TEST(RequestParser, AnEmptyPortIsLeftOut) {
  Parsed parsed("GET / HTTP/1.1\r\nHost: good.test:\r\n\r\n");
  ASSERT_EQ(parsed.state, ParseState::kComplete);
  EXPECT_EQ(parsed.parser.head().authority, "good.test");
}

TEST(RequestParser, ExactlyTheLimitsAreTaken) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
  RequestParser fits({.bytes_max = text.size(), .fields_max = 2});
  EXPECT_EQ(fits.parse(text.data(), text.size()), ParseState::kComplete);
  RequestParser one_byte_less({.bytes_max = text.size() - 1, .fields_max = 2});
  EXPECT_EQ(one_byte_less.parse(text.data(), text.size()), ParseState::kRefused);
  RequestParser one_field_less({.bytes_max = text.size(), .fields_max = 1});
  EXPECT_EQ(one_field_less.parse(text.data(), text.size()), ParseState::kRefused);
  EXPECT_EQ(one_field_less.refusal().status, 431);
}

TEST(RequestParser, KnowsWhetherARequestHasBegun) {
  std::string text = "\r\nG";
  RequestParser parser;
  EXPECT_EQ(parser.parse(text.data(), 0), ParseState::kNeedMore);
  EXPECT_FALSE(parser.started());
  parser.parse(text.data(), 2);
  EXPECT_FALSE(parser.started());
  parser.parse(text.data(), 3);
  EXPECT_TRUE(parser.started());
  parser.reset();
  EXPECT_FALSE(parser.started());
}

TEST(RequestParser, NoCutChangesTheOutcome) {
  const std::string stream =
      "\r\nGET http://a.test?q HTTP/1.1\r\nhost: good.test\r\nX-A:  b \r\n\r\n"
      "POST /p HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
      "POST /q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
      "GET /u HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
      "GET /bad HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n";
  Walk whole(Walk::Side::kRequests);
  whole.feed(stream);
  ASSERT_EQ(whole.messages(), 4u) << whole.text();
  ASSERT_TRUE(whole.refused());
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    Walk walk(Walk::Side::kRequests);
    walk.feed(stream.substr(0, first));
    walk.feed(stream.substr(first));
    ASSERT_EQ(walk.text(), whole.text()) << "cut at " << first;
    ASSERT_EQ(walk.body(), whole.body());
  }
  Walk bytes(Walk::Side::kRequests);
  for (char c : stream) bytes.feed({&c, 1});
  EXPECT_EQ(bytes.text(), whole.text());
}

}  // namespace
}  // namespace lateen::http
