// Reason phrases.
#pragma once

#include <cstdint>
#include <string_view>

namespace lateen::http {

// The phrase behind a status code, as Envoy prints it: "Unknown" for what it does not know (418, 555).
std::string_view reason_phrase(std::uint16_t status);

}  // namespace lateen::http
