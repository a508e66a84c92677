#include "cli/exec_arguments.h"

#include <gtest/gtest.h>

namespace lateen::cli {
namespace {

using Words = std::vector<std::string>;

TEST(ExecArguments, ReadsBothForms) {
  const struct { Words args; std::string identity; Words command; } cases[] = {
      {{"--", "curl", "-s", "x"}, "", {"curl", "-s", "x"}},
      {{"--as", "sleep", "--", "sh", "-c", "a -- b"}, "sleep", {"sh", "-c", "a -- b"}},
      {{"--as=blue/sleep", "--", "true"}, "blue/sleep", {"true"}},
      {{"deploy/sleep", "-c", "sleep", "--", "curl"}, "sleep", {"curl"}},
      {{"-it", "deployment.apps/reviews-v1", "-c", "reviews", "--", "sh"}, "reviews-v1", {"sh"}},
      {{"pod/sleep", "-n", "blue", "--", "sh"}, "blue/sleep", {"sh"}},
      {{"sleep", "-i", "-t", "--", "sh"}, "sleep", {"sh"}},
      {{"-n", "blue", "--", "sh"}, "blue/", {"sh"}},
  };
  for (const auto& wanted : cases) {
    const auto parsed = parse_exec_arguments(wanted.args);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->identity, wanted.identity);
    EXPECT_EQ(parsed->command, wanted.command);
  }
}

TEST(ExecArguments, RefusesWithAHint) {
  const struct { Words args; std::string hint; } cases[] = {
      {{}, "--"},
      {{"curl", "http://x"}, "behind --"},
      {{"--"}, "no command"},
      {{"--", ""}, "no command"},
      {{"a", "b", "--", "c"}, "unexpected 'b'"},
      {{"--as", "a", "deploy/b", "--", "c"}, "give one"},
      {{"svc/b", "--", "c"}, "deploy/NAME"},
      {{"deploy/", "--", "c"}, "no workload's name"},
      {{"deploy/sleep", "-c", "istio-proxy", "--", "c"}, "proxy-config"},
      {{"deploy/sleep", "-c", "other", "--", "c"}, "no container other"},
      {{"-c", "x", "--", "c"}, "without a workload"},
      {{"--label", "x", "--", "c"}, "KEY=VALUE"},
      {{"--as", "a/b", "-n", "c", "--", "d"}, "both a namespace"},
      {{"--lable", "x=y", "--", "c"}, "--label"},
  };
  for (const auto& wanted : cases) {
    const auto parsed = parse_exec_arguments(wanted.args);
    ASSERT_FALSE(parsed) << wanted.hint;
    EXPECT_NE(parsed.error().message.find(wanted.hint), std::string::npos) << parsed.error().message;
  }
}

TEST(ExecArguments, LabelsAreKept) {
  const auto parsed = parse_exec_arguments(Words{"--label", "a=1", "--label", "b=x=y", "--", "c"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->labels, (std::map<std::string, std::string>{{"a", "1"}, {"b", "x=y"}}));
}

TEST(ProxyEnvironment, KeepsTheIdentityAsUser) {
  EXPECT_EQ(proxy_environment("sleep", "127.0.0.1:15007")["http_proxy"], "http://sleep:mesh@127.0.0.1:15007");
  EXPECT_EQ(proxy_environment("blue/sl@ep", "127.0.0.1:1")["ALL_PROXY"], "http://blue%2Fsl%40ep:mesh@127.0.0.1:1");
  EXPECT_EQ(proxy_environment("", "127.0.0.1:1")["https_proxy"], "http://127.0.0.1:1");
}

}  // namespace
}  // namespace lateen::cli
