#include "runtime/match.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>

#include "http/path.h"

namespace lateen::runtime {
namespace {

// Of one pattern's compiled program. RE2's own bound for memory; a pattern beyond it is refused when it is compiled.
constexpr std::int64_t kRegexBytesMax = 8 << 20;
// As much of a value as a message shows.
constexpr std::size_t kShownBytesMax = 120;

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

bool find_ignoring_case(std::string_view value, std::string_view text) {
  const auto same = [](char a, char b) { return to_lower(a) == to_lower(b); };
  return std::search(value.begin(), value.end(), text.begin(), text.end(), same) != value.end();
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  out += text.substr(0, kShownBytesMax);
  if (text.size() > kShownBytesMax) out += "...";
  return out += '"';
}

// Calls `visit(value)` for each value of the header until it returns true; true if one did. `found` says if there was any.
template <class Visit>
bool any_value(const HeaderMatcher& matcher, const RequestView& request, bool& found, Visit visit) {
  const auto pseudo = [&](std::string_view value) {
    found = !value.empty();
    return found && visit(value);
  };
  switch (matcher.pseudo) {
    case HeaderMatcher::Pseudo::kMethod: return pseudo(request.method);
    case HeaderMatcher::Pseudo::kPath: return pseudo(request.path);
    case HeaderMatcher::Pseudo::kAuthority: return pseudo(request.authority);
    case HeaderMatcher::Pseudo::kScheme: return pseudo(request.scheme);
    case HeaderMatcher::Pseudo::kNone: break;
  }
  found = false;
  if (request.headers == nullptr) return false;
  for (const http::Header& header : request.headers->fields()) {
    if (header.id != matcher.id || (matcher.id == http::HeaderId::kOther && header.name != matcher.name)) continue;
    found = true;
    if (visit(header.value)) return true;
  }
  return false;
}

std::optional<std::string_view> query_parameter(std::string_view path, std::string_view name) {
  const http::PathAndQuery parts = http::split_query(path.substr(0, path.find('#')));
  return http::query_parameter(parts.query, name);
}

bool is_grpc(const RequestView& request) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (request.headers == nullptr) return false;
  const std::optional<std::string_view> type = request.headers->get(http::HeaderId::kContentType);
  return type && type->starts_with(kGrpc) && (type->size() == kGrpc.size() || (*type)[kGrpc.size()] == '+');
}

std::string describe_path(const RouteMatch& match) {
  if (match.connect_only) return "a CONNECT";
  std::string text;
  switch (match.path_kind) {
    case RouteMatch::PathKind::kPrefix: text = "path prefix "; break;
    case RouteMatch::PathKind::kSeparatedPrefix: text = "path prefix (whole segments) "; break;
    case RouteMatch::PathKind::kExact: text = "path exact "; break;
    case RouteMatch::PathKind::kRegex: return "path regex " + quoted(match.path);
  }
  text += quoted(match.path);
  if (!match.case_sensitive) text += " ignoring case";
  return text;
}

// "/" and "" as a prefix take every path that HTTP allows but "*"; there is nothing to tell about them.
bool takes_any_path(const RouteMatch& match) {
  return !match.connect_only && match.path_kind == RouteMatch::PathKind::kPrefix && (match.path.empty() || match.path == "/");
}

}  // namespace

std::string percent_text(std::uint32_t per_million) {
  std::string text = std::to_string(per_million / 10'000);
  if (const std::uint32_t rest = per_million % 10'000; rest != 0) {
    std::string digits = std::to_string(10'000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += '.' + digits;
  }
  return text + " %";
}

std::string_view path_without_query(std::string_view path) { return path.substr(0, path.find_first_of("?#")); }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

Result<Regex> Regex::compile(std::string_view pattern) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kRegexBytesMax);
  auto program = std::make_shared<const RE2>(piece(pattern), options);
  if (!program->ok()) return fail(ErrorCode::kInvalidConfig, "regex " + quoted(pattern) + ": " + program->error());
  return Regex(std::move(program));
}

bool Regex::full_match(std::string_view text) const { return RE2::FullMatch(piece(text), *program_); }

