// Our xDS is istiod's, for the same manifests and the same proxy: every case of tests/golden/cases.
#include <gtest/gtest.h>

#include <cstdio>

#include "golden_case.h"

namespace lateen::golden {
namespace {

class Golden : public testing::TestWithParam<Case> {};

TEST_P(Golden, IsWhatIstiodSends) {
  constexpr std::size_t kShownMax = 5;
  const std::vector<std::string> found = differences(expected(GetParam()), translated(GetParam()));
  for (std::size_t i = 0; i < found.size() && i < kShownMax; ++i) ADD_FAILURE() << found[i];
  std::printf("%-50s %s\n", GetParam().name.c_str(), found.empty() ? "equal" : "UNEQUAL");
}

INSTANTIATE_TEST_SUITE_P(Corpus, Golden, testing::ValuesIn(all_cases()), [](const auto& of_case) {
  std::string name = of_case.param.name;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

// A comparison that finds nothing would make every case above worthless.
TEST(GoldenComparison, FindsWhatDiffersAndOnlyThat) {
  const Pieces wanted{{"clusters/a", R"({"name":"a","lb_policy":"RANDOM"})"},
                      {"routes/80/x", R"({"name":"x","domains":["p","q"],"routes":[{"name":"1"},{"name":"2"}]})"},
                      {"routes/80/gone", R"({"name":"gone"})"}};
  const Pieces got{{"clusters/a", R"({"name":"a"})"},
                   {"routes/80/x", R"({"name":"x","domains":["q","p"],"routes":[{"name":"2"},{"name":"1"}]})"},
                   {"routes/80/new", R"({"name":"new"})"}};
  EXPECT_EQ(differences(wanted, wanted), std::vector<std::string>{});
  EXPECT_EQ(differences(wanted, got),
            (std::vector<std::string>{"clusters/a: .lb_policy: missing \"RANDOM\"", "routes/80/gone: missing",
                                      "routes/80/new: too much", "routes/80/x: .routes[0].name: wanted \"1\", got \"2\"",
                                      "routes/80/x: .routes[1].name: wanted \"2\", got \"1\""}));
}

}  // namespace
}  // namespace lateen::golden
