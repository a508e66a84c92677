// UTF-8 (RFC 3629): what every text file of a user must be.
#pragma once

#include <optional>
#include <string_view>

namespace lateen::text {

// Where the first byte stands that does not begin a well-formed sequence (overlong forms, surrogates and values above
// U+10FFFF are not); nothing if all is well.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

}  // namespace lateen::text
