#include "xds/resources.h"

#include <bit>

namespace lateen::xds {
namespace {

// Odd constants with well mixed bits; any such would do, but they must never change: hashes are compared across runs.
constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t kSecond = 0xbf58476d1ce4e5b9ULL;
constexpr std::uint64_t kThird = 0x94d049bb133111ebULL;

// Bytes as a little-endian number, whatever the machine.
std::uint64_t load(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return word;
}

std::uint64_t absorb(std::uint64_t state, std::uint64_t word) {
  state ^= word * kFirst;
  return std::rotl(state, 29) * kSecond;
}

std::uint64_t finish(std::uint64_t state) {
  state = (state ^ (state >> 30)) * kSecond;
  state = (state ^ (state >> 27)) * kThird;
  return state ^ (state >> 31);
}

}  // namespace

std::uint64_t content_hash(std::string_view bytes) {
  std::uint64_t state = kThird ^ bytes.size();
  while (bytes.size() >= 8) {
    state = absorb(state, load(bytes.substr(0, 8)));
    bytes.remove_prefix(8);
  }
  if (!bytes.empty()) state = absorb(state, load(bytes));
  return finish(state);
}

}  // namespace lateen::xds
