#include "runtime/path_index.h"

#include <algorithm>
#include <cstring>

#include "runtime/snapshot.h"

namespace lateen::runtime {
namespace {

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

// The run that goes on with the lowest number; null: none goes on.
template <class Run>
Run* lowest_of(std::span<Run> runs, std::span<Run> more) {
  Run* lowest = nullptr;
  const auto look = [&lowest](Run& run) {
    if (run.begin != run.end && (lowest == nullptr || *run.begin < *lowest->begin)) lowest = &run;
  };
  for (Run& run : runs) look(run);
  for (Run& run : more) look(run);
  return lowest;
}

}  // namespace

std::uint32_t PathIndex::Candidates::first() const {
  const Run* const lowest = lowest_of(std::span(runs_).first(size_), std::span(more_));
  return lowest == nullptr ? kNone : *lowest->begin;
}

std::uint32_t PathIndex::Candidates::next() {
  Run* const lowest = lowest_of(std::span(runs_).first(size_), std::span(more_));
  return lowest == nullptr ? kNone : *lowest->begin++;
}

void PathIndex::Candidates::add(std::span<const std::uint32_t> run) {
  if (run.empty()) return;
  const Run added{run.data(), run.data() + run.size()};
  if (size_ < kInlineRuns) runs_[size_++] = added;
  else more_.push_back(added);
}

void PathIndex::Candidates::add_unsure(const std::uint32_t& number) {
  unsure_[unsure_[0] == kNone ? 0 : 1] = number;
  add({&number, 1});
}

std::size_t PathIndex::FoldedHash::operator()(std::string_view text) const {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(to_lower(c))) * 1099511628211u;
  return static_cast<std::size_t>(hash);
}

bool PathIndex::FoldedEqual::operator()(std::string_view a, std::string_view b) const { return equals_ignoring_case(a, b); }

// The trie while it grows.
class PathIndex::TrieBuilder {
 public:
  void insert(std::string_view prefix, std::uint32_t route, bool whole_segments);
  Trie finish() const;

 private:
  struct Node {
    std::string label;
    List routes, whole_segments;
    std::vector<std::pair<unsigned char, std::uint32_t>> children;    // by first byte, sorted
    bool is_one_route() const { return children.empty() && routes.size() + whole_segments.size() == 1; }
    std::uint32_t first_route() const { return routes.empty() ? whole_segments.front() : routes.front(); }
  };
  static constexpr std::uint32_t kNoNode = ~std::uint32_t{0};
  std::uint32_t child(std::uint32_t node, char first) const;
  void add_child(std::uint32_t node, char first, std::uint32_t added);
  void split(std::uint32_t node, std::size_t length);

  std::vector<Node> nodes_;
};

std::uint32_t PathIndex::TrieBuilder::child(std::uint32_t node, char first) const {
  const auto& children = nodes_[node].children;
  const auto wanted = static_cast<unsigned char>(first);
  const auto it = std::lower_bound(children.begin(), children.end(), wanted, [](const auto& entry, unsigned char c) { return entry.first < c; });
  return it == children.end() || it->first != wanted ? kNoNode : it->second;
}

void PathIndex::TrieBuilder::add_child(std::uint32_t node, char first, std::uint32_t added) {
  auto& children = nodes_[node].children;
  const std::pair entry(static_cast<unsigned char>(first), added);
  children.insert(std::lower_bound(children.begin(), children.end(), std::pair(entry.first, std::uint32_t{0})), entry);
}

// Cuts the label of `node` after `length` bytes: the node keeps the first part, a new child takes all the rest.
void PathIndex::TrieBuilder::split(std::uint32_t node, std::size_t length) {
  const auto rest = static_cast<std::uint32_t>(nodes_.size());
  nodes_.emplace_back();
  Node& upper = nodes_[node];
  Node& below = nodes_[rest];
  below = std::move(upper);
  upper = Node{};
  upper.label = below.label.substr(0, length);
  below.label.erase(0, length);
  add_child(node, below.label.front(), rest);
}

