// prefetch(): asks for all cache lines of an object at once, so that reading it waits once and not line by line.
#pragma once

#include <cstddef>

namespace lateen {

template <class T>
inline void prefetch(const T& object) {
  constexpr std::size_t kLine = 64;
  const char* const begin = reinterpret_cast<const char*>(&object);
  for (std::size_t at = 0; at < sizeof(T); at += kLine) __builtin_prefetch(begin + at);
}

}  // namespace lateen
