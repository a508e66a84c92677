// Request targets, authorities and URLs: cutting them apart and normalising paths. Pure functions on text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lateen::http {

// ---- paths ----------------------------------------------------------------------------------------------------------

// What to do with %2F, %2f, %5C and %5c in a path (Envoy's path_with_escaped_slashes_action).
enum class EscapedSlashesAction : std::uint8_t { kKeep, kReject, kUnescapeAndRedirect, kUnescapeAndForward };

struct PathRules {
  bool normalize = true;        // dot segments, backslashes, escapes of unreserved characters
  bool merge_slashes = false;
  EscapedSlashesAction escaped_slashes = EscapedSlashesAction::kKeep;
};

enum class PathOutcome : std::uint8_t {
  kUnchanged,  // `into` was not touched
  kChanged,    // `into` holds the new path with its query
  kRedirect,   // the same, and the client is to be sent there (307)
  kRefused,    // 400
};

// Normalises the path of `target` (origin form; the query is kept as it is) in Envoy's order: escaped slashes, then
// RFC 3986 normalisation, then slashes. "/a/../b" -> "/b", "/a\b" -> "/a/b", "/%61" -> "/a"; "//", "%2f", "%5C" and
// "%zz" stay unless a rule says otherwise; an escaped NUL is refused.
PathOutcome normalize_path(std::string_view target, const PathRules& rules, std::string& into);

struct PathAndQuery {
  std::string_view path;
  std::string_view query;   // without "?"
  bool has_query = false;
};
PathAndQuery split_query(std::string_view target);

// The value of the first parameter of that name, as sent (not decoded), as Envoy's query matchers see it.
std::optional<std::string_view> query_parameter(std::string_view query, std::string_view name);

// Decodes %XX; a "%" that begins no escape stays. `plus_is_space` for form data.
std::string percent_decode(std::string_view text, bool plus_is_space = false);

// ---- authorities and URLs -------------------------------------------------------------------------------------------

struct Authority {
  std::string_view host;            // a name, an IPv4 address, or an IPv6 address with its brackets
  std::optional<std::uint16_t> port;
};
// Cuts uri-host[:port] apart. Nothing for user information, an empty host, a bad port or name, or stray brackets.
std::optional<Authority> parse_authority(std::string_view text);

struct Url {
  std::string scheme;      // "http" or "https"
  std::string authority;   // host[:port] as written, an empty port left out
  std::string host;        // IPv6 without brackets
  std::uint16_t port = 0;  // the scheme's where none is written
  std::string target;      // path and query, at least "/"
};
// An absolute http or https URL; a fragment is dropped. Errors: kInvalidConfig, saying what is wrong.
Result<Url> parse_url(std::string_view text);

}  // namespace lateen::http
