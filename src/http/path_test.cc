#include "http/path.h"

#include <gtest/gtest.h>

#include <string>

namespace lateen::http {
namespace {

std::string normal(std::string_view target, const PathRules& rules = {}) {
  std::string into;
  switch (normalize_path(target, rules, into)) {
    case PathOutcome::kUnchanged: return std::string(target);
    case PathOutcome::kChanged: return into;
    case PathOutcome::kRedirect: return "redirect " + into;
    case PathOutcome::kRefused: return "refused";
  }
  return "";
}

TEST(NormalizePath, AsEnvoyDoesByDefault) {
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"}, {"/a/../b", "/b"}, {"/a/./b", "/a/b"}, {"/a\\b", "/a/b"}, {"/a\\..\\b", "/b"}, {"//", "//"}, {"/a//b", "/a//b"},
      {"/a%2fb", "/a%2fb"}, {"/a%5Cb", "/a%5Cb"}, {"/a%zz", "/a%zz"}, {"/%", "/%"}, {"/%4", "/%4"}, {"/%61dmin", "/admin"},
      {"/foo/%2e%2e/admin", "/admin"}, {"/foo/.%2E/admin", "/admin"}, {"/..", "/"}, {"/../../x", "/x"}, {"/a/..", "/"},
      {"/a/b/..", "/a/"}, {"/a/.", "/a/"}, {"/a/...", "/a/..."}, {"/.hidden", "/.hidden"}, {"/foo//../admin", "/foo/admin"},
      {"/a/../b?x=/../y", "/b?x=/../y"}, {"/a?b/../c", "/a?b/../c"}, {"/a/..;/b", "/a/..;/b"}, {"/%2561", "/%2561"},
      {"/a%00b", "refused"}, {"/a\"b", "/a%22b"}, {"/%7Euser", "/~user"}, {"/%2%66", "/%2%66"}, {"*", "*"},
  };
  for (const auto& [target, wanted] : cases) EXPECT_EQ(normal(target), wanted) << target;
}

TEST(NormalizePath, RulesForSlashes) {
  const PathRules merge{.merge_slashes = true};
  EXPECT_EQ(normal("//a///b//?x=//", merge), "/a/b/?x=//");
  EXPECT_EQ(normal("/a//../b", merge), "/a/b");
  const PathRules off{.normalize = false};
  EXPECT_EQ(normal("/a/../b\\c", off), "/a/../b\\c");
  using enum EscapedSlashesAction;
  EXPECT_EQ(normal("/a%2fb", {.escaped_slashes = kReject}), "refused");
  EXPECT_EQ(normal("/a%5Cb", {.escaped_slashes = kReject}), "refused");
  EXPECT_EQ(normal("/ab?c=%2f", {.escaped_slashes = kReject}), "/ab?c=%2f");
  EXPECT_EQ(normal("/foo%2f..%2fadmin", {.escaped_slashes = kUnescapeAndForward}), "/admin");
  EXPECT_EQ(normal("/foo%5c..%5Cadmin?q", {.escaped_slashes = kUnescapeAndRedirect}), "redirect /admin?q");
  EXPECT_EQ(normal("/%2fadmin", {.merge_slashes = true, .escaped_slashes = kUnescapeAndForward}), "/admin");
  EXPECT_EQ(normal("/plain", {.escaped_slashes = kUnescapeAndRedirect}), "/plain");
}

TEST(NormalizePath, ANormalPathStaysAsItIs) {
  for (std::string_view target : {"/a/../b", "/%2%66", "/a%2e/%2e%2e/b", "/\\..", "/a/./../../..//x", "/.%2e/%2E./z"}) {
    const std::string once = normal(target);
    EXPECT_EQ(normal(once), once) << target;
  }
}

TEST(Query, IsCutAndSearched) {
  EXPECT_EQ(split_query("/a?b=c?d").path, "/a");
  EXPECT_EQ(split_query("/a?b=c?d").query, "b=c?d");
  EXPECT_FALSE(split_query("/a").has_query);
  EXPECT_TRUE(split_query("/a?").has_query);
  EXPECT_EQ(query_parameter("a=1&b&c=&a=2", "a"), "1");
  EXPECT_EQ(query_parameter("a=1&b&c=&a=2", "b"), "");
  EXPECT_EQ(query_parameter("a=1&b&c=&a=2", "c"), "");
  EXPECT_EQ(query_parameter("a=1&b&c=&a=2", "d"), std::nullopt);
  EXPECT_EQ(query_parameter("&&x=y=z", "x"), "y=z");
  EXPECT_EQ(query_parameter("", ""), std::nullopt);
}

TEST(PercentDecode, LeavesWhatIsNoEscape) {
  EXPECT_EQ(percent_decode("a%20b%2B+%zz%"), "a b++%zz%");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
}

TEST(Authority, IsCutApart) {
  const auto plain = parse_authority("good.test");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "good.test");
  EXPECT_EQ(plain->port, std::nullopt);
  const auto v6 = parse_authority("[2001:db8::1]:8080");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "[2001:db8::1]");
  EXPECT_EQ(v6->port, 8080);
  EXPECT_EQ(parse_authority("a:0")->port, 0);
  EXPECT_EQ(parse_authority("a:65535")->port, 65535);
  for (std::string_view text : {"", ":80", "a:65536", "a:-1", "a:8a", "a b", "a/b", "u@a", "[::1", "::1", "[]", "[g::]",
                                "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7::8]", "[::1.2.3]", "[::1.2.3.400]",
                                "[1::2:]", "[fe80::1%25eth0]"}) {
    EXPECT_FALSE(parse_authority(text)) << text;
  }
}

TEST(Url, IsCutApart) {
  const Result<Url> url = parse_url("HTTP://[::1]:8080/a?b#c");
  ASSERT_TRUE(url) << to_string(url.error());
  EXPECT_EQ(url->scheme, "http");
  EXPECT_EQ(url->authority, "[::1]:8080");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->target, "/a?b");
  EXPECT_EQ(parse_url("https://a")->port, 443);
  EXPECT_EQ(parse_url("http://a?x")->target, "/?x");
  EXPECT_EQ(parse_url("http://a:")->authority, "a");
  EXPECT_EQ(parse_url("http://a#f")->target, "/");
}

TEST(Url, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"reviews:9080/x", "must begin with http://"}, {"ftp://a", "scheme"}, {"http://u:p@a/", "user name"},
      {"http:///x", "is no host"}, {"http://a:x/", "is no host"}, {"http://a/b c", "%XX"},
  };
  for (const auto& [text, why] : cases) {
    const Result<Url> url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_NE(url.error().message.find(why), std::string::npos) << url.error().message;
    EXPECT_NE(url.error().message.find(text), std::string::npos) << url.error().message;
  }
}

}  // namespace
}  // namespace lateen::http
