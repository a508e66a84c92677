// The one Duration and the one Time of the program. Only net::Loop reads a clock; everybody else is told the time.
#pragma once

#include <chrono>
#include <optional>

namespace lateen {

using Duration = std::chrono::nanoseconds;
// Monotonic; for deadlines and measuring.
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// Wall clock; for logs, Date headers and creation times only.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// An std::optional<Duration> in eight bytes, for what is kept in great numbers. Used like one.
class OptionalDuration {
 public:
  constexpr OptionalDuration() = default;
  constexpr OptionalDuration(std::nullopt_t) {}                                     // NOLINT: as std::optional
  template <class Rep, class Period>
  constexpr OptionalDuration(std::chrono::duration<Rep, Period> value) : value_(value) {}         // NOLINT
  constexpr OptionalDuration(std::optional<Duration> value) : value_(value.value_or(kNone)) {}   // NOLINT
  constexpr explicit operator bool() const { return value_ != kNone; }
  constexpr bool has_value() const { return value_ != kNone; }
  constexpr const Duration& operator*() const { return value_; }
  constexpr Duration value_or(Duration otherwise) const { return has_value() ? value_ : otherwise; }
  constexpr operator std::optional<Duration>() const { return has_value() ? std::optional(value_) : std::nullopt; }   // NOLINT
  friend constexpr bool operator==(OptionalDuration a, OptionalDuration b) { return a.value_ == b.value_; }

 private:
  static constexpr Duration kNone = Duration::min();
  Duration value_ = kNone;
};

}  // namespace lateen
