// What istiod refuses is refused, and what it accepts is accepted: tests/golden/validation.yaml holds its verdicts.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "model/read.h"
#include "translate/envoy_filter.h"

namespace lateen::translate {
namespace {

struct Verdict {
  std::string word, name, document;
};

std::vector<Verdict> verdicts() {
  std::ifstream file(std::string(LATEEN_SOURCE_DIR) + "/tests/golden/validation.yaml");
  std::vector<Verdict> out;
  std::string line;
  bool begins = false;
  while (std::getline(file, line)) {
    if (line == "---") {
      begins = true;
    } else if (begins) {
      std::istringstream words(line.substr(2));
      words >> out.emplace_back().word >> out.back().name;
      begins = false;
    } else if (!out.empty()) {
      out.back().document += line + "\n";
    }
  }
  return out;
}

std::vector<Diagnostic> problems_of(const std::string& document, Compat compat) {
  model::ReadResult read = model::read_manifests(document, "input.yaml");
  model::Mesh mesh;
  for (const model::ObjectPtr& object : read.objects) mesh.objects.emplace(object->key(), object);
  std::vector<Diagnostic> out = std::move(read.problems);
  for (Diagnostic& problem : check_envoy_filters(mesh, compat)) out.push_back(std::move(problem));
  return out;
}

std::string all_text(const std::vector<Diagnostic>& problems) {
  std::string out;
  for (const Diagnostic& problem : problems) out += to_string(problem) + "\n";
  return out;
}

TEST(Validation, AgreesWithIstiod) {
  const std::vector<Verdict> all = verdicts();
  ASSERT_GT(all.size(), 200u);
  for (const Verdict& verdict : all) {
    const std::vector<Diagnostic> problems = problems_of(verdict.document, Compat::kIstio);
    if (verdict.word == "unknown-field") continue;
    EXPECT_EQ(has_errors(problems), verdict.word == "refused" || verdict.word == "stricter") << verdict.name << "\n" << verdict.document << all_text(problems);
  }
}

TEST(Validation, EveryRefusalHasAPlaceAndAField) {
  for (const Verdict& verdict : verdicts())
    for (const Diagnostic& problem : problems_of(verdict.document, Compat::kLateen)) {
      EXPECT_GT(problem.origin.line, 0) << verdict.name << ": " << to_string(problem);
      EXPECT_FALSE(problem.message.empty()) << verdict.name;
    }
}

// istiod passes over such fields; here nothing is ignored in silence.
TEST(Validation, UnknownFieldsAreRefusedWithTheirPath) {
  int seen = 0;
  for (const Verdict& verdict : verdicts()) {
    if (verdict.word != "unknown-field") continue;
    const std::vector<Diagnostic> problems = problems_of(verdict.document, Compat::kLateen);
    EXPECT_TRUE(has_errors(problems)) << verdict.name;
    EXPECT_NE(all_text(problems).find("nope"), all_text(problems).find("nonsense")) << verdict.name;
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace lateen::translate
