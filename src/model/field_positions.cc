#include "model/field_positions.h"

#include <algorithm>

namespace lateen::model {

FieldPositions::FieldPositions(const PositionsByPath& positions) {
  std::size_t bytes = 0;
  for (const auto& [path, position] : positions) bytes += path.size();
  paths_.reserve(bytes);
  entries_.reserve(positions.size());
  for (const auto& [path, position] : positions) {
    entries_.push_back({static_cast<std::uint32_t>(paths_.size()), static_cast<std::uint32_t>(path.size()), position});
    paths_ += path;
  }
}

std::optional<Position> FieldPositions::find(std::string_view path) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), path,
                                   [this](const Entry& entry, std::string_view wanted) { return path_of(entry) < wanted; });
  return it == entries_.end() || path_of(*it) != path ? std::nullopt : std::optional(it->position);
}

int FieldPositions::first_line() const {
  int first = 0;
  each([&](std::string_view, Position position) {
    if (position.line > 0 && (first == 0 || position.line < first)) first = position.line;
  });
  return first;
}

}  // namespace lateen::model
