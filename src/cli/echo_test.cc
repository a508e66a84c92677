#include <gtest/gtest.h>

#include "cli/echo_arguments.h"
#include "cli/echo_workload.h"
#include "cli/registration.h"

namespace lateen::cli {
namespace {

using Words = std::vector<std::string>;

TEST(EchoArguments, FillsTheRegistration) {
  const auto parsed = parse_echo_arguments(Words{"--service", "reviews", "--version", "v2", "--port", "80", "-n", "blue", "-l", "tier=web", "--delay", "1.5s",
                                                 "--status", "500", "--call", "http://ratings:9080", "--call", "http://details:9080/x?y"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  const Registration& registration = parsed->registration;
  EXPECT_EQ(registration.service, "reviews");
  EXPECT_EQ(registration.identity, "reviews-v2");
  EXPECT_EQ(registration.namespace_, "blue");
  EXPECT_EQ(registration.service_port, 80);
  EXPECT_EQ(registration.labels, (std::map<std::string, std::string>{{"app", "reviews"}, {"tier", "web"}, {"version", "v2"}}));
  EXPECT_EQ(parsed->delay, std::chrono::milliseconds(1500));
  EXPECT_EQ(parsed->status, 500);
  ASSERT_EQ(parsed->calls.size(), 2U);
  EXPECT_EQ(parsed->calls[0].url, "http://ratings:9080/");
  EXPECT_EQ(parsed->calls[0].authority, "ratings:9080");
  EXPECT_EQ(parsed->calls[1].url, "http://details:9080/x?y");
}

TEST(EchoArguments, RefusesWithAHint) {
  const struct { Words args; std::string hint; } cases[] = {
      {{}, "--service is missing"},
      {{"--service", "Reviews"}, "lower-case"},
      {{"--service", "a", "--status", "99"}, "200 to 599"},
      {{"--service", "a", "--status", "5x"}, "200 to 599"},
      {{"--service", "a", "--port", "0"}, "1 to 65535"},
      {{"--service", "a", "--delay", "soon"}, "2s"},
      {{"--service", "a", "--delay", "-1s"}, "2s"},
      {{"--service", "a", "--hang", "--reset"}, "give one"},
      {{"--service", "a", "--call", "ratings:9080"}, "http://SERVICE"},
      {{"--service", "a", "--call", "http:///x"}, "http://SERVICE"},
      {{"--service", "a", "--header", "x"}, "NAME:VALUE"},
      {{"--service", "a", "--header", "x y: z"}, "NAME:VALUE"},
      {{"--service", "a", "--label", "=x"}, "KEY=VALUE"},
      {{"--service", "a", "extra"}, "unexpected 'extra'"},
  };
  for (const auto& wanted : cases) {
    const auto parsed = parse_echo_arguments(wanted.args);
    ASSERT_FALSE(parsed) << wanted.hint;
    EXPECT_NE(parsed.error().message.find(wanted.hint), std::string::npos) << parsed.error().message;
  }
}

TEST(Registration, ComesBackAsItWas) {
  Registration registration;
  registration.service = "reviews";
  registration.version = "v1";
  registration.identity = "reviews-v1";
  registration.address = "127.0.0.1";
  registration.port = 34567;
  registration.labels = {{"app", "reviews"}};
  EXPECT_EQ(parse_registration(to_json(registration)).value(), registration);
  const RegistrationAnswer answer{"reviews-v1-2", "127.0.0.1:15007"};
  EXPECT_EQ(parse_registration_answer(to_json(answer)).value(), answer);
}

TEST(Registration, RefusesWhatIsIncomplete) {
  for (const char* text : {"", "{}", R"({"identity":"a","service":"s","address":"x"})", R"({"identity":"a","service":"s","port":1})",
                           R"({"identity":"a","namespace":""})", R"({"identity":"a","protocol":"smtp"})", R"({"identity":"a","port":70000})"}) {
    EXPECT_FALSE(parse_registration(text)) << text;
  }
}

TEST(EchoAnswer, IsJsonAboutItselfAndTheRequest) {
  EchoArguments arguments;
  arguments.registration.service = "reviews";
  arguments.registration.version = "v2";
  arguments.message = "two";
  const EchoRequest request{"GET", "/reviews/1?x", {{"host", "reviews:9080"}, {"x-a", "1"}, {"x-a", "2"}}, 3, http::Version::kHttp2};
  EchoCallResult good, bad;
  good.url = bad.url = "http://ratings:9080/";
  good.status = 200;
  good.content = R"({"version":"v1"})";
  bad.error = "no answer in time";
  EXPECT_EQ(echo_answer(arguments, "reviews-v2-2", request, {good, bad}),
            R"({"service":"reviews","version":"v2","instance":"reviews-v2-2","body":"two","method":"GET","path":"/reviews/1?x",)"
            R"("headers":{"host":"reviews:9080","x-a":"1, 2"},"protocol":"HTTP/2","bodyBytes":3,)"
            R"("calls":[{"url":"http://ratings:9080/","status":200,"body":{"version":"v1"}},{"url":"http://ratings:9080/","error":"no answer in time"}]})"
            "\n");
}

TEST(EchoAnswer, PassesOnWhatBelongsToTheUserAndTheTrace) {
  for (const char* name : {"end-user", "x-request-id", "traceparent", "x-b3-traceid", "x-canary-test"}) EXPECT_TRUE(is_passed_on(name)) << name;
  for (const char* name : {"host", "user-agent", "x-forwarded-proto", "x-envoy-attempt-count", "content-length"}) EXPECT_FALSE(is_passed_on(name)) << name;
}

TEST(BasicAuthorization, HasTheVectorsOfRfc4648) {
  EXPECT_EQ(basic_authorization("", ""), "Basic Og==");
  EXPECT_EQ(basic_authorization("sleep", "mesh"), "Basic c2xlZXA6bWVzaA==");
  EXPECT_EQ(basic_authorization("a", "b"), "Basic YTpi");
  EXPECT_EQ(basic_authorization("ab", "\xFF"), "Basic YWI6/w==");
}

}  // namespace
}  // namespace lateen::cli