void PathIndex::TrieBuilder::insert(std::string_view prefix, std::uint32_t route, bool whole_segments) {
  if (nodes_.empty()) nodes_.emplace_back();
  std::uint32_t node = 0;
  while (!prefix.empty()) {
    const std::uint32_t next = child(node, prefix.front());
    if (next == kNoNode) {
      const auto added = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back().label = prefix;
      add_child(node, prefix.front(), added);
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

// Level by level, so that the nodes below one come to stand together.
PathIndex::Trie PathIndex::TrieBuilder::finish() const {
  Trie out;
  if (nodes_.empty()) return out;
  const auto append = [](List& to, const List& from) { to.insert(to.end(), from.begin(), from.end()); };
  List order = {0};
  for (std::size_t at = 0; at < order.size(); ++at) {
    const Node& from = nodes_[order[at]];
    Trie::Node node;
    node.label_size = static_cast<std::uint32_t>(from.label.size());
    if (from.label.size() <= Trie::Node::kLabelBytesInline) {
      std::copy(from.label.begin(), from.label.end(), node.label_inline.begin());
    } else {
      node.label_begin = static_cast<std::uint32_t>(out.labels_.size());
      out.labels_ += from.label;
    }
    node.children = static_cast<std::uint32_t>(out.first_bytes_.size());
    node.children_size = static_cast<std::uint32_t>(from.children.size());
    node.routes = {static_cast<std::uint32_t>(out.routes_.size()), static_cast<std::uint32_t>(from.routes.size())};
    node.whole_segments = static_cast<std::uint32_t>(from.whole_segments.size());
    if (from.routes.size() + from.whole_segments.size() == 1) {
      node.routes.begin = from.first_route();
    } else {
      append(out.routes_, from.routes);
      append(out.routes_, from.whole_segments);
    }
    for (const auto& [first, index] : from.children) {
      out.first_bytes_ += static_cast<char>(first);
      if (nodes_[index].is_one_route()) {
        out.below_.push_back(nodes_[index].first_route());
      } else {
        out.below_.push_back(Trie::kNode | static_cast<std::uint32_t>(order.size()));
        order.push_back(index);
      }
    }
    out.nodes_.push_back(node);
  }
  out.nodes_.shrink_to_fit();
  out.labels_.shrink_to_fit();
  out.first_bytes_.shrink_to_fit();
  out.below_.shrink_to_fit();
  out.routes_.shrink_to_fit();
  return out;
}

const std::uint32_t* PathIndex::Trie::child(const Node& node, char first) const {
  const char* const begin = first_bytes_.data() + node.children;
  const void* const found = std::memchr(begin, first, node.children_size);
  return found == nullptr ? nullptr : below_.data() + node.children + (static_cast<const char*>(found) - begin);
}

std::string_view PathIndex::Trie::label(const Node& node) const {
  const bool is_inline = node.label_size <= Node::kLabelBytesInline;
  return {is_inline ? node.label_inline.data() : labels_.data() + node.label_begin, node.label_size};
}

void PathIndex::Trie::add_routes(const Node& node, bool segment_ends, Candidates& candidates) const {
  const std::uint32_t any = node.routes.size, whole = node.whole_segments;
  if (any + whole == 0) return;
  const std::uint32_t* const first = any + whole == 1 ? &node.routes.begin : routes_.data() + node.routes.begin;
  candidates.add({first, any});
  if (segment_ends) candidates.add({first + any, whole});
}

template <bool kFolded>
void PathIndex::Trie::find(std::string_view path, Candidates& candidates) const {
  if (nodes_.empty()) return;
  const Node* node = nodes_.data();
  for (;;) {
    add_routes(*node, path.empty() || path.front() == '/', candidates);
    if (path.empty()) return;
    const std::uint32_t* const below = child(*node, kFolded ? to_lower(path.front()) : path.front());
    if (below == nullptr) return;
    if ((*below & kNode) == 0) return candidates.add_unsure(*below);
    node = &nodes_[*below & ~kNode];
    if (path.size() < node->label_size) return;
    // The first byte is the child's.
    const std::string_view text = label(*node), here = path.substr(0, text.size());
    if (text.size() > 1 && !(kFolded ? equals_ignoring_case(here, text) : here == text)) return;
    path.remove_prefix(text.size());
  }
}

std::shared_ptr<const PathIndex> PathIndex::build_if_many(std::span<const Route> routes) {
  return routes.size() <= kFewRoutes ? nullptr : build(routes);
}

std::shared_ptr<const PathIndex> PathIndex::build(std::span<const Route> routes) {
  auto index = std::make_shared<PathIndex>();
  TrieBuilder prefixes, folded_prefixes;
  std::unordered_map<std::string_view, List> exact;
  for (std::uint32_t number = 0; number < routes.size(); ++number) {
    const RouteMatch& match = routes[number].match;
    if (match.connect_only) {
      index->connect_.push_back(number);
      continue;
    }
    TrieBuilder& trie = match.case_sensitive ? prefixes : folded_prefixes;
    const std::string path = match.case_sensitive ? match.path : lower(match.path);
    switch (match.path_kind) {
      case RouteMatch::PathKind::kPrefix: trie.insert(path, number, false); break;
      case RouteMatch::PathKind::kSeparatedPrefix: trie.insert(path, number, true); break;
      case RouteMatch::PathKind::kRegex: prefixes.insert(match.more->regex->required_prefix(), number, false); break;
      case RouteMatch::PathKind::kExact:
        if (match.case_sensitive) exact[match.path].push_back(number);
        else index->folded_exact_[path].push_back(number);
        break;
    }
  }
  for (const auto& [path, numbers] : exact) {
    index->exact_.insert(path, static_cast<std::uint32_t>(index->exact_parts_.size()));
    index->exact_parts_.push_back({static_cast<std::uint32_t>(index->exact_routes_.size()), static_cast<std::uint32_t>(numbers.size())});
    index->exact_routes_.insert(index->exact_routes_.end(), numbers.begin(), numbers.end());
  }
  index->prefixes_ = prefixes.finish();
  index->folded_prefixes_ = folded_prefixes.finish();
  return index;
}

void PathIndex::find(std::string_view path, Candidates& candidates) const {
  if (const auto part = exact_.find(path)) candidates.add(exact_parts_[*part].of(exact_routes_));
  if (!folded_exact_.empty())
    if (const auto it = folded_exact_.find(path); it != folded_exact_.end()) candidates.add(it->second);
  prefixes_.find<false>(path, candidates);
  folded_prefixes_.find<true>(path, candidates);
}

}  // namespace lateen::runtime
