#include "cli/flags.h"

#include <gtest/gtest.h>

namespace lateen::cli {
namespace {

constexpr Flag kFlags[] = {
    {"namespace", 'n', "NS", "the namespace"},
    {"filename", 'f', "PATH", "a file"},
    {"dry-run", 0, "", "change nothing"},
};

Result<ParsedFlags> parse(const std::vector<std::string>& args, Positional positional = Positional::kAnywhere) {
  return parse_flags(args, kFlags, positional);
}

TEST(Flags, EveryWayToGiveAValue) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--namespace", "shop"}, {"--namespace=shop"}, {"-n", "shop"}, {"-nshop"}, {"-n=shop"}}) {
    const auto flags = parse(args);
    ASSERT_TRUE(flags) << args.front();
    EXPECT_EQ(flags->get("namespace"), "shop") << args.front();
  }
}

TEST(Flags, RepeatsPositionalsAndTheRest) {
  const auto flags = parse({"vs", "-f", "a", "--dry-run", "name", "-f", "-", "--", "-x", "--help"});
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->positional, (std::vector<std::string>{"vs", "name"}));
  EXPECT_EQ(std::vector<std::string>(flags->all("filename").begin(), flags->all("filename").end()),
            (std::vector<std::string>{"a", "-"}));
  EXPECT_TRUE(flags->has("dry-run"));
  EXPECT_EQ(flags->rest, (std::vector<std::string>{"-x", "--help"}));
  EXPECT_FALSE(flags->help);
}

TEST(Flags, PositionalMayEndTheFlags) {
  const auto flags = parse({"-n", "shop", "curl", "-n", "x"}, Positional::kEndsFlags);
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->positional, (std::vector<std::string>{"curl", "-n", "x"}));
}

TEST(Flags, BadUseIsSaidWithAHint) {
  EXPECT_EQ(parse({"--namspace", "x"}).error().message, "unknown flag --namspace; did you mean --namespace?");
  EXPECT_EQ(parse({"-z"}).error().message, "unknown flag -z");
  EXPECT_EQ(parse({"--filename"}).error().message, "--filename needs a value: PATH");
  EXPECT_EQ(parse({"--dry-run=yes"}).error().message, "--dry-run takes no value");
}

TEST(Flags, HelpIsAlwaysThere) {
  EXPECT_TRUE(parse({"-h"})->help);
  EXPECT_TRUE(parse({"vs", "--help"})->help);
  const std::string text = to_text({"lateen get KIND", "Lists.", kFlags, "  lateen get vs"});
  for (const char* part : {"usage: lateen get KIND", "-n, --namespace NS", "    --dry-run", "-h, --help", "examples:"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace lateen::cli
