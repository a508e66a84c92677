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
  // Where it is, from 0 to places(): for what others keep beside the numbers. A place is good until the next insert().
  std::optional<std::size_t> find_place(std::string_view text) const;
  std::size_t places() const { return places_.size(); }
  // use(place, number) for each text.
  template <class Use>
  void for_each_place(Use use) const {
    for (std::size_t place = 0; place < places_.size(); ++place)
      if (places_[place].tag != kFree) use(place, places_[place].number);
  }

  // find_place() in steps, for whoever has other work between them: each asks for the memory that the next one looks at.
  // What likely_place() gives is the place of a text with such a hash: that it is the text, only find_place() says.
  static std::size_t hash(std::string_view text);
  std::size_t first_place(std::size_t hash) const { return hash & (places_.size() - 1); }   // unless it is empty()
  void prefetch(std::size_t place) const { __builtin_prefetch(&places_[place]); }
  std::optional<std::size_t> likely_place(std::size_t hash) const;
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
