#include "http/date.h"

#include <cstring>

namespace lateen::http {

namespace {

void put_digits(char* out, unsigned value, int digits) {
  for (int at = digits - 1; at >= 0; --at, value /= 10) out[at] = static_cast<char>('0' + value % 10);
}

}  // namespace

void write_date(char* out, WallTime time) {
  constexpr char kDays[] = "SunMonTueWedThuFriSat";
  constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::weekday weekday(day);
  const auto second = static_cast<unsigned>(std::chrono::floor<std::chrono::seconds>(time - day).count());

  std::memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", kDateBytes);
  std::memcpy(out, kDays + 3 * weekday.c_encoding(), 3);
  put_digits(out + 5, static_cast<unsigned>(date.day()), 2);
  std::memcpy(out + 8, kMonths + 3 * (static_cast<unsigned>(date.month()) - 1), 3);
  put_digits(out + 12, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  put_digits(out + 17, second / 3600, 2);
  put_digits(out + 20, second / 60 % 60, 2);
  put_digits(out + 23, second % 60, 2);
}

std::array<char, kDateBytes> format_date(WallTime time) {
  std::array<char, kDateBytes> text;
  write_date(text.data(), time);
  return text;
}

}  // namespace lateen::http
