#include "translate/node_settings.h"

#include <charconv>
#include <string_view>

namespace lateen::translate {
namespace {

const std::string* find(const View& view, const char* key) {
  const auto it = view.metadata.find(key);
  return it == view.metadata.end() || it->second.empty() ? nullptr : &it->second;
}

// A number with its unit, taken off the front of `text`.
std::optional<Duration> take_part(std::string_view& text) {
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  constexpr double kLongest = 1e6;  // a hundred years in hours
  if (error != std::errc() || !(amount >= 0 && amount < kLongest)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  struct Unit {
    std::string_view name;
    double seconds;
  };
  constexpr Unit kUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};  // "ms" before "m"
  for (const Unit& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(amount * unit.seconds));
  }
  return std::nullopt;
}

}  // namespace

bool has_setting(const View& view, const char* key) {
  const std::string* text = find(view, key);
  return text != nullptr && (*text == "true" || *text == "1");
}

std::uint32_t number_setting(const View& view, const char* key) {
  const std::string* text = find(view, key);
  std::uint32_t out = 0;
  if (text == nullptr) return out;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  return error == std::errc() && end == text->data() + text->size() ? out : 0;
}

std::optional<Duration> duration_setting(const View& view, const char* key) {
  const std::string* text = find(view, key);
  if (text == nullptr) return std::nullopt;
  Duration total{};
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::optional<Duration> part = take_part(rest);
    if (!part) return std::nullopt;
    total += *part;
  }
  return total;
}

}  // namespace lateen::translate
