// Hash functions whose values are part of a contract: consistent hashing must agree with Envoy on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace lateen {

// XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). Envoy hashes headers, cookies and host keys with seed 0.
std::uint64_t xxhash64(std::string_view bytes, std::uint64_t seed = 0);

// MurmurHash64A; the default seed is the one of libstdc++'s std::hash, which Envoy's MURMUR_HASH_2 uses.
inline constexpr std::uint64_t kMurmurSeed = 0xc70f6907;
std::uint64_t murmur_hash2(std::string_view bytes, std::uint64_t seed = kMurmurSeed);

}  // namespace lateen
