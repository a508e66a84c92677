// The one Duration and the one Time of the program. Only net::Loop reads a clock; everybody else is told the time.
#pragma once

#include <chrono>

namespace lateen {

using Duration = std::chrono::nanoseconds;
// Monotonic; for deadlines and measuring.
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// Wall clock; for logs, Date headers and creation times only.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

}  // namespace lateen
