// Rules and matches that never take a request, because an earlier one takes all of theirs.
#include <optional>

#include "analyze/coverage.h"
#include "analyze/findings.h"

namespace lateen::analyze {

namespace {

const model::HttpMatchRequest kNoCondition;

// The match blocks of a rule; a rule without any has one that takes everything.
std::vector<const model::HttpMatchRequest*> blocks_of(const model::HttpRoute& route) {
  std::vector<const model::HttpMatchRequest*> blocks;
  for (const model::HttpMatchRequest& match : route.match) blocks.push_back(&match);
  if (blocks.empty()) blocks.push_back(&kNoCondition);
  return blocks;
}

struct Earlier {
  const model::HttpMatchRequest* match;
  std::string path;
};

std::string what(const model::Object& object, const Earlier& earlier) {
  return (takes_everything(*earlier.match) ? "the catch-all " : "the wider match ") + place_text(object, earlier.path);
}

const Earlier* find_cover(const std::vector<Earlier>& earlier, const model::HttpMatchRequest& match) {
  for (const Earlier& candidate : earlier)
    if (covers(*candidate.match, match)) return &candidate;
  return nullptr;
}

void check_rule(Findings& findings, const model::Object& object, const model::HttpRoute& route, const std::string& path, std::vector<Earlier>& earlier) {
  const auto blocks = blocks_of(route);
  std::vector<Earlier> own;
  std::vector<std::pair<std::string, const Earlier*>> covered;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string block_path = route.match.empty() ? path : path + "." + item("match", i);
    const Earlier* cover = find_cover(earlier, *blocks[i]);
    if (cover == nullptr) cover = find_cover(own, *blocks[i]);
    if (cover != nullptr) covered.emplace_back(block_path, cover);
    own.push_back({blocks[i], block_path});
  }
  // One finding for a rule that is covered as a whole, else one for each block.
  bool by_earlier_rules = covered.size() == blocks.size();
  for (const auto& [block_path, cover] : covered)
    for (const Earlier& mine : own) by_earlier_rules = by_earlier_rules && cover->path != mine.path;
  if (by_earlier_rules) findings.add(Finding::kUnreachableRule, object, path, {what(object, *covered.front().second)});
  else
    for (const auto& [block_path, cover] : covered) findings.add(Finding::kUnreachableMatch, object, block_path, {what(object, *cover)});
  std::move(own.begin(), own.end(), std::back_inserter(earlier));
}

}  // namespace

void find_unreachable(Findings& findings) {
  // Each block is held against all before it: beyond this many the square of their number would be felt.
  constexpr std::size_t kMaxBlocks = 2'000;
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService)) {
    std::vector<Earlier> earlier;
    for (std::size_t i = 0; i < service->http.size() && earlier.size() < kMaxBlocks; ++i)
      check_rule(findings, *object, service->http[i], item("spec.http", i), earlier);
  }
}

}  // namespace lateen::analyze
