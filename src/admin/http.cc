#include "admin/http.h"

#include <cctype>

#include "text/json_writer.h"

namespace lateen::admin {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class PlusIsSpace : bool { kNo, kYes };

Result<std::string> decode(std::string_view text, PlusIsSpace plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == PlusIsSpace::kYes) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(ErrorCode::kProtocol, "a % in the URL is not followed by two hex digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::uint16_t status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidConfig: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kUnsupported: return 501;
    case ErrorCode::kProtocol: return 400;
    case ErrorCode::kPeerClosed: return 502;
    case ErrorCode::kTimeout: return 504;
    case ErrorCode::kOverLimit: return 413;
    case ErrorCode::kSystem: return 500;
  }
  return 500;
}

}  // namespace

std::optional<std::string> Request::parameter(std::string_view name) const {
  const auto found = query.find(name);
  if (found == query.end()) return std::nullopt;
  return found->second;
}

std::string Request::parameter(std::string_view name, std::string_view otherwise) const {
  return parameter(name).value_or(std::string(otherwise));
}

std::vector<std::string> Request::parameters(std::string_view name) const {
  std::vector<std::string> values;
  const auto [first, last] = query.equal_range(name);
  for (auto it = first; it != last; ++it) values.push_back(it->second);
  return values;
}

bool Request::flag(std::string_view name) const {
  const auto value = parameter(name);
  return value && *value != "false" && *value != "0";
}

Result<void> parse_target(std::string_view target, Request& request) {
  const std::size_t mark = target.find('?');
  LATEEN_TRY(request.path, decode(target.substr(0, mark), PlusIsSpace::kNo));
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (!pair.empty()) {
      LATEEN_TRY(std::string name, decode(pair.substr(0, equals), PlusIsSpace::kYes));
      LATEEN_TRY(std::string value, decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1),
                                           PlusIsSpace::kYes));
      request.query.emplace(std::move(name), std::move(value));
    }
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return {};
}

Response text_response(std::string body, std::uint16_t status) {
  return {status, "text/plain; charset=UTF-8", std::move(body)};
}

Response json_response(std::string body, std::uint16_t status) { return {status, "application/json", std::move(body)}; }

Response error_response(std::uint16_t status, std::string_view message) {
  std::string body;
  text::JsonWriter(body).begin_object().member("error", message).end_object();
  return json_response(body + "\n", status);
}

Response error_response(const Error& error) { return error_response(status_of(error.code), to_string(error)); }

}  // namespace lateen::admin
