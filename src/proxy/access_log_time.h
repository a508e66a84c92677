// START_TIME's formats: the part of strftime that does not depend on a locale, and fractions of a second.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace lateen::proxy {

// Envoy's default: "2026-11-23T02:59:14.819Z".
inline constexpr std::string_view kAccessLogTimeFormat = "%Y-%m-%dT%H:%M:%E3SZ";

// Whether append_time knows everything in `format`: %Y %m %d %H %M %S %F %T %s %f %1f…%9f %E1S…%E9S %%.
Result<void> check_time_format(std::string_view format);
// In UTC. `format` has been checked.
void append_time(std::string& text, std::string_view format, WallTime time);

}  // namespace lateen::proxy
