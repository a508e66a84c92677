// The Date of HTTP (RFC 9110, section 5.6.7).
#pragma once

#include <array>
#include <string_view>

#include "base/time.h"

namespace lateen::http {

inline constexpr std::size_t kDateBytes = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// Writes the IMF-fixdate of `time` (years 0 to 9999), without a terminator.
void write_date(char* out, WallTime time);
std::array<char, kDateBytes> format_date(WallTime time);

}  // namespace lateen::http
