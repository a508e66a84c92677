// The test cases of llhttp (shared/corpora/llhttp beside the repository, or $LATEEN_CORPORA/llhttp): what its strict
// parser does not read to its end we do not either, and no cut of any case changes what we say.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "http/walk_test.h"

namespace lateen::http {
namespace {

struct Case {
  std::string name;    // "request/sample.md: Simple request"
  std::string kind;    // "request", "request-lenient-headers", "response" ...
  std::string bytes;
  bool error = false;        // the reference parser refused it
  std::size_t messages = 0;  // how many it had read to their end by then
};

std::filesystem::path corpora() {
  const char* folder = std::getenv("LATEEN_CORPORA");
  return folder != nullptr ? std::filesystem::path(folder) : std::filesystem::path(LATEEN_SOURCE_DIR) / "../shared/corpora";
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// In a block lines end in CRLF, a backslash at the end of a line joins it to the next, and \r \n \t \f \xNN are bytes.
std::string bytes_of(std::string block) {
  if (!block.empty()) block.pop_back();   // the line end before the closing fence
  replace_all(block, "\\\n", "");
  replace_all(block, "\n", "\r\n");
  std::string out;
  for (std::size_t at = 0; at < block.size(); ++at) {
    const char next = at + 1 < block.size() ? block[at + 1] : '\0';
    if (block[at] != '\\' || std::string_view("rntfx").find(next) == std::string_view::npos) {
      out += block[at];
      continue;
    }
    ++at;
    switch (next) {
      case 'r': out += '\r'; break;
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'f': out += '\f'; break;
      default:
        out += static_cast<char>(std::stoi(block.substr(at + 1, 2), nullptr, 16));
        at += 2;
    }
  }
  return out;
}

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

std::vector<Case> read_cases(const std::filesystem::path& file) {
  std::vector<Case> cases;
  std::ifstream in(file);
  std::string line, title, kind, fence, block;
  while (std::getline(in, line)) {
    if (fence.empty() && line.starts_with("#")) title = line.substr(line.find_first_not_of("# "));
    if (fence.empty() && line.starts_with("<!-- meta=")) {
      const std::size_t at = line.find("\"type\": \"");
      kind = at == std::string::npos ? "" : line.substr(at + 9, line.find('"', at + 9) - at - 9);
    }
    if (!line.starts_with("```")) {
      if (!fence.empty()) block += line + "\n";
      continue;
    }
    if (fence.empty()) {
      fence = line;
      block.clear();
      continue;
    }
    const std::string where = file.parent_path().filename().string() + "/" + file.filename().string();
    if (fence == "```http") cases.push_back({where + ": " + title, kind, bytes_of(block)});
    if (fence == "```log" && !cases.empty()) {
      cases.back().error = block.find(" error code=") != std::string::npos;
      cases.back().messages = count_of(block, " message complete");
    }
    fence.clear();
  }
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* side : {"request", "response"}) {
    const std::filesystem::path folder = corpora() / "llhttp" / "test" / side;
    if (!std::filesystem::is_directory(folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      for (Case& c : read_cases(entry.path())) cases.push_back(std::move(c));
    }
  }
  return cases;
}

std::string walked(const Case& c, std::size_t first) {
  Walk walk(c.kind.starts_with("response") ? Walk::Side::kResponses : Walk::Side::kRequests);
  walk.feed(c.bytes.substr(0, first));
  walk.feed(c.bytes.substr(first));
  return walk.text() + walk.body();
}

// Cases in which the reference parser refuses what is legal: it has a list of the methods that it knows.
bool is_its_own_matter(const Case& c) { return c.name == "request/invalid.md: HTTP protocol and ANNOUNCE method"; }

TEST(LlhttpCases, AreNotReadFurtherThanLlhttpReadsThem) {
  const std::vector<Case> cases = all_cases();
  if (cases.empty()) {
    std::printf("skipped: no %s\n", (corpora() / "llhttp").c_str());
    GTEST_SKIP();
  }
  std::size_t refused = 0;
  for (const Case& c : cases) {
    if ((c.kind != "request" && c.kind != "response") || !c.error || is_its_own_matter(c)) continue;
    Walk walk(c.kind == "response" ? Walk::Side::kResponses : Walk::Side::kRequests);
    walk.feed(c.bytes);
    EXPECT_LE(walk.messages(), c.messages) << c.name << "\n" << c.bytes << "\n-> " << walk.text();
    refused += walk.refused() ? 1 : 0;
  }
  EXPECT_GT(refused, 20u);
}

TEST(LlhttpCases, SayTheSameHoweverTheyAreCut) {
  for (const Case& c : all_cases()) {
    const std::string whole = walked(c, c.bytes.size());
    for (std::size_t first = 0; first < c.bytes.size(); ++first) ASSERT_EQ(walked(c, first), whole) << c.name << " at " << first;
  }
}

}  // namespace
}  // namespace lateen::http
