#include "http/date.h"

#include <gtest/gtest.h>

#include <string_view>

#include "http/status.h"

namespace lateen::http {
namespace {

std::string date_of(std::int64_t seconds, std::int64_t nanoseconds = 0) {
  const auto text = format_date(WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds)));
  return {text.data(), text.size()};
}

TEST(Date, IsWrittenAsTheRfcsExampleHasIt) {
  EXPECT_EQ(date_of(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(date_of(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date_of(951782399, 999'999'999), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(date_of(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(date_of(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
}

TEST(ReasonPhrase, IsEnvoys) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(503), "Service Unavailable");
  EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
  EXPECT_EQ(reason_phrase(418), "Unknown");
  EXPECT_EQ(reason_phrase(555), "Unknown");
}

}  // namespace
}  // namespace lateen::http
