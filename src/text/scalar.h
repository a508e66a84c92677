// What an unquoted YAML word means to Kubernetes: its YAML reader follows YAML 1.1 for booleans and 1.2 for the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "text/node.h"

namespace lateen::text {

// kNull, kBool, kNumber or kString. "yes", "no", "on" and "off" are booleans, as Kubernetes reads them.
Node::Type plain_scalar_type(std::string_view word);

// The value of a word of type kBool.
bool plain_bool(std::string_view word);

// A whole number: decimal, 0x, 0o or 0b; 1e3 and 5.0 count as whole. Nothing if it is not whole or beyond 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view word);

// Any number, not infinite, not NaN.
std::optional<double> parse_number(std::string_view word);

}  // namespace lateen::text