void Regex::substitute(std::string_view text, std::string_view rewrite, std::string& out) const {
  std::string replaced(text);
  RE2::GlobalReplace(&replaced, *program_, piece(rewrite));
  out += replaced;
}

Result<void> Regex::check_rewrite(std::string_view rewrite) const {
  std::string error;
  if (program_->CheckRewriteString(piece(rewrite), &error)) return {};
  const int asked = RE2::MaxSubmatch(piece(rewrite)), groups = program_->NumberOfCapturingGroups();
  return fail(ErrorCode::kInvalidConfig,
              "substitution " + quoted(rewrite) +
                  (asked > groups ? " asks for group " + std::to_string(asked) + ", and the regex has " + std::to_string(groups)
                                  : ": a backslash stands before a digit or another backslash only"));
}

std::string Regex::required_prefix() const {
  std::string low, high;
  // Whatever matches lies between the two, so it begins with what they have in common.
  if (!program_->PossibleMatchRange(&low, &high, static_cast<int>(kRequiredPrefixBytesMax))) return "";
  const std::size_t length = std::min(low.size(), high.size());
  const auto differ = std::mismatch(low.begin(), low.begin() + static_cast<std::ptrdiff_t>(length), high.begin());
  return std::string(low.begin(), differ.first);
}

const std::string& Regex::pattern() const { return program_->pattern(); }

bool StringMatcher::matches(std::string_view value) const {
  switch (kind) {
    case Kind::kExact: return ignore_case ? equals_ignoring_case(value, text) : value == text;
    case Kind::kPrefix:
      if (ignore_case) return equals_ignoring_case(value.substr(0, text.size()), text);
      return value.starts_with(text);
    case Kind::kSuffix:
      if (value.size() < text.size()) return false;
      if (ignore_case) return equals_ignoring_case(value.substr(value.size() - text.size()), text);
      return value.ends_with(text);
    case Kind::kContains:
      return ignore_case ? find_ignoring_case(value, text) : value.find(text) != std::string_view::npos;
    case Kind::kRegex: return regex->full_match(value);
  }
  return false;
}

std::string StringMatcher::describe() const {
  std::string out;
  switch (kind) {
    case Kind::kExact: out = "exact "; break;
    case Kind::kPrefix: out = "prefix "; break;
    case Kind::kSuffix: out = "suffix "; break;
    case Kind::kContains: out = "contains "; break;
    case Kind::kRegex: out = "regex "; break;
  }
  out += quoted(text);
  if (ignore_case && kind != Kind::kRegex) out += " ignoring case";
  return out;
}

void HeaderMatcher::set_name(std::string_view header) {
  name.assign(header);
  std::transform(name.begin(), name.end(), name.begin(), to_lower);
  id = http::HeaderId::kOther;
  pseudo = Pseudo::kNone;
  if (name == ":method") pseudo = Pseudo::kMethod;
  else if (name == ":path") pseudo = Pseudo::kPath;
  else if (name == ":authority" || name == "host") pseudo = Pseudo::kAuthority;
  else if (name == ":scheme") pseudo = Pseudo::kScheme;
  else id = http::header_id(name);
}

bool HeaderMatcher::matches(const RequestView& request) const {
  bool found = false;
  if (kind == Kind::kPresent) {
    any_value(*this, request, found, [](std::string_view) { return true; });
    return (found == present) != invert;
  }
  const auto one = [this](std::string_view value) {
    if (kind == Kind::kString) return string.matches(value);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc() && end == value.data() + value.size() && range_start <= number && number < range_end;
  };
  const bool any = any_value(*this, request, found, one);
  if (!found) return missing_is_empty && one("") != invert;
  return any != invert;
}

std::string HeaderMatcher::describe() const {
  std::string out = pseudo == Pseudo::kNone ? "header " + name : name.substr(name.front() == ':' ? 1 : 0);
  const bool negative = kind == Kind::kPresent ? invert == present : invert;
  if (negative) out += " not";
  switch (kind) {
    case Kind::kPresent: return out + " present";
    case Kind::kString: return out + ' ' + string.describe();
    case Kind::kRange: return out + " in [" + std::to_string(range_start) + ", " + std::to_string(range_end) + ")";
  }
  return out;
}

