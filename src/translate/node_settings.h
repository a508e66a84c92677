// What a node's metadata says of its own proxy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "translate/translate.h"

namespace lateen::translate {

// "true", "1".
bool has_setting(const View& view, const char* key);
// 0 where it is not there, or no number.
std::uint32_t number_setting(const View& view, const char* key);
// "30s", "1m30s"; nothing where it is not there, or no duration.
std::optional<Duration> duration_setting(const View& view, const char* key);

}  // namespace lateen::translate
