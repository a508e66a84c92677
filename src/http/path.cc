#include "http/path.h"

#include <array>

#include "http/h1_fields.h"

namespace lateen::http {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte that "%XX" at text[at] stands for, or -1 where no escape begins there.
int escaped_byte(std::string_view text, std::size_t at) {
  if (text[at] != '%' || at + 2 >= text.size()) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_unreserved(int byte) {
  const char c = static_cast<char>(byte);
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

// Bytes that a path may hold but that are sent escaped.
bool is_sent_escaped(char c) { return std::string_view("\"<>^`{|}").find(c) != std::string_view::npos; }

bool has_escaped_slash(std::string_view path) {
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const int byte = escaped_byte(path, at);
    if (byte == '/' || byte == '\\') return true;
  }
  return false;
}

std::string unescape_slashes(std::string_view path) {
  std::string out;
  for (std::size_t at = 0; at < path.size(); ++at) {
    const int byte = escaped_byte(path, at);
    if (byte == '/' || byte == '\\') {
      out += static_cast<char>(byte);
      at += 2;
    } else {
      out += path[at];
    }
  }
  return out;
}

// Whether normalising could change the path: the common path is answered by one walk and no copy.
bool may_change(std::string_view path) {
  char before = 0;
  for (char c : path) {
    if (c == '%' || c == '\\' || (c == '.' && before == '/') || is_sent_escaped(c)) return true;
    before = c;
  }
  return false;
}

// Backslashes to slashes and escapes of unreserved bytes to the bytes themselves, so that "%2e" is seen as the dot that
// it is. Nothing for an escaped NUL, which no server reads the same.
std::optional<std::string> canonical_bytes(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(path.size());
  std::size_t stray = std::string::npos;   // where in `out` the last "%" stands that begins no escape
  for (std::size_t at = 0; at < path.size(); ++at) {
    const char c = path[at];
    const int byte = escaped_byte(path, at);
    if (byte == 0) return std::nullopt;
    if (c == '%' && byte < 0) stray = out.size();
    // A decoded digit must not complete a stray "%": "%2%66" is not "%2f".
    const bool completes = stray != std::string::npos && out.size() - stray <= 2;
    if (byte > 0 && is_unreserved(byte) && !completes) {
      out += static_cast<char>(byte);
      at += 2;
    } else if (is_sent_escaped(c)) {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      out += c == '\\' ? '/' : c;
    }
  }
  return out;
}

// RFC 3986, section 5.2.4. `path` begins with "/".
std::string without_dot_segments(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  std::size_t at = 0;
  while (at < path.size()) {
    std::size_t end = path.find('/', at + 1);   // path[at] is "/"
    const bool last = end == std::string_view::npos;
    if (last) end = path.size();
    const std::string_view segment = path.substr(at + 1, end - at - 1);
    if (segment == "..") {
      const std::size_t parent = out.rfind('/');
      out.resize(parent == std::string::npos ? 0 : parent);
    } else if (segment != ".") {
      out.append(path, at, end - at);
    }
    if (last && (segment == "." || segment == "..")) out += '/';
    at = end;
  }
  return out.empty() ? "/" : out;
}

std::string merged_slashes(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  }
  return out;
}

}  // namespace

PathOutcome normalize_path(std::string_view target, const PathRules& rules, std::string& into) {
  if (!target.starts_with('/')) return PathOutcome::kUnchanged;   // "*"
  const std::string_view path = target.substr(0, target.find('?'));
  const bool slashes = rules.escaped_slashes != EscapedSlashesAction::kKeep && has_escaped_slash(path);
  if (slashes && rules.escaped_slashes == EscapedSlashesAction::kReject) return PathOutcome::kRefused;
  const bool merges = rules.merge_slashes && path.find("//") != std::string_view::npos;
  if (!slashes && !merges && !(rules.normalize && may_change(path))) return PathOutcome::kUnchanged;

  std::string out = slashes ? unescape_slashes(path) : std::string(path);
  if (rules.normalize) {
    const std::optional<std::string> bytes = canonical_bytes(out);
    if (!bytes) return PathOutcome::kRefused;
    out = without_dot_segments(*bytes);
  }
  if (rules.merge_slashes) out = merged_slashes(out);
  const bool redirect = slashes && rules.escaped_slashes == EscapedSlashesAction::kUnescapeAndRedirect;
  if (!redirect && out == path) return PathOutcome::kUnchanged;
  out += target.substr(path.size());
  into = std::move(out);
  return redirect ? PathOutcome::kRedirect : PathOutcome::kChanged;
}

PathAndQuery split_query(std::string_view target) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}, false};
  return {target.substr(0, mark), target.substr(mark + 1), true};
}

std::optional<std::string_view> query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : pair.size());
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
  }
  return std::nullopt;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const int byte = escaped_byte(text, at); byte >= 0) {
      out += static_cast<char>(byte);
      at += 2;
    } else {
      out += plus_is_space && text[at] == '+' ? ' ' : text[at];
    }
  }
  return out;
}

}  // namespace lateen::http
