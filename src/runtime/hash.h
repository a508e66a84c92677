// hash64: XXH64, which Envoy hashes with (doc/xxhash_spec.md of the xxHash project). Consistent hashing agrees with Envoy
// only if both sides hash alike: what a route makes of a request, and what a ring makes of its hosts.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace lateen::runtime {

namespace xxh64 {
inline constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu, kPrime3 = 0x165667B19E3779F9u,
                               kPrime4 = 0x85EBCA77C2B2AE63u, kPrime5 = 0x27D4EB2F165667C5u;

constexpr std::uint64_t rotate(std::uint64_t value, unsigned bits) { return value << bits | value >> (64 - bits); }

// Little-endian words, whatever the machine's order.
template <class Word>
Word read(const char* at) {
  Word word = 0;
  for (unsigned i = 0; i < sizeof(Word); ++i) word |= static_cast<Word>(static_cast<unsigned char>(at[i])) << (8 * i);
  return word;
}

constexpr std::uint64_t round(std::uint64_t lane, std::uint64_t input) { return rotate(lane + input * kPrime2, 31) * kPrime1; }
constexpr std::uint64_t merge(std::uint64_t hash, std::uint64_t lane) { return (hash ^ round(0, lane)) * kPrime1 + kPrime4; }
}  // namespace xxh64

// The 64-bit hash of `text`.
inline std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0) {
  using namespace xxh64;
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = seed + kPrime5;
  if (left >= 32) {
    std::uint64_t lanes[4] = {seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1};
    for (; left >= 32; at += 32, left -= 32) {
      for (unsigned i = 0; i < 4; ++i) lanes[i] = round(lanes[i], read<std::uint64_t>(at + 8 * i));
    }
    hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    for (const std::uint64_t lane : lanes) hash = merge(hash, lane);
  }
  hash += text.size();
  for (; left >= 8; at += 8, left -= 8) hash = rotate(hash ^ round(0, read<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    hash = rotate(hash ^ read<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
    at += 4;
    left -= 4;
  }
  for (; left > 0; ++at, --left) hash = rotate(hash ^ static_cast<unsigned char>(*at) * kPrime5, 11) * kPrime1;
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace lateen::runtime
