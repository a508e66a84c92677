// The predicates of a route, and header values with operators: the small compiled pieces that a snapshot is made of.
//
// All are immutable values once compiled, safe to share between threads, and allocate nothing when asked. Semantics are
// Envoy's (envoy.config.route.v3, envoy.type.matcher.v3); where Envoy's documentation leaves something open, what was
// observed of Envoy 1.40 decides.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/boxed.h"
#include "base/compact_list.h"
#include "base/result.h"
#include "base/shared_text.h"
#include "base/time.h"
#include "http/headers.h"

namespace re2 {
class RE2;
}

namespace lateen::runtime {

// What a match can look at. `path` is already normalised by the connection manager's settings.
struct RequestView {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;                 // with query
  const http::HeaderMap* headers = nullptr;
};

inline bool is_connect(const RequestView& request) { return request.method == "CONNECT"; }

// The path without query and fragment: what prefix, exact and regex look at.
std::string_view path_without_query(std::string_view path);

// ASCII only, as HTTP compares names.
bool equals_ignoring_case(std::string_view a, std::string_view b);

// Why a predicate does not hold: `predicate` says what was asked ('header end-user exact "jason"'), `actual` what the
// request had ('absent', '"bob"').
struct Mismatch {
  std::string predicate;
  std::string actual;
};

// An RE2 pattern. Copies share the compiled program.
class Regex {
 public:
  // Errors: the pattern is not RE2, or its program is larger than Envoy would take.
  static Result<Regex> compile(std::string_view pattern);

  // True if the whole of `text` matches.
  bool full_match(std::string_view text) const;
  // Appends `text` to `out` with every match replaced by `rewrite` (\1 .. \9 are groups, \0 the match).
  void substitute(std::string_view text, std::string_view rewrite, std::string& out) const;
  // Errors: `rewrite` names a group that the pattern has not.
  Result<void> check_rewrite(std::string_view rewrite) const;
  // What every text that matches begins with, as far as that is easily known; often "".
  std::string required_prefix() const;
  const std::string& pattern() const;

 private:
  static constexpr std::size_t kRequiredPrefixBytesMax = 64;
  explicit Regex(std::shared_ptr<const re2::RE2> program) : program_(std::move(program)) {}
  std::shared_ptr<const re2::RE2> program_;  // never null
};

// envoy.type.matcher.v3.StringMatcher.
struct StringMatcher {
  enum class Kind : std::uint8_t { kExact, kPrefix, kSuffix, kContains, kRegex };
  Kind kind = Kind::kExact;
  bool ignore_case = false;      // no effect on a regex
  std::string text;              // of a regex: its pattern
  std::optional<Regex> regex;    // set exactly for kRegex

  bool matches(std::string_view value) const;
  std::string describe() const;  // 'exact "jason"'
};

// envoy.config.route.v3.HeaderMatcher. Of a header that occurs several times each value is looked at by itself, and one
// that matches is enough (observed). A header that is absent matches no value, inverted or not, unless
// `missing_is_empty`; presence is the exception, that is what it asks.
struct HeaderMatcher {
  enum class Kind : std::uint8_t { kPresent, kString, kRange };
  enum class Pseudo : std::uint8_t { kNone, kMethod, kPath, kAuthority, kScheme };

  std::string name;              // lower case
  http::HeaderId id = http::HeaderId::kOther;
  Pseudo pseudo = Pseudo::kNone;
  Kind kind = Kind::kPresent;
  bool present = true;           // kPresent: false asks for absence
  bool invert = false;
  bool missing_is_empty = false;
  StringMatcher string;
  std::int64_t range_start = 0, range_end = 0;  // [start, end)

