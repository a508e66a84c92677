// "Did you mean": the nearest of a few known words.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace lateen::text {

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. Words are cut at 64 bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that the writer probably meant: equal but for case, '_' and '-'; or few edits away for its length.
std::optional<std::string_view> closest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace lateen::text
