// TextMap: numbers by text, in the order of nothing. Flat and probed linearly, 16 bytes a place: it is made once, of tens of
// thousands of texts, and asked for every request. The texts are shared with whoever else has them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/shared_text.h"

namespace lateen::runtime {

class TextMap {
 public:
  TextMap() = default;
  TextMap(std::initializer_list<std::pair<const char*, std::uint32_t>> entries) {
    for (const auto& [text, number] : entries) insert(text, number);
  }

  // False: the text is there already, and keeps its number.
  bool insert(SharedText text, std::uint32_t number);
  std::optional<std::uint32_t> find(std::string_view text) const;
  // Asks for the memory that find() is going to look at.
  void prefetch(std::string_view text) const;
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Place {
    SharedText text;
    std::uint32_t number = 0;
    std::uint32_t tag = kFree;                 // of the hash, so that other texts are hardly looked at
  };
  static constexpr std::uint32_t kFree = 0;
  static std::uint32_t tag_of(std::size_t hash) { return static_cast<std::uint32_t>(hash >> 32) | 1U; }
  Place& place_for(std::string_view text, std::size_t hash);
  void grow();

  std::vector<Place> places_;                  // a power of two of them, at most 4/5 taken
  std::size_t size_ = 0;
};

}  // namespace lateen::runtime
