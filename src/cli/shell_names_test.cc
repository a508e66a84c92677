#include "cli/shell_names.h"

#include <gtest/gtest.h>

namespace lateen::cli {
namespace {

using Words = std::vector<std::string>;

TEST(ShellNames, MapsWhatTheTutorialTypes) {
  const struct { Translated (*translate)(std::span<const std::string>); Words args; std::string command; Words rest; } cases[] = {
      {translate_kubectl, {"apply", "-f", "fault-injection.yaml"}, "apply", {"-f", "fault-injection.yaml"}},
      {translate_kubectl, {"get", "vs", "-A"}, "get", {"vs", "-A"}},
      {translate_kubectl, {"-n", "blue", "delete", "vs", "x"}, "delete", {"-n", "blue", "vs", "x"}},
      {translate_kubectl, {"--namespace=blue", "describe", "dr", "x"}, "describe", {"--namespace=blue", "dr", "x"}},
      {translate_kubectl, {"exec", "deploy/sleep", "-c", "sleep", "--", "curl", "-s", "-H", "x: y", "http://a/"}, "exec",
       {"deploy/sleep", "-c", "sleep", "--", "curl", "-s", "-H", "x: y", "http://a/"}},
      {translate_istioctl, {"proxy-config", "cluster", "sleep"}, "proxy-config", {"cluster", "sleep"}},
      {translate_istioctl, {"pc", "routes", "sleep.default", "-o", "json"}, "proxy-config", {"routes", "sleep.default", "-o", "json"}},
      {translate_istioctl, {"-i", "istio-system", "analyze", "x.yaml"}, "analyze", {"x.yaml"}},
  };
  for (const auto& wanted : cases) {
    const Translated translated = wanted.translate(wanted.args);
    EXPECT_EQ(translated.command, wanted.command) << translated.refusal;
    EXPECT_EQ(translated.args, wanted.rest);
    EXPECT_EQ(translated.refusal, "");
  }
}

TEST(ShellNames, RefusesTheRestWithAHint) {
  const struct { Translated (*translate)(std::span<const std::string>); Words args; std::string hint; } cases[] = {
      {translate_kubectl, {}, "kubectl apply, get"},
      {translate_kubectl, {"frobnicate"}, "frobnicate is not for this mesh; here work: kubectl apply"},
      {translate_kubectl, {"create", "-f", "x"}, "kubectl apply -f"},
      {translate_kubectl, {"label", "namespace", "default", "istio-injection=enabled"}, "no injection"},
      {translate_kubectl, {"--context", "prod", "delete", "vs", "x"}, "one mesh"},
      {translate_kubectl, {"-n"}, "needs a value"},
      {translate_istioctl, {"install"}, "running already"},
      {translate_istioctl, {"x", "describe"}, "lateen explain"},
      {translate_istioctl, {"tag"}, "istioctl proxy-config"},
  };
  for (const auto& wanted : cases) {
    const Translated translated = wanted.translate(wanted.args);
    EXPECT_EQ(translated.command, "");
    EXPECT_NE(translated.refusal.find(wanted.hint), std::string::npos) << translated.refusal;
  }
}

}  // namespace
}  // namespace lateen::cli
