#include "runtime/match.h"

#include <gtest/gtest.h>

namespace lateen::runtime {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

StringMatcher string_matcher(StringMatcher::Kind kind, std::string text, bool ignore_case = false) {
  StringMatcher out{kind, ignore_case, text, {}};
  if (kind == StringMatcher::Kind::kRegex) out.regex = *Regex::compile(text);
  return out;
}

HeaderMatcher header_matcher(std::string_view name) {
  HeaderMatcher out;
  out.set_name(name);
  return out;
}

HeaderMatcher header_matcher(std::string_view name, StringMatcher string) {
  HeaderMatcher out = header_matcher(name);
  out.kind = HeaderMatcher::Kind::kString;
  out.string = std::move(string);
  return out;
}

class Request {
 public:
  explicit Request(Fields fields, std::string_view path = "/") {
    for (const auto& [name, value] : fields) headers.add(name, value);
    view = {"GET", "http", "reviews:9080", path, &headers};
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  http::HeaderMap headers;
  RequestView view;
};

TEST(StringMatcher, Table) {
  using Kind = StringMatcher::Kind;
  const struct {
    Kind kind;
    const char* text;
    bool ignore_case;
    const char* value;
    bool matches;
  } kCases[] = {
      {Kind::kExact, "jason", false, "jason", true},
      {Kind::kExact, "jason", false, "Jason", false},
      {Kind::kExact, "jason", true, "JaSon", true},
      {Kind::kExact, "jason", false, "jasons", false},
      {Kind::kExact, "", false, "", true},
      {Kind::kExact, "", false, "x", false},
      {Kind::kPrefix, "ja", false, "jason", true},
      {Kind::kPrefix, "ja", false, "j", false},
      {Kind::kPrefix, "JA", true, "jason", true},
      {Kind::kPrefix, "JA", true, "j", false},
      {Kind::kPrefix, "", false, "anything", true},
      {Kind::kSuffix, "son", false, "jason", true},
      {Kind::kSuffix, "son", false, "on", false},
      {Kind::kSuffix, "SON", true, "jason", true},
      {Kind::kContains, "aso", false, "jason", true},
      {Kind::kContains, "ASO", false, "jason", false},
      {Kind::kContains, "ASO", true, "jason", true},
      {Kind::kRegex, "ja.*", false, "jason", true},
      {Kind::kRegex, "aso", false, "jason", false},   // the whole value
      {Kind::kRegex, "a|b", false, "bc", false},      // ... also with an alternative at the end
      {Kind::kRegex, "JASON", true, "jason", false},  // ignore_case does not concern a regex
  };
  for (const auto& test : kCases) {
    const StringMatcher matcher = string_matcher(test.kind, test.text, test.ignore_case);
    EXPECT_EQ(matcher.matches(test.value), test.matches) << matcher.describe() << " on " << test.value;
  }
}

TEST(HeaderMatcher, LooksAtEachValueByItself) {
  const HeaderMatcher jason = header_matcher("end-user", string_matcher(StringMatcher::Kind::kExact, "jason"));
  EXPECT_TRUE(jason.matches(Request(Fields{{"end-user", "jason"}, {"end-user", "bob"}}).view));
  EXPECT_TRUE(jason.matches(Request(Fields{{"end-user", "bob"}, {"end-user", "jason"}}).view));
  EXPECT_FALSE(jason.matches(Request(Fields{{"end-user", "jason,bob"}}).view));
  EXPECT_FALSE(jason.matches(Request(Fields{}).view));
}

TEST(HeaderMatcher, Presence) {
  HeaderMatcher matcher = header_matcher("Cookie");  // a name in any case, and one that has an id
  const Request with(Fields{{"cookie", "a=b"}}), empty(Fields{{"cookie", ""}}), without(Fields{{"other", "a"}});
  const struct {
    bool present, invert, with, without;
  } kCases[] = {{true, false, true, false}, {true, true, false, true}, {false, false, false, true}, {false, true, true, false}};
  for (const auto& test : kCases) {
    matcher.present = test.present;
    matcher.invert = test.invert;
    EXPECT_EQ(matcher.matches(with.view), test.with) << matcher.describe();
    EXPECT_EQ(matcher.matches(empty.view), test.with) << matcher.describe();
    EXPECT_EQ(matcher.matches(without.view), test.without) << matcher.describe();
  }
}

TEST(HeaderMatcher, InvertedAndMissing) {
  HeaderMatcher matcher = header_matcher("x-beta", string_matcher(StringMatcher::Kind::kExact, "yes"));
  const Request yes(Fields{{"x-beta", "yes"}}), no(Fields{{"x-beta", "no"}}), without(Fields{});
  matcher.invert = true;
  EXPECT_FALSE(matcher.matches(yes.view));
  EXPECT_TRUE(matcher.matches(no.view));
  EXPECT_FALSE(matcher.matches(without.view));  // no value, no match; inverted or not
  matcher.missing_is_empty = true;              // what istiod sends for withoutHeaders
  EXPECT_FALSE(matcher.matches(yes.view));
  EXPECT_TRUE(matcher.matches(no.view));
  EXPECT_TRUE(matcher.matches(without.view));
  matcher.invert = false;
  matcher.string = string_matcher(StringMatcher::Kind::kExact, "");
  EXPECT_TRUE(matcher.matches(without.view));
}

TEST(HeaderMatcher, Range) {
  HeaderMatcher matcher = header_matcher("x-number");
  matcher.kind = HeaderMatcher::Kind::kRange;
  matcher.range_start = -5;
  matcher.range_end = 10;
  const struct {
    const char* value;
    bool matches;
  } kCases[] = {{"-5", true}, {"9", true}, {"10", false}, {"-6", false}, {"", false}, {"5x", false}, {"99999999999999999999", false}};
  for (const auto& test : kCases) EXPECT_EQ(matcher.matches(Request(Fields{{"x-number", test.value}}).view), test.matches) << test.value;
}

TEST(HeaderMatcher, PseudoHeaders) {
  const Request request(Fields{}, "/api?x=1");
  const struct {
    const char* name;
    const char* value;
  } kCases[] = {{":method", "GET"}, {":path", "/api?x=1"}, {":authority", "reviews:9080"}, {":scheme", "http"}, {"Host", "reviews:9080"}};
  for (const auto& test : kCases) {
    EXPECT_TRUE(header_matcher(test.name, string_matcher(StringMatcher::Kind::kExact, test.value)).matches(request.view)) << test.name;
    EXPECT_FALSE(header_matcher(test.name, string_matcher(StringMatcher::Kind::kExact, "no")).matches(request.view)) << test.name;
    EXPECT_TRUE(header_matcher(test.name).matches(request.view)) << test.name;
  }
}

TEST(QueryParameterMatcher, Table) {
  const struct {
    const char* path;
    bool present, exact_one, exact_empty;
  } kCases[] = {
      {"/a", false, false, false},       {"/a?", false, false, false},      {"/a?x", true, false, true},
      {"/a?x=", true, false, true},      {"/a?x=1", true, true, false},     {"/a?y=2&x=1", true, true, false},
      {"/a?x=2&x=1", true, false, false}, {"/a?x=1#x=2", true, true, false}, {"/a?xx=1", false, false, false},
      {"/a?x=%31", true, false, false},  {"/a?y=x=1", false, false, false},
  };
  const QueryParameterMatcher present{"x", {}};
  const QueryParameterMatcher one{"x", string_matcher(StringMatcher::Kind::kExact, "1")};
  const QueryParameterMatcher empty{"x", string_matcher(StringMatcher::Kind::kExact, "")};
  for (const auto& test : kCases) {
    EXPECT_EQ(present.matches(test.path), test.present) << test.path;
    EXPECT_EQ(one.matches(test.path), test.exact_one) << test.path;
    EXPECT_EQ(empty.matches(test.path), test.exact_empty) << test.path;
  }
}

RouteMatch path_match(RouteMatch::PathKind kind, const char* path, bool case_sensitive = true) {
  RouteMatch out;
  out.path_kind = kind;
  out.path = path;
  out.case_sensitive = case_sensitive;
  if (kind == RouteMatch::PathKind::kRegex) out.conditions().regex = *Regex::compile(path);
  return out;
}

TEST(RouteMatch, Paths) {
  using Kind = RouteMatch::PathKind;
  const struct {
    Kind kind;
    const char* pattern;
    bool case_sensitive;
    const char* path;
    bool matches;
  } kCases[] = {
      {Kind::kPrefix, "/api/v2", true, "/api/v22", true},  // a string prefix, as observed
      {Kind::kPrefix, "/api/v2", true, "/api/v", false},
      {Kind::kPrefix, "/api?x", true, "/api?x", false},  // the query is not looked at
      {Kind::kPrefix, "/API", false, "/api/v2", true},
      {Kind::kSeparatedPrefix, "/api", true, "/api", true},
      {Kind::kSeparatedPrefix, "/api", true, "/api/v2", true},
      {Kind::kSeparatedPrefix, "/api", true, "/api?x", true},
      {Kind::kSeparatedPrefix, "/api", true, "/apix", false},
      {Kind::kExact, "/api", true, "/api", true},
      {Kind::kExact, "/api", true, "/api?x=1", true},
      {Kind::kExact, "/api", true, "/api/", false},
      {Kind::kExact, "/api", true, "/Api", false},
      {Kind::kExact, "/api", false, "/Api", true},
      {Kind::kRegex, "/users/[0-9]+", true, "/users/7?x=1", true},
      {Kind::kRegex, "/users", true, "/users/1", false},
      {Kind::kPrefix, "/", true, "*", false},  // OPTIONS *
  };
  for (const auto& test : kCases) {
    const RouteMatch match = path_match(test.kind, test.pattern, test.case_sensitive);
    EXPECT_EQ(match.matches(Request(Fields{}, test.path).view, 0), test.matches) << match.describe() << " on " << test.path;
    EXPECT_EQ(!match.mismatch(Request(Fields{}, test.path).view, 0), test.matches) << match.describe() << " on " << test.path;
  }
}

TEST(RouteMatch, GrpcAndFraction) {
  RouteMatch match = path_match(RouteMatch::PathKind::kPrefix, "/");
  match.grpc_only = true;
  const struct {
    const char* type;
    bool matches;
  } kTypes[] = {{"application/grpc", true}, {"application/grpc+proto", true}, {"application/grpc-web", false}, {"text/plain", false}};
  for (const auto& test : kTypes) EXPECT_EQ(match.matches(Request(Fields{{"content-type", test.type}}).view, 0), test.matches) << test.type;
  EXPECT_FALSE(match.matches(Request(Fields{}).view, 0));

  match = path_match(RouteMatch::PathKind::kPrefix, "/");
  match.conditions().fraction = Fraction{250'000};
  EXPECT_TRUE(match.matches(Request(Fields{}).view, 249'999));
  EXPECT_FALSE(match.matches(Request(Fields{}).view, 250'000));
  EXPECT_TRUE(match.matches(Request(Fields{}).view, 1'000'000));
}

TEST(RouteMatch, SaysWhatFails) {
  RouteMatch match = path_match(RouteMatch::PathKind::kPrefix, "/api/v2");
  match.conditions().headers.push_back(header_matcher(":method", string_matcher(StringMatcher::Kind::kExact, "POST")));
  match.conditions().headers.push_back(header_matcher("end-user", string_matcher(StringMatcher::Kind::kExact, "jason")));
  EXPECT_EQ(match.describe(), "path prefix \"/api/v2\", method exact \"POST\", header end-user exact \"jason\"");
  const auto mismatch = [&](const Request& request) { return match.mismatch(request.view, 0).value_or(Mismatch{}); };
  EXPECT_EQ(mismatch(Request(Fields{}, "/reviews/1?x=1")).predicate, "path prefix \"/api/v2\"");
  EXPECT_EQ(mismatch(Request(Fields{}, "/reviews/1?x=1")).actual, "\"/reviews/1\"");
  EXPECT_EQ(mismatch(Request(Fields{}, "/api/v2")).predicate, "method exact \"POST\"");
  EXPECT_EQ(mismatch(Request(Fields{}, "/api/v2")).actual, "\"GET\"");
  match.conditions().headers = {HeaderMatcher(match.conditions().headers[1])};
  EXPECT_EQ(mismatch(Request(Fields{}, "/api/v2")).actual, "absent");
  EXPECT_EQ(mismatch(Request(Fields{{"end-user", "bob"}, {"end-user", "eve"}}, "/api/v2")).actual, "\"bob\", \"eve\"");
  EXPECT_EQ(path_match(RouteMatch::PathKind::kPrefix, "/").describe(), "any request");
}

TEST(Regex, SubstitutesEveryMatch) {
  const Regex regex = *Regex::compile("/a/([^/]*)");
  std::string out = ">";
  regex.substitute("/a/x/a/y", "/b/\\1", out);
  EXPECT_EQ(out, ">/b/x/b/y");
  EXPECT_TRUE(regex.check_rewrite("\\1"));
  EXPECT_FALSE(regex.check_rewrite("\\2"));
  EXPECT_FALSE(Regex::compile("(a"));
  EXPECT_FALSE(Regex::compile("(?=a)"));  // not RE2
}

TEST(Regex, RequiredPrefixIsOne) {
  const struct {
    const char* pattern;
    const char* example;
  } kCases[] = {{"/users/[0-9]+", "/users/1"}, {"(?i)/users", "/USERS"}, {".*", "x"}, {"/a|/b", "/b"}, {"/ab?", "/a"}, {"", ""}};
  for (const auto& test : kCases) {
    const Regex regex = *Regex::compile(test.pattern);
    ASSERT_TRUE(regex.full_match(test.example));
    EXPECT_TRUE(std::string_view(test.example).starts_with(regex.required_prefix())) << test.pattern << ": " << regex.required_prefix();
  }
  EXPECT_EQ(Regex::compile("/users/[0-9]+")->required_prefix(), "/users/");
}

}  // namespace
}  // namespace lateen::runtime
