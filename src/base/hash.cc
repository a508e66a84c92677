#include "base/hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace lateen {
namespace {

// The primes of the specification.
constexpr std::uint64_t kPrime1 = 0x9e3779b185ebca87, kPrime2 = 0xc2b2ae3d27d4eb4f, kPrime3 = 0x165667b19e3779f9,
                        kPrime4 = 0x85ebca77c2b2ae63, kPrime5 = 0x27d4eb2f165667c5;
constexpr std::size_t kStripe = 32;

// Both functions are defined over little-endian words.
template <class Word>
Word take(std::string_view& bytes) {
  Word word;
  std::memcpy(&word, bytes.data(), sizeof word);
  bytes.remove_prefix(sizeof word);
  if constexpr (std::endian::native == std::endian::big) {
    Word swapped = 0;
    for (std::size_t i = 0; i < sizeof word; ++i) swapped = static_cast<Word>((swapped << 8U) | ((word >> (8U * i)) & 0xffU));
    return swapped;
  }
  return word;
}

std::uint64_t round_of(std::uint64_t accumulator, std::uint64_t word) {
  return std::rotl(accumulator + word * kPrime2, 31) * kPrime1;
}

std::uint64_t hash_stripes(std::string_view& bytes, std::uint64_t seed) {
  std::array<std::uint64_t, 4> lanes = {seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1};
  while (bytes.size() >= kStripe) {
    for (std::uint64_t& lane : lanes) lane = round_of(lane, take<std::uint64_t>(bytes));
  }
  std::uint64_t hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  for (const std::uint64_t lane : lanes) hash = (hash ^ round_of(0, lane)) * kPrime1 + kPrime4;
  return hash;
}

}  // namespace

std::uint64_t xxhash64(std::string_view bytes, std::uint64_t seed) {
  const std::uint64_t size = bytes.size();
  std::uint64_t hash = size >= kStripe ? hash_stripes(bytes, seed) : seed + kPrime5;
  hash += size;
  while (bytes.size() >= 8) hash = std::rotl(hash ^ round_of(0, take<std::uint64_t>(bytes)), 27) * kPrime1 + kPrime4;
  if (bytes.size() >= 4) hash = std::rotl(hash ^ take<std::uint32_t>(bytes) * kPrime1, 23) * kPrime2 + kPrime3;
  while (!bytes.empty()) hash = std::rotl(hash ^ take<std::uint8_t>(bytes) * kPrime5, 11) * kPrime1;
  hash = (hash ^ (hash >> 33U)) * kPrime2;
  hash = (hash ^ (hash >> 29U)) * kPrime3;
  return hash ^ (hash >> 32U);
}

std::uint64_t murmur_hash2(std::string_view bytes, std::uint64_t seed) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr unsigned kShift = 47;
  std::uint64_t hash = seed ^ (bytes.size() * kMultiplier);
  while (bytes.size() >= 8) {
    std::uint64_t word = take<std::uint64_t>(bytes) * kMultiplier;
    word = (word ^ (word >> kShift)) * kMultiplier;
    hash = (hash ^ word) * kMultiplier;
  }
  if (!bytes.empty()) {
    std::uint64_t tail = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) tail = (tail << 8U) | static_cast<std::uint8_t>(bytes[i]);
    hash = (hash ^ tail) * kMultiplier;
  }
  hash = (hash ^ (hash >> kShift)) * kMultiplier;
  return hash ^ (hash >> kShift);
}

}  // namespace lateen
