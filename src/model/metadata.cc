#include "model/metadata.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "model/checks.h"
#include "model/common_shapes.h"
#include "model/names.h"

namespace lateen::model {

namespace {

void creation_timestamp(Reader& reader, const text::Node& node, Metadata& out) {
  if (!reader.expect(node, text::Node::Type::kString, "write 2026-01-01T00:00:00Z")) return;
  out.created = parse_time(node.scalar);
  if (!out.created) reader.error(kBadValue, "\"" + node.scalar + "\" is not a time", "write 2026-01-01T00:00:00Z");
}

void object_name(Reader& reader, const std::string& value) {
  if (!is_dns_subdomain(value)) reader.error(kBadValue, "\"" + value + "\" is no name of an object", "use lower case letters, digits, '-' and '.'");
}

void lower_namespace(Reader& reader, const std::string& value) {
  if (!is_lower_dns_label(value)) reader.error(kBadValue, "\"" + value + "\" is no name of a namespace", "use lower case letters, digits and '-', at most 63");
}

}  // namespace

template <>
struct Shape<Metadata> : Table<Metadata> {
  static constexpr Field<Metadata> kFields[] = {{"name", at<&Metadata::name, object_name>},
                                                {"namespace", at<&Metadata::namespace_, lower_namespace>},
                                                {"labels", at<&Metadata::labels, selector_labels>},
                                                {"annotations", at<&Metadata::annotations>},
                                                {"creationTimestamp", creation_timestamp},
                                                {"uid", skip},
                                                {"resourceVersion", skip},
                                                {"generation", skip},
                                                {"generateName", skip},
                                                {"managedFields", skip},
                                                {"selfLink", skip},
                                                {"finalizers", skip},
                                                {"ownerReferences", skip},
                                                {"deletionTimestamp", skip},
                                                {"deletionGracePeriodSeconds", skip}};
};

std::optional<WallTime> parse_time(std::string_view text) {
  // "YYYY-MM-DDTHH:MM:SS", then a fraction, then Z or an offset.
  constexpr std::size_t kSecondsEnd = 19;
  if (text.size() < kSecondsEnd + 1 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  bool good = true;
  const auto number = [&](std::size_t from, std::size_t size, int low, int high) {
    int value = -1;
    const char* end = text.data() + std::min(from + size, text.size());
    const auto [stop, error] = std::from_chars(text.data() + std::min(from, text.size()), end, value);
    good = good && error == std::errc() && stop == end && text.size() >= from + size && value >= low && value <= high;
    return value;
  };
  const int year = number(0, 4, 1, 9999), month = number(5, 2, 1, 12), day = number(8, 2, 1, 31);
  const int hour = number(11, 2, 0, 23), minute = number(14, 2, 0, 59), second = number(17, 2, 0, 60);
  if (!good) return std::nullopt;
  std::size_t i = kSecondsEnd;
  Duration fraction = Duration::zero();
  if (text[i] == '.') {
    std::int64_t unit = 100'000'000;
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10) fraction += Duration(unit * (text[i] - '0'));
  }
  int offset_minutes = 0;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) {
    const int sign = text[i] == '+' ? 1 : -1;
    const int hours = number(i + 1, 2, 0, 23), minutes = number(i + 4, 2, 0, 59);
    if (!good || text.size() != i + 6 || text[i + 3] != ':') return std::nullopt;
    offset_minutes = sign * (hours * 60 + minutes);
  } else if (i + 1 != text.size() || (text[i] != 'Z' && text[i] != 'z')) {
    return std::nullopt;
  }
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)), std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const seconds whole = duration_cast<seconds>(sys_days(date).time_since_epoch()) + hours(hour) + minutes(minute - offset_minutes) + seconds(second);
  // Nanoseconds of 64 bits reach from 1678 to 2262.
  constexpr seconds kRange = hours(24) * 365 * 200;
  if (whole > kRange || whole < -kRange) return std::nullopt;
  return WallTime(Duration(whole) + fraction);
}

std::string format_time(WallTime time) {
  using namespace std::chrono;
  const auto whole = floor<seconds>(time);
  const auto day = floor<days>(whole);
  const year_month_day date(day);
  const hh_mm_ss clock(whole - day);
  std::array<char, 40> buffer;
  const int size = std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                 static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                                 static_cast<int>(clock.seconds().count()));
  return {buffer.data(), static_cast<std::size_t>(std::max(size, 0))};
}

Metadata read_metadata(Reader& reader, const text::Node& document, bool namespaced) {
  Metadata metadata;
  for (const text::Member& member : document.members) {
    if (member.key != "metadata") continue;
    const Reader::In in(reader, member);
    read_value(reader, member.value, metadata);
  }
  if (!namespaced) metadata.namespace_.clear();
  else if (metadata.namespace_.empty()) metadata.namespace_ = "default";
  return metadata;
}

}  // namespace lateen::model
