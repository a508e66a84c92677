// CORS, as observed of Envoy 1.40.
#include "proxy/cors.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace lateen::proxy {
namespace {

runtime::StringMatcher exact(const char* text) {
  runtime::StringMatcher out;
  out.text = text;
  return out;
}

http::RequestHead request(const char* method, const char* origin, const char* asked = nullptr) {
  http::RequestHead head;
  head.method = method;
  head.path = "/";
  if (origin != nullptr) head.headers.add("origin", origin);
  if (asked != nullptr) head.headers.add("access-control-request-method", asked);
  return head;
}

std::map<std::string, std::string> fields(const http::HeaderMap& headers) {
  std::map<std::string, std::string> out;
  for (const http::Header& field : headers.fields()) {
    EXPECT_TRUE(out.emplace(field.name, field.value).second) << "twice: " << field.name;
  }
  return out;
}

TEST(Cors, WhatARequestIs) {
  struct Case {
    const char* method;
    const char* origin;
    const char* asked;
    bool forwards_preflights;
    CorsVerdict verdict;
  };
  using enum CorsVerdict;
  const Case cases[] = {
      {"GET", nullptr, nullptr, true, kNone},
      {"GET", "", nullptr, true, kNone},
      {"OPTIONS", nullptr, "GET", true, kNone},
      {"GET", "http://ok.test", nullptr, true, kAllowed},
      {"GET", "http://OK.test", nullptr, true, kNotAllowed},
      {"GET", "http://bad.test", nullptr, true, kNotAllowed},
      {"GET", "http://bad.test", nullptr, false, kNotAllowed},
      {"OPTIONS", "http://ok.test", "GET", true, kPreflight},
      {"OPTIONS", "http://ok.test", nullptr, true, kAllowed},
      {"OPTIONS", "http://ok.test", "", true, kAllowed},
      {"GET", "http://ok.test", "GET", true, kAllowed},
      {"OPTIONS", "http://bad.test", "GET", true, kNotAllowed},
      {"OPTIONS", "http://bad.test", "GET", false, kPreflightRefused},
      {"OPTIONS", "http://bad.test", nullptr, false, kNotAllowed},
  };
  for (const Case& c : cases) {
    runtime::Cors policy;
    policy.allow_origins = {exact("http://ok.test")};
    policy.forward_not_matching_preflights = c.forwards_preflights;
    Random random(1);
    EXPECT_EQ(judge_cors(policy, request(c.method, c.origin, c.asked), random), c.verdict)
        << c.method << " " << (c.origin != nullptr ? c.origin : "-") << " " << (c.asked != nullptr ? c.asked : "-");
  }
}

TEST(Cors, AStarAllowsEveryOrigin) {
  runtime::Cors policy;
  policy.allow_origins = {exact("*")};
  Random random(1);
  EXPECT_EQ(judge_cors(policy, request("GET", "http://any.test"), random), CorsVerdict::kAllowed);
}

TEST(Cors, AShareOfRequests) {
  runtime::Cors policy;
  policy.allow_origins = {exact("*")};
  policy.enabled.per_million = 250'000;
  Random random(1);
  int allowed = 0;
  for (int i = 0; i < 4000; ++i) allowed += judge_cors(policy, request("GET", "http://a.test"), random) == CorsVerdict::kAllowed;
  EXPECT_NEAR(allowed, 1000, 4 * 28);
}

TEST(Cors, TheUpstreamsFieldsAreReplacedOnlyWhereThePolicySpeaks) {
  http::HeaderMap response;
  response.add("access-control-allow-origin", "*");
  response.add("access-control-allow-methods", "PUT");
  response.add("access-control-allow-credentials", "false");
  response.add("access-control-expose-headers", "up");
  runtime::Cors policy;
  allow_origin(policy, "http://ok.test", response);
  EXPECT_EQ(fields(response), (std::map<std::string, std::string>{{"access-control-allow-origin", "http://ok.test"},
                                                                 {"access-control-allow-methods", "PUT"},
                                                                 {"access-control-allow-credentials", "false"},
                                                                 {"access-control-expose-headers", "up"}}));
  policy.allow_credentials = true;
  policy.expose_headers = "x-e";
  allow_origin(policy, "http://ok.test", response);
  EXPECT_EQ(fields(response), (std::map<std::string, std::string>{{"access-control-allow-origin", "http://ok.test"},
                                                                 {"access-control-allow-methods", "PUT"},
                                                                 {"access-control-allow-credentials", "true"},
                                                                 {"access-control-expose-headers", "x-e"}}));
}

TEST(Cors, Preflights) {
  runtime::Cors policy;
  policy.allow_methods = "GET,POST";
  policy.allow_headers = "x-a";
  policy.max_age = "60";
  policy.allow_private_network = true;
  http::RequestHead head = request("OPTIONS", "http://ok.test", "GET");
  http::HeaderMap response;
  write_preflight(policy, head, response);
  EXPECT_EQ(fields(response), (std::map<std::string, std::string>{{"access-control-allow-methods", "GET,POST"},
                                                                 {"access-control-allow-headers", "x-a"},
                                                                 {"access-control-max-age", "60"}}));
  head.headers.add("access-control-request-private-network", "true");
  write_preflight(policy, head, response);
  EXPECT_EQ(response.get("access-control-allow-private-network"), "true");
  http::HeaderMap bare;
  write_preflight(runtime::Cors(), head, bare);
  EXPECT_TRUE(bare.empty());
}

}  // namespace
}  // namespace lateen::proxy