  // Sets name, id and pseudo. "host" is ":authority", as in Envoy.
  void set_name(std::string_view header);
  bool matches(const RequestView& request) const;
  std::string describe() const;                            // 'header end-user exact "jason"'
  std::string actual(const RequestView& request) const;    // 'absent', '"bob"', '"bob", "eve"'
};

// envoy.config.route.v3.QueryParameterMatcher. The first parameter of that name counts; nothing is percent-decoded.
struct QueryParameterMatcher {
  std::string name;
  std::optional<StringMatcher> string;  // absent: presence
  bool matches(std::string_view path_with_query) const;
  std::string describe() const;
  std::string actual(std::string_view path_with_query) const;
};

// A share of requests, in Envoy's finest denominator.
struct Fraction {
  static constexpr std::uint32_t kMillion = 1'000'000;
  std::uint32_t per_million = kMillion;
  bool contains(std::uint64_t random) const { return random % kMillion < per_million; }
};

// "10 %", "0.1 %" of parts in a million.
std::string percent_text(std::uint32_t per_million);

// envoy.config.route.v3.RouteMatch. Everything in it must hold.
struct RouteMatch {
  // What few routes ask for.
  struct Conditions {
    CompactList<HeaderMatcher> headers;
    CompactList<QueryParameterMatcher> query_parameters;
    std::optional<Fraction> fraction;
    std::optional<Regex> regex;  // set exactly for kRegex
  };
  enum class PathKind : std::uint8_t { kPrefix, kSeparatedPrefix, kExact, kRegex };
  PathKind path_kind = PathKind::kPrefix;
  bool case_sensitive = true;    // no effect on a regex
  bool grpc_only = false;
  bool connect_only = false;     // a CONNECT, with or without a path; `path` and `regex` are not looked at
  Boxed<Conditions> more;
  std::string path;              // of a regex: its pattern. kSeparatedPrefix: no trailing slash

  const Conditions& conditions() const;
  // For whoever adds one.
  Conditions& conditions() { return more ? *more : more.emplace(); }
  // The path alone; `path` is without query. No request without a path matches any.
  bool path_matches(std::string_view path) const;
  // Everything but the path.
  bool rest_matches(const RequestView& request, std::uint64_t random) const;
  bool matches(const RequestView& request, std::uint64_t random) const {
    return (connect_only ? is_connect(request) : path_matches(path_without_query(request.path))) && rest_matches(request, random);
  }
  // The first predicate that fails, in words; nothing if all hold. For `explain`, not for traffic.
  std::optional<Mismatch> mismatch(const RequestView& request, std::uint64_t random) const;
  // 'path prefix "/api/v2", method exact "GET"'; 'any request'.
  std::string describe() const;
};

// What the operators of a header value can ask for. Views must live for the call only.
struct HeaderContext {
  const RequestView* request = nullptr;
  const http::HeaderMap* response_headers = nullptr;
  std::uint16_t response_status = 0;
  std::string_view protocol;                    // "HTTP/1.1"
  std::string_view downstream_remote_address;   // "10.0.0.1:4711"
  std::string_view upstream_host;               // "10.0.0.2:9080"; empty before a host was picked
  const SharedText* route_name = nullptr;
  WallTime start_time{};
};

// A header value to add: text, or Envoy's %COMMAND% operators among text.
class HeaderValue {
 public:
  HeaderValue() = default;
  // Text without operators; '%' is an ordinary character.
  static HeaderValue literal(std::string text);
  // Envoy's format: %REQ(name?other):length%, %RESP(..)%, %PROTOCOL%, %DOWNSTREAM_REMOTE_ADDRESS%,
  // %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%, %UPSTREAM_HOST%, %ROUTE_NAME%, %RESPONSE_CODE%, %START_TIME%, %%.
  // Errors: an operator that is not in this list, or an unpaired '%'.
  static Result<HeaderValue> compile(std::string_view format);

  bool is_literal() const { return pieces_.empty(); }
  const std::string& text() const { return text_; }  // the whole value if is_literal()
  // Appends the value. What is not known evaluates to nothing (Envoy adds no header whose value is empty).
  void evaluate(const HeaderContext& context, std::string& out) const;

 private:
  enum class Operator : std::uint8_t {
    kText, kRequestHeader, kResponseHeader, kProtocol, kDownstreamAddress, kDownstreamAddressWithoutPort,
    kUpstreamHost, kRouteName, kResponseCode, kStartTime,
  };
  struct Piece {
    Operator op = Operator::kText;
    std::string text;          // kText: the text; headers: the lower-case name
    std::string other;         // headers: looked at where the first is absent
    std::size_t length_max = ~std::size_t{0};
  };
  static Result<Piece> compile_operator(std::string_view command);

  std::string text_;
  std::vector<Piece> pieces_;
};

}  // namespace lateen::runtime
