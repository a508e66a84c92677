// FieldPositions: where the fields of one object stand in its file. Kept for every object of the mesh, so it is flat: all paths
// in one text, and sixteen bytes a field.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lateen::model {

struct Position {
  int line = 0, column = 0;
  bool operator==(const Position&) const = default;
};

// As it grows: field path ("spec.http[0].route[1].weight") -> where it stands. Every mapping key and list item of the
// document, and "" for the document.
using PositionsByPath = std::map<std::string, Position, std::less<>>;

class FieldPositions {
 public:
  FieldPositions() = default;
  explicit FieldPositions(const PositionsByPath& positions);

  std::optional<Position> find(std::string_view path) const;
  // use(path, position) for every field, by path.
  template <class Use>
  void each(Use&& use) const {
    for (const Entry& entry : entries_) use(path_of(entry), entry.position);
  }
  // The first line that has a field; 0: there is none.
  int first_line() const;
  bool operator==(const FieldPositions&) const = default;

 private:
  struct Entry {
    std::uint32_t path = 0, path_size = 0;   // a part of paths_
    Position position;
    bool operator==(const Entry&) const = default;
  };
  std::string_view path_of(const Entry& entry) const { return std::string_view(paths_).substr(entry.path, entry.path_size); }

  std::vector<Entry> entries_;               // by path
  std::string paths_;
};

}  // namespace lateen::model
