#include "runtime/text_map.h"

#include <functional>

namespace lateen::runtime {
namespace {

constexpr std::size_t kPlacesMin = 4;

// The first taken place from that of `hash` on that is wanted, up to a free one (tag 0). There must be places.
template <class Place, class Wanted>
std::optional<std::size_t> probe(const std::vector<Place>& places, std::size_t hash, Wanted wanted) {
  const std::size_t mask = places.size() - 1;
  for (std::size_t at = hash & mask; places[at].tag != 0; at = (at + 1) & mask)
    if (wanted(places[at])) return at;
  return std::nullopt;
}

}  // namespace

std::size_t TextMap::hash(std::string_view text) { return std::hash<std::string_view>{}(text); }

// Where `text` is, or the free place that it is to have.
TextMap::Place& TextMap::place_for(std::string_view text, std::size_t hash) {
  const std::uint32_t tag = tag_of(hash);
  std::size_t at = hash & (places_.size() - 1);
  while (places_[at].tag != kFree && (places_[at].tag != tag || places_[at].text != text)) at = (at + 1) & (places_.size() - 1);
  return places_[at];
}

bool TextMap::insert(SharedText text, std::uint32_t number) {
  if ((size_ + 1) * 5 > places_.size() * 4) grow();
  const std::size_t hashed = hash(text);
  Place& place = place_for(text, hashed);
  if (place.tag != kFree) return false;
  place = Place{std::move(text), number, tag_of(hashed)};
  ++size_;
  return true;
}

std::optional<std::uint32_t> TextMap::find(std::string_view text) const {
  const std::optional<std::size_t> place = find_place(text);
  return place ? std::optional(places_[*place].number) : std::nullopt;
}

std::optional<std::size_t> TextMap::find_place(std::string_view text) const {
  if (places_.empty()) return std::nullopt;
  const std::size_t hashed = hash(text);
  return probe(places_, hashed, [&text, tag = tag_of(hashed)](const Place& place) { return place.tag == tag && place.text == text; });
}

std::optional<std::size_t> TextMap::likely_place(std::size_t hash) const {
  if (places_.empty()) return std::nullopt;
  const auto place = probe(places_, hash, [tag = tag_of(hash)](const Place& candidate) { return candidate.tag == tag; });
  if (place) places_[*place].text.prefetch();
  return place;
}

void TextMap::grow() {
  std::vector<Place> before = std::exchange(places_, std::vector<Place>(places_.empty() ? kPlacesMin : places_.size() * 2));
  for (Place& place : before) {
    if (place.tag == kFree) continue;
    Place& to = place_for(place.text, hash(place.text));
    to = std::move(place);
  }
}

}  // namespace lateen::runtime