std::string HeaderMatcher::actual(const RequestView& request) const {
  std::string out;
  bool found = false;
  any_value(*this, request, found, [&](std::string_view value) {
    if (!out.empty()) out += ", ";
    out += quoted(value);
    return false;
  });
  return found ? out : "absent";
}

bool QueryParameterMatcher::matches(std::string_view path_with_query) const {
  const std::optional<std::string_view> value = query_parameter(path_with_query, name);
  return value && (!string || string->matches(*value));
}

std::string QueryParameterMatcher::describe() const {
  return "query parameter " + name + ' ' + (string ? string->describe() : "present");
}

std::string QueryParameterMatcher::actual(std::string_view path_with_query) const {
  const std::optional<std::string_view> value = query_parameter(path_with_query, name);
  return value ? quoted(*value) : "absent";
}

bool RouteMatch::path_matches(std::string_view request_path) const {
  if (request_path.empty()) return false;
  const auto same = [this](std::string_view a, std::string_view b) {
    return case_sensitive ? a == b : equals_ignoring_case(a, b);
  };
  switch (path_kind) {
    case PathKind::kPrefix: return request_path.size() >= path.size() && same(request_path.substr(0, path.size()), path);
    case PathKind::kSeparatedPrefix:
      return request_path.size() >= path.size() && same(request_path.substr(0, path.size()), path) &&
             (request_path.size() == path.size() || request_path[path.size()] == '/');
    case PathKind::kExact: return same(request_path, path);
    case PathKind::kRegex: return more->regex->full_match(request_path);
  }
  return false;
}

const RouteMatch::Conditions& RouteMatch::conditions() const {
  static const Conditions kNone;
  return more ? *more : kNone;
}

bool RouteMatch::rest_matches(const RequestView& request, std::uint64_t random) const {
  if (grpc_only && !is_grpc(request)) return false;
  if (!more) return true;
  for (const HeaderMatcher& header : more->headers)
    if (!header.matches(request)) return false;
  for (const QueryParameterMatcher& parameter : more->query_parameters)
    if (!parameter.matches(request.path)) return false;
  return !more->fraction || more->fraction->contains(random);
}

std::optional<Mismatch> RouteMatch::mismatch(const RequestView& request, std::uint64_t random) const {
  if (connect_only && !is_connect(request)) return Mismatch{describe_path(*this), std::string(request.method)};
  if (const std::string_view bare = path_without_query(request.path); !connect_only && !path_matches(bare))
    return Mismatch{describe_path(*this), quoted(bare)};
  if (grpc_only && !is_grpc(request)) return Mismatch{"a gRPC request", "not gRPC"};
  const auto& [headers, query_parameters, fraction, regex] = conditions();
  for (const HeaderMatcher& header : headers)
    if (!header.matches(request)) return Mismatch{header.describe(), header.actual(request)};
  for (const QueryParameterMatcher& parameter : query_parameters)
    if (!parameter.matches(request.path)) return Mismatch{parameter.describe(), parameter.actual(request.path)};
  if (fraction && !fraction->contains(random))
    return Mismatch{"a share of " + percent_text(fraction->per_million), "drawn outside of it"};
  return std::nullopt;
}

std::string RouteMatch::describe() const {
  std::string out;
  const auto add = [&](const std::string& text) {
    if (!out.empty()) out += ", ";
    out += text;
  };
  if (!takes_any_path(*this)) add(describe_path(*this));
  if (grpc_only) add("gRPC");
  const auto& [headers, query_parameters, fraction, regex] = conditions();
  for (const HeaderMatcher& header : headers) add(header.describe());
  for (const QueryParameterMatcher& parameter : query_parameters) add(parameter.describe());
  if (fraction) add(percent_text(fraction->per_million) + " of requests");
  return out.empty() ? "any request" : out;
}

}  // namespace lateen::runtime
