#include <gtest/gtest.h>

#include "runtime/match.h"

namespace lateen::runtime {
namespace {

class HeaderValueTest : public testing::Test {
 protected:
  HeaderValueTest() {
    request_headers_.add("x-user", "jason");
    request_headers_.add("x-empty", "");
    response_headers_.add("x-version", "v2");
    context_.request = &request_;
    context_.response_headers = &response_headers_;
    context_.response_status = 503;
    context_.protocol = "HTTP/1.1";
    context_.downstream_remote_address = "10.0.0.1:4711";
    context_.upstream_host = "10.0.0.2:9080";
    context_.route_name = &route_name_;
    context_.start_time = WallTime(std::chrono::milliseconds(1795402754819));
  }

  std::string evaluate(std::string_view format) {
    const Result<HeaderValue> value = HeaderValue::compile(format);
    if (!value) return "error: " + value.error().message;
    std::string out;
    value->evaluate(context_, out);
    return out;
  }

  http::HeaderMap request_headers_, response_headers_;
  RequestView request_{"GET", "http", "reviews", "/api?x=1", &request_headers_};
  const SharedText route_name_ = "default";
  HeaderContext context_;
};

TEST_F(HeaderValueTest, Operators) {
  const struct {
    const char* format;
    const char* value;
  } kCases[] = {
      {"plain", "plain"},
      {"", ""},
      {"100 %%", "100 %"},
      {"%REQ(X-User)%", "jason"},
      {"<%REQ(x-user)%>", "<jason>"},
      {"%REQ(x-none)%", ""},
      {"%REQ(x-none?x-user)%", "jason"},
      {"%REQ(x-empty?x-user)%", "jason"},
      {"%REQ(x-user):3%", "jas"},
      {"%REQ(:path)%", "/api?x=1"},
      {"%REQ(:AUTHORITY)%", "reviews"},
      {"%RESP(x-version)%-%RESPONSE_CODE%", "v2-503"},
      {"%PROTOCOL%", "HTTP/1.1"},
      {"%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.1:4711"},
      {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"},
      {"%UPSTREAM_HOST%", "10.0.0.2:9080"},
      {"%ROUTE_NAME%", "default"},
      {"%START_TIME%", "2026-11-23T02:59:14.819Z"},
      {"%%%REQ(x-user)%%%", "%jason%"},
  };
  for (const auto& test : kCases) EXPECT_EQ(evaluate(test.format), test.value) << test.format;
  context_.downstream_remote_address = "[::1]:80";
  EXPECT_EQ(evaluate("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"), "::1");
}

TEST_F(HeaderValueTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(evaluate("%NONSENSE%"), "error: operator %NONSENSE% is not supported");
  EXPECT_EQ(evaluate("%START_TIME(%s)%"), "error: arguments of operator %START_TIME(%s)% are not supported");
  EXPECT_EQ(evaluate("50%"), "error: '%' without its pair in \"50%\"; write %% for a percent sign");
  EXPECT_EQ(evaluate("%REQ(x%"), "error: '%' without its pair in \"%REQ(x%\"; write %% for a percent sign");
  EXPECT_EQ(evaluate("%REQ()%"), "error: operator %REQ()% names no header");
  EXPECT_EQ(evaluate("%REQ(a):x%"), "error: bad operator %REQ(a):x%");
}

TEST_F(HeaderValueTest, LiteralsCostNothing) {
  const HeaderValue literal = *HeaderValue::compile("a %% b");
  EXPECT_TRUE(literal.is_literal());
  EXPECT_EQ(literal.text(), "a % b");
  EXPECT_FALSE(HeaderValue::compile("%PROTOCOL%")->is_literal());
  EXPECT_EQ(HeaderValue::literal("%REQ(x)%").text(), "%REQ(x)%");
}

TEST_F(HeaderValueTest, WithoutARequestNothingIsKnown) {
  context_ = {};
  EXPECT_EQ(evaluate("%REQ(x-user)%%RESP(x)%%PROTOCOL%%UPSTREAM_HOST%"), "");
}

}  // namespace
}  // namespace lateen::runtime
