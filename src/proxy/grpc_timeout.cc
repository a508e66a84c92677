#include "proxy/grpc_timeout.h"

#include <algorithm>
#include <charconv>

namespace lateen::proxy {
namespace {

// As many as a Duration can hold, and longer than anybody waits.
constexpr std::int64_t kHoursMax = 1'000'000;

}  // namespace

std::optional<Duration> grpc_timeout(const http::HeaderMap& headers) {
  const std::optional<std::string_view> text = headers.get("grpc-timeout");
  if (!text || text->size() < 2 || text->size() > 9) return std::nullopt;
  std::int64_t value = 0;
  const char* unit = text->data() + text->size() - 1;
  const auto [end, error] = std::from_chars(text->data(), unit, value);
  if (error != std::errc() || end != unit || value < 0) return std::nullopt;
  switch (*unit) {
    case 'H': return std::chrono::hours(std::min(value, kHoursMax));
    case 'M': return std::chrono::minutes(value);
    case 'S': return std::chrono::seconds(value);
    case 'm': return std::chrono::milliseconds(value);
    case 'u': return std::chrono::microseconds(value);
    case 'n': return std::chrono::nanoseconds(value);
    default: return std::nullopt;
  }
}

std::string grpc_timeout_text(std::chrono::milliseconds timeout) {
  constexpr std::int64_t kDigitsMax = 99'999'999;
  struct Step {
    std::int64_t by;
    char unit;
  };
  std::int64_t value = timeout.count();
  char unit = 'm';
  for (const Step& step : {Step{1000, 'S'}, Step{60, 'M'}, Step{60, 'H'}}) {
    if (value <= kDigitsMax) break;
    value /= step.by;
    unit = step.unit;
  }
  return std::to_string(std::min(value, kDigitsMax)) + unit;
}

}  // namespace lateen::proxy
