#include "proxy/access_log_time.h"

#include <array>

namespace lateen::proxy {

namespace {

struct Moment {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::uint32_t nanoseconds = 0;
  std::int64_t epoch_seconds = 0;
};

Moment moment_of(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto of_day = static_cast<unsigned>((seconds - day).count());
  return {.year = static_cast<int>(date.year()),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .hour = of_day / 3600,
          .minute = of_day / 60 % 60,
          .second = of_day % 60,
          .nanoseconds = static_cast<std::uint32_t>((time - seconds).count()),
          .epoch_seconds = std::chrono::duration_cast<std::chrono::seconds>(seconds.time_since_epoch()).count()};
}

void append_digits(std::string& text, std::uint32_t value, std::size_t digits) {
  std::array<char, 10> out{};
  for (std::size_t at = digits; at > 0; value /= 10) out[--at] = static_cast<char>('0' + value % 10);
  text.append(out.data(), digits);
}

void append_fraction(std::string& text, std::uint32_t nanoseconds, std::size_t digits) {
  for (std::size_t i = digits; i < 9; ++i) nanoseconds /= 10;
  append_digits(text, nanoseconds, digits);
}

bool is_width(char c) { return c >= '1' && c <= '9'; }
std::size_t width(char c) { return static_cast<std::size_t>(c - '0'); }

// The length of the specifier at the start of `text` (behind the "%"), 0 if it is not known.
std::size_t specifier_length(std::string_view text) {
  if (text.empty()) return 0;
  if (std::string_view("YmdHMSFTsf%").find(text[0]) != std::string_view::npos) return 1;
  if (is_width(text[0]) && text.size() > 1 && text[1] == 'f') return 2;
  if (text[0] == 'E' && text.size() > 2 && is_width(text[1]) && text[2] == 'S') return 3;
  return 0;
}

void append_specifier(std::string& text, std::string_view specifier, const Moment& at) {
  switch (specifier[0]) {
    case 'Y': append_digits(text, static_cast<std::uint32_t>(at.year), 4); return;
    case 'm': append_digits(text, at.month, 2); return;
    case 'd': append_digits(text, at.day, 2); return;
    case 'H': append_digits(text, at.hour, 2); return;
    case 'M': append_digits(text, at.minute, 2); return;
    case 'S': append_digits(text, at.second, 2); return;
    case 'F':
      append_digits(text, static_cast<std::uint32_t>(at.year), 4);
      append_digits(text += '-', at.month, 2);
      append_digits(text += '-', at.day, 2);
      return;
    case 'T':
      append_digits(text, at.hour, 2);
      append_digits(text += ':', at.minute, 2);
      append_digits(text += ':', at.second, 2);
      return;
    case 's': text += std::to_string(at.epoch_seconds); return;
    case 'f': append_fraction(text, at.nanoseconds, 9); return;
    case 'E':
      append_digits(text, at.second, 2);
      append_fraction(text += '.', at.nanoseconds, width(specifier[1]));
      return;
    case '%': text += '%'; return;
    default: append_fraction(text, at.nanoseconds, width(specifier[0])); return;   // "3f"
  }
}

}  // namespace

Result<void> check_time_format(std::string_view format) {
  for (std::size_t at = format.find('%'); at != std::string_view::npos; at = format.find('%', at)) {
    const std::size_t length = specifier_length(format.substr(at + 1));
    if (length == 0) {
      return fail(ErrorCode::kUnsupported, "time format \"" + std::string(format) + "\": \"" +
                                               std::string(format.substr(at, 2)) +
                                               "\" is not supported; write %Y %m %d %H %M %S %F %T %s %f, %1f to %9f or %E1S to %E9S");
    }
    at += 1 + length;
  }
  return {};
}

void append_time(std::string& text, std::string_view format, WallTime time) {
  const Moment moment = moment_of(time);
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      text += format[at];
      continue;
    }
    const std::size_t length = specifier_length(format.substr(at + 1));
    append_specifier(text, format.substr(at + 1, length), moment);
    at += length;
  }
}

}  // namespace lateen::proxy
