#include "text/duration.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

namespace lateen::text {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Longer names first: "ms" must not be read as "m".
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"\xC2\xB5s", 1'000},
                                         {"\xCE\xBCs", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};

// Enough digits for nanoseconds of the longest unit; what follows cannot change the result.
constexpr int kFractionDigits = 15;

struct Amount {
  std::int64_t whole = 0;
  std::int64_t fraction = 0, scale = 1;
};

std::optional<Amount> take_amount(std::string_view& text) {
  Amount amount;
  std::size_t i = 0;
  const auto digit = [&] { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  for (; digit(); ++i)
    if (__builtin_mul_overflow(amount.whole, 10, &amount.whole) ||
        __builtin_add_overflow(amount.whole, text[i] - '0', &amount.whole))
      return std::nullopt;
  std::size_t digits = i;
  if (i < text.size() && text[i] == '.') {
    ++i;
    for (int taken = 0; digit(); ++i, ++digits, ++taken) {
      if (taken >= kFractionDigits) continue;
      amount.fraction = amount.fraction * 10 + (text[i] - '0');
      amount.scale *= 10;
    }
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(i);
  return amount;
}

std::optional<std::int64_t> take_unit(std::string_view& text) {
  for (const Unit& unit : kUnits)
    if (text.starts_with(unit.name)) {
      text.remove_prefix(unit.name.size());
      return unit.nanoseconds;
    }
  return std::nullopt;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto bad = [] { return fail(ErrorCode::kInvalidConfig, "is not a duration"); };
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return Duration::zero();
  if (text.empty()) return bad();
  std::int64_t total = 0;
  while (!text.empty()) {
    const auto amount = take_amount(text);
    if (!amount) return bad();
    const auto unit = take_unit(text);
    if (!unit) return bad();
    std::int64_t part = 0;
    const auto fraction =
        static_cast<std::int64_t>(static_cast<long double>(amount->fraction) * static_cast<long double>(*unit) / static_cast<long double>(amount->scale));
    if (__builtin_mul_overflow(amount->whole, *unit, &part) || __builtin_add_overflow(part, fraction, &part) ||
        __builtin_add_overflow(total, part, &total))
      return fail(ErrorCode::kInvalidConfig, "is too long for a duration");
  }
  return Duration(negative ? -total : total);
}

std::string format_duration(Duration duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  if (rest == std::numeric_limits<std::int64_t>::min()) return "-2562047h47m16.854775808s";
  std::string text;
  if (rest < 0) {
    text = "-";
    rest = -rest;
  }
  const auto take = [&](std::int64_t unit, std::string_view name) {
    if (rest < unit) return;
    text += std::to_string(rest / unit);
    text += name;
    rest %= unit;
  };
  const auto decimal = [&](std::int64_t unit, std::string_view name) {
    std::string fraction = std::to_string(unit + rest % unit).substr(1);
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    text += std::to_string(rest / unit);
    if (!fraction.empty()) text += "." + fraction;
    text += name;
  };
  take(3'600'000'000'000, "h");
  take(60'000'000'000, "m");
  if (rest == 0) return text;
  if (rest >= 1'000'000'000) decimal(1'000'000'000, "s");
  else if (rest >= 1'000'000) decimal(1'000'000, "ms");
  else if (rest >= 1'000) decimal(1'000, "us");
  else decimal(1, "ns");
  return text;
}

}  // namespace lateen::text
