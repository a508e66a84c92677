#include "runtime/path_index.h"

#include <algorithm>

#include "runtime/snapshot.h"

namespace lateen::runtime {
namespace {

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

}  // namespace

std::uint32_t PathIndex::Candidates::next() {
  Run* lowest = nullptr;
  const auto look = [&lowest](Run& run) {
    if (run.begin != run.end && (lowest == nullptr || *run.begin < *lowest->begin)) lowest = &run;
  };
  for (std::size_t i = 0; i < size_; ++i) look(runs_[i]);
  for (Run& run : more_) look(run);
  return lowest == nullptr ? kNone : *lowest->begin++;
}

void PathIndex::Candidates::add(std::span<const std::uint32_t> run) {
  if (run.empty()) return;
  const Run added{run.data(), run.data() + run.size()};
  if (size_ < kInlineRuns) runs_[size_++] = added;
  else more_.push_back(added);
}

std::size_t PathIndex::FoldedHash::operator()(std::string_view text) const {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(to_lower(c))) * 1099511628211u;
  return static_cast<std::size_t>(hash);
}

bool PathIndex::FoldedEqual::operator()(std::string_view a, std::string_view b) const { return equals_ignoring_case(a, b); }

std::uint32_t PathIndex::Trie::child(std::uint32_t node, char first) const {
  const auto& children = nodes_[node].children;
  const auto it = std::lower_bound(children.begin(), children.end(), first,
                                   [](const auto& entry, char c) { return entry.first < c; });
  return it == children.end() || it->first != first ? kNoNode : it->second;
}

// Cuts the label of `node` after `length` bytes: the node keeps the first part, a new child takes all the rest.
void PathIndex::Trie::split(std::uint32_t node, std::size_t length) {
  const auto rest = static_cast<std::uint32_t>(nodes_.size());
  nodes_.emplace_back();
  Node& upper = nodes_[node];
  Node& below = nodes_[rest];
  below = std::move(upper);
  upper = Node{};
  upper.label = below.label.substr(0, length);
  below.label.erase(0, length);
  upper.children.emplace_back(below.label.front(), rest);
}

void PathIndex::Trie::insert(std::string_view prefix, std::uint32_t route, bool whole_segments) {
  if (nodes_.empty()) nodes_.emplace_back();
  std::uint32_t node = 0;
  while (!prefix.empty()) {
    const std::uint32_t next = child(node, prefix.front());
    if (next == kNoNode) {
      const auto added = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back().label = prefix;
      auto& children = nodes_[node].children;
      children.insert(std::lower_bound(children.begin(), children.end(), std::pair(prefix.front(), std::uint32_t{0})),
                      {prefix.front(), added});
      node = added;
      break;
    }
    const std::string_view label = nodes_[next].label;
    const auto common = static_cast<std::size_t>(
        std::mismatch(label.begin(), label.end(), prefix.begin(), prefix.end()).first - label.begin());
    if (common < label.size()) split(next, common);
    prefix.remove_prefix(common);
    node = next;
  }
  (whole_segments ? nodes_[node].whole_segments : nodes_[node].routes).push_back(route);
}

template <bool kFolded>
void PathIndex::Trie::find(std::string_view path, Candidates& candidates) const {
  if (nodes_.empty()) return;
  std::uint32_t at = 0;
  for (;;) {
    const Node& node = nodes_[at];
    candidates.add(node.routes);
    if (path.empty() || path.front() == '/') candidates.add(node.whole_segments);
    if (path.empty()) return;
    at = child(at, kFolded ? to_lower(path.front()) : path.front());
    if (at == kNoNode) return;
    const std::string_view label = nodes_[at].label;
    if (path.size() < label.size()) return;
    if (kFolded ? !equals_ignoring_case(path.substr(0, label.size()), label) : !path.starts_with(label)) return;
    path.remove_prefix(label.size());
  }
}

std::shared_ptr<const PathIndex> PathIndex::build(std::span<const Route> routes) {
  auto index = std::make_shared<PathIndex>();
  for (std::uint32_t number = 0; number < routes.size(); ++number) {
    const RouteMatch& match = routes[number].match;
    if (match.connect_only) {
      index->connect_.push_back(number);
      continue;
    }
    Trie& trie = match.case_sensitive ? index->prefixes_ : index->folded_prefixes_;
    const std::string path = match.case_sensitive ? match.path : lower(match.path);
    switch (match.path_kind) {
      case RouteMatch::PathKind::kPrefix: trie.insert(path, number, false); break;
      case RouteMatch::PathKind::kSeparatedPrefix: trie.insert(path, number, true); break;
      case RouteMatch::PathKind::kRegex: index->prefixes_.insert(match.regex->required_prefix(), number, false); break;
      case RouteMatch::PathKind::kExact:
        if (match.case_sensitive) index->exact_[path].push_back(number);
        else index->folded_exact_[path].push_back(number);
        break;
    }
  }
  return index;
}

void PathIndex::find(std::string_view path, Candidates& candidates) const {
  if (!exact_.empty())
    if (const auto it = exact_.find(path); it != exact_.end()) candidates.add(it->second);
  if (!folded_exact_.empty())
    if (const auto it = folded_exact_.find(path); it != folded_exact_.end()) candidates.add(it->second);
  prefixes_.find<false>(path, candidates);
  folded_prefixes_.find<true>(path, candidates);
}

}  // namespace lateen::runtime
