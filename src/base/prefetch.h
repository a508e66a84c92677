// prefetch(): asks for all cache lines of a part of memory at once, so that reading it waits once and not line by line.
#pragma once

#include <cstddef>

namespace lateen {

// From the beginning of one object to the beginning of another that lies behind it, as the members of a struct do.
inline void prefetch(const void* from, const void* to) {
  constexpr std::ptrdiff_t kLine = 64;
  const char* const end = static_cast<const char*>(to);
  for (const char* at = static_cast<const char*>(from); at < end; at += kLine) __builtin_prefetch(at);
  __builtin_prefetch(end - 1);
}

}  // namespace lateen
