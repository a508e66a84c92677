// Durations as Go writes them: "1h30m", "1.5s", "100ms". Istio's YAML uses this form.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace lateen::text {

// Units: ns, us, ms, s, m, h; several in a row; a sign; "0". Beyond 64 bits of nanoseconds is an error.
Result<Duration> parse_duration(std::string_view text);

// The shortest exact form: "10s", "1.5s", "300ms", "1h30m", "0s".
std::string format_duration(Duration duration);

}  // namespace lateen::text
