#include "text/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace lateen::text {

namespace {

constexpr std::array kNulls = {"", "~", "null", "Null", "NULL"};
constexpr std::array kTrues = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"};
constexpr std::array kFalses = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"};

template <class Words>
bool is_one_of(std::string_view word, const Words& words) {
  return std::any_of(words.begin(), words.end(), [word](std::string_view other) { return word == other; });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// [-+]? (digits [. digits*] | . digits) ([eE] [-+]? digits)?
bool is_decimal(std::string_view word) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t from = i;
    while (i < word.size() && is_digit(word[i])) ++i;
    return i - from;
  };
  if (i < word.size() && (word[i] == '-' || word[i] == '+')) ++i;
  std::size_t mantissa = digits();
  if (i < word.size() && word[i] == '.') {
    ++i;
    mantissa += digits();
  }
  if (mantissa == 0) return false;
  if (i < word.size() && (word[i] == 'e' || word[i] == 'E')) {
    ++i;
    if (i < word.size() && (word[i] == '-' || word[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == word.size();
}

struct Radix {
  int base;
  std::string_view digits;
  bool negative;
};

std::optional<Radix> split_radix(std::string_view word) {
  const bool negative = word.starts_with('-');
  if (negative || word.starts_with('+')) word.remove_prefix(1);
  if (word.size() < 3 || word[0] != '0') return std::nullopt;
  const char letter = word[1];
  const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (base == 0) return std::nullopt;
  return Radix{base, word.substr(2), negative};
}

std::optional<std::int64_t> parse_radix(std::string_view word) {
  const auto radix = split_radix(word);
  if (!radix) return std::nullopt;
  std::int64_t value = 0;
  const char* end = radix->digits.data() + radix->digits.size();
  const auto [stop, error] = std::from_chars(radix->digits.data(), end, value, radix->base);
  if (error != std::errc() || stop != end || value < 0) return std::nullopt;
  return radix->negative ? -value : value;
}

}  // namespace

Node::Type plain_scalar_type(std::string_view word) {
  if (is_one_of(word, kNulls)) return Node::Type::kNull;
  if (is_one_of(word, kTrues) || is_one_of(word, kFalses)) return Node::Type::kBool;
  if (is_decimal(word) || parse_radix(word)) return Node::Type::kNumber;
  return Node::Type::kString;
}

bool plain_bool(std::string_view word) { return is_one_of(word, kTrues); }

std::optional<std::int64_t> parse_integer(std::string_view word) {
  if (const auto value = parse_radix(word)) return value;
  if (word.starts_with('+')) word.remove_prefix(1);
  std::int64_t value = 0;
  const char* end = word.data() + word.size();
  if (const auto [stop, error] = std::from_chars(word.data(), end, value); error == std::errc() && stop == end) return value;
  const auto number = parse_number(word);
  constexpr double kLimit = 9007199254740992.0;  // 2^53: above it a double is not exact
  if (!number || std::floor(*number) != *number || std::abs(*number) > kLimit) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<double> parse_number(std::string_view word) {
  if (const auto value = parse_radix(word)) return static_cast<double>(*value);
  if (!is_decimal(word)) return std::nullopt;
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace lateen::text
