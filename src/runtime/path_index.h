// PathIndex: which routes of a virtual host may take a path, in the order of the routes.
//
// Exact paths are found by hash, prefixes by one walk over a compressed trie, so the cost depends on the path and not on
// the number of routes. A regex stands in the trie under the literal text that it must begin with, and is run only if no
// route before it took the request. Routes that differ in headers alone share a path and are tried in order.
//
//                 "/"  [7]                      a node holds the routes whose prefix ends there, ascending;
//              /        \                       the walk for "/api/v2/x" meets [7], [2, 5] and [3]:
//        "api/" [2, 5]  "s" 4                   Candidates merges these lists by route number
//          |
//         "v" 3
//
// Where only one route is left below ("v2", "static"), its number takes the place of a node, and the rest of its text is
// compared in the route itself, which is going to be looked at in any case: among thousands of routes each node on the way
// is a cache miss.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text_map.h"

namespace lateen::runtime {

struct Route;

class PathIndex {
 public:
  // The numbers of the routes are their positions in `routes`.
  static std::shared_ptr<const PathIndex> build(std::span<const Route> routes);
  // Null where looking at the routes one by one costs no more: most virtual hosts have one.
  static std::shared_ptr<const PathIndex> build_if_many(std::span<const Route> routes);
  static constexpr std::size_t kFewRoutes = 3;

  // Ascending runs of route numbers, merged as they are asked for.
  class Candidates {
   public:
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};
    // The next route number, greater than the one before; kNone at the end.
    std::uint32_t next();
    void clear() {
      size_ = 0;
      more_.clear();
      unsure_ = {kNone, kNone};
    }
    // What next() is going to give.
    std::uint32_t first() const;
    // The path of this route is yet to be compared: RouteMatch::path_matches().
    bool unsure(std::uint32_t number) const { return unsure_[0] == number || unsure_[1] == number; }

   private:
    friend class PathIndex;
    struct Run {
      const std::uint32_t* begin;
      const std::uint32_t* end;
    };
    void add(std::span<const std::uint32_t> run);
    void add_unsure(const std::uint32_t& number);

    // More prefixes of one path than this are rare; only then is memory taken.
    static constexpr std::size_t kInlineRuns = 12;
    std::array<Run, kInlineRuns> runs_;        // the first size_ of them
    std::size_t size_ = 0;
    std::vector<Run> more_;
    std::array<std::uint32_t, 2> unsure_{kNone, kNone};   // at most one of each trie
  };

  // Every route whose path predicate matches `path` (without query) is among the candidates. Of the others, only a
  // regex may be there, which the caller still has to run, and what Candidates is unsure of.
  void find(std::string_view path, Candidates& candidates) const;
  // Every route that asks for a CONNECT; find() does not give these.
  void find_connect(Candidates& candidates) const { candidates.add(connect_); }

 private:
  using List = std::vector<std::uint32_t>;
  // A part of an array of route numbers.
  struct Part {
    std::uint32_t begin = 0, size = 0;
    std::span<const std::uint32_t> of(const List& list) const { return std::span(list).subspan(begin, size); }
  };
  struct FoldedHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const;
  };
  struct FoldedEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const;
  };

  class TrieBuilder;

  // A compressed trie over prefixes; kFolded compares without case and holds its labels in lower case.
  class Trie {
   public:
    template <bool kFolded>
    void find(std::string_view path, Candidates& candidates) const;

   private:
    friend class TrieBuilder;
    // Half a cache line, and mostly all that is looked at: a short label and a lone route number stand in it.
    struct alignas(32) Node {
      static constexpr std::uint32_t kLabelBytesInline = 8;
      std::uint32_t children = 0, children_size = 0;           // a part of first_bytes_ and of below_
      Part routes;                                             // the prefix ends here; of one route alone `begin` is the number
      std::uint32_t whole_segments = 0;                        // so many more behind: ... and the path must end or go on with '/'
      std::uint32_t label_size = 0;                            // its first byte was found in first_bytes_
      union {
        std::array<char, kLabelBytesInline> label_inline{};
        std::uint32_t label_begin;                             // of a longer one: in labels_
      };
    };
    const std::uint32_t* child(const Node& node, char first) const;   // in below_; null: none
    std::string_view label(const Node& node) const;
    // `segment_ends`: so does the path behind the node, or it goes on with '/'.
    void add_routes(const Node& node, bool segment_ends, Candidates& candidates) const;
    static constexpr std::uint32_t kNode = std::uint32_t{1} << 31;

    std::vector<Node> nodes_;      // [0] is the root, with an empty label
    std::string first_bytes_;      // of the label of each child
    List below_;                   // of each child: kNode and its place in nodes_, or the number of the only route there
    std::string labels_;
    List routes_;
  };

  TextMap exact_;                  // path -> exact_parts_
  std::vector<Part> exact_parts_;
  List exact_routes_;
  std::unordered_map<std::string, List, FoldedHash, FoldedEqual> folded_exact_;
  Trie prefixes_, folded_prefixes_;
  List connect_;
};

}  // namespace lateen::runtime
