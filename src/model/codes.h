// Codes of what can be wrong with a manifest while it is read. Listed with level, text and fix in analyze/codes.cc.
#pragma once

#include <string_view>

namespace lateen::model {

inline constexpr std::string_view kSyntax = "LTN0001";            // no valid YAML or JSON
inline constexpr std::string_view kNotAManifest = "LTN0002";      // no kind, no apiVersion, no name
inline constexpr std::string_view kUnknownField = "LTN0003";
inline constexpr std::string_view kWrongType = "LTN0004";
inline constexpr std::string_view kBadValue = "LTN0005";
inline constexpr std::string_view kMissingField = "LTN0006";
inline constexpr std::string_view kConflictingFields = "LTN0007";
inline constexpr std::string_view kUnknownKind = "LTN0008";
inline constexpr std::string_view kUnsupportedKind = "LTN0009";
inline constexpr std::string_view kUnsupportedField = "LTN0010";
inline constexpr std::string_view kDuplicateObject = "LTN0011";
inline constexpr std::string_view kEmptyField = "LTN0012";        // warning: `field:` with nothing behind it
inline constexpr std::string_view kDeprecatedField = "LTN0013";   // warning
inline constexpr std::string_view kNoEffect = "LTN0014";          // warning: accepted, as Istio does, and without effect

}  // namespace lateen::model
