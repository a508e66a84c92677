// Hashes of requests by the policies of a route, against Envoy's rules.
#include "proxy/request_hash.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;
using runtime::HashPolicy;
using Kind = HashPolicy::Kind;

struct RequestHash : ::testing::Test {
  RequestHash() {
    head.method = "GET";
    head.authority = "shop.test";
    head.path = "/a?user=anna&user=bert&empty=";
  }
  static HashPolicy policy(Kind kind, const char* name = "") {
    HashPolicy out;
    out.kind = kind;
    out.name = name;
    return out;
  }
  std::optional<std::uint64_t> hash(CompactList<HashPolicy> policies) {
    cookies.clear();
    return hash_request(policies, head, source, cookies);
  }

  http::RequestHead head;
  HashSource source{.client_ip = "10.0.0.9", .downstream_address = "10.0.0.9:4711", .local_address = "10.1.1.1:80"};
  std::vector<std::string> cookies;
};

TEST_F(RequestHash, HeadersAreHashedTogetherInOrderOfTheirText) {
  EXPECT_EQ(hash({policy(Kind::kHeader, "x-user")}), std::nullopt);
  head.headers.add("x-user", "b");
  EXPECT_EQ(hash({policy(Kind::kHeader, "x-user")}), xxhash64("b"));
  head.headers.add("x-user", "a");
  EXPECT_EQ(hash({policy(Kind::kHeader, "x-user")}), xxhash64("ab"));
  EXPECT_EQ(hash({policy(Kind::kHeader, ":authority")}), xxhash64("shop.test"));
  EXPECT_EQ(hash({policy(Kind::kHeader, ":path")}), xxhash64(head.path));
}

TEST_F(RequestHash, HeaderAfterASubstitution) {
  HashPolicy with_regex = policy(Kind::kHeader, "x-session");
  with_regex.regex = std::make_shared<const runtime::Regex>(*runtime::Regex::compile("^([^/]*)/.*$"));
  with_regex.regex_substitution = "\\1";
  head.headers.add("x-session", "anna/17");
  EXPECT_EQ(hash({with_regex}), xxhash64("anna"));
}

TEST_F(RequestHash, SourceAddressAndQuery) {
  EXPECT_EQ(hash({policy(Kind::kSourceAddress)}), xxhash64("10.0.0.9"));
  EXPECT_EQ(hash({policy(Kind::kQueryParameter, "user")}), xxhash64("anna"));
  EXPECT_EQ(hash({policy(Kind::kQueryParameter, "empty")}), xxhash64(""));
  EXPECT_EQ(hash({policy(Kind::kQueryParameter, "none")}), std::nullopt);
  source.client_ip = {};
  EXPECT_EQ(hash({policy(Kind::kSourceAddress)}), std::nullopt);
}

TEST_F(RequestHash, PoliciesAreCombinedByRotationUntilATerminalOneHits) {
  const HashPolicy source_policy = policy(Kind::kSourceAddress), query = policy(Kind::kQueryParameter, "user");
  const std::uint64_t first = xxhash64("10.0.0.9"), second = xxhash64("anna");
  const std::uint64_t both = (first << 1 | first >> 63) ^ second;
  EXPECT_EQ(hash({source_policy, query}), both);
  EXPECT_EQ(hash({source_policy, policy(Kind::kHeader, "absent"), query}), both);
  EXPECT_NE(hash({source_policy, source_policy}), 0U) << "equal rules do not cancel out";
  HashPolicy terminal = source_policy;
  terminal.terminal = true;
  EXPECT_EQ(hash({terminal, query}), first);
  HashPolicy terminal_miss = policy(Kind::kHeader, "absent");
  terminal_miss.terminal = true;
  EXPECT_EQ(hash({terminal_miss, query}), second);
}

TEST_F(RequestHash, CookiesAreFoundAsEnvoyFindsThem) {
  struct Case {
    const char* field;
    const char* value;
  };
  for (const Case& c : {Case{"sid=1", "1"}, Case{"a=2; sid=3; b=4", "3"}, Case{"sid=\"quoted\"", "quoted"}, Case{"sid", ""},
                        Case{"xsid=1", ""}, Case{"sid=a=b", "a=b"}, Case{" sid=5;sid=6", "5"}, Case{"sid=", ""}, Case{";;sid=7", "7"}}) {
    head.headers.set("cookie", c.field);
    EXPECT_EQ(cookie_value(head.headers, "sid"), c.value) << c.field;
  }
  head.headers.set("cookie", "a=1");
  head.headers.add("cookie", "sid=8");
  EXPECT_EQ(cookie_value(head.headers, "sid"), "8") << "HTTP/2 sends cookies one by one";
  EXPECT_EQ(hash({policy(Kind::kCookie, "sid")}), xxhash64("8"));
}

TEST_F(RequestHash, MissingCookiesAreMadeWhereTheyHaveATtl) {
  HashPolicy cookie = policy(Kind::kCookie, "sid");
  EXPECT_EQ(hash({cookie}), std::nullopt);
  EXPECT_TRUE(cookies.empty());
  cookie.cookie_ttl = 0s;
  const std::optional<std::uint64_t> made = hash({cookie});
  ASSERT_EQ(cookies.size(), 1U);
  const std::string session = cookies[0];
  EXPECT_EQ(session.size(), std::string("sid=\"0123456789abcdef\"; HttpOnly").size()) << session;
  EXPECT_EQ(made, xxhash64(session.substr(5, 16)));
  cookie.cookie_ttl = 60s;
  cookie.cookie_path = "/x";
  cookie.cookie_attributes = {{"SameSite", "Lax"}, {"Secure", ""}};
  EXPECT_EQ(hash({cookie}), made) << "one connection, one value";
  EXPECT_EQ(cookies[0], session.substr(0, 22) + "; Max-Age=60; Path=/x; SameSite=Lax; Secure; HttpOnly");
  source.downstream_address = "10.0.0.9:4712";
  EXPECT_NE(hash({cookie}), made);
  // The client that brings it back stays where it was.
  source.downstream_address = "10.0.0.9:4711";
  head.headers.add("cookie", "sid=" + session.substr(4, 18));
  EXPECT_EQ(hash({cookie}), made);
  EXPECT_TRUE(cookies.empty());
}

}  // namespace
}  // namespace lateen::proxy
