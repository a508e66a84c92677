#include "cli/admin_client.h"

#include <charconv>

#include "cli/exec_mesh.h"
#include "stream/http_client.h"
#include "text/json.h"

namespace lateen::cli {

namespace {

ErrorCode code_of(int status) {
  switch (status) {
    case 404: return ErrorCode::kNotFound;
    case 409: return ErrorCode::kConflict;
    case 413: return ErrorCode::kOverLimit;
    case 501: return ErrorCode::kUnsupported;
    default: return ErrorCode::kInvalidConfig;
  }
}

// The mesh's {"error": "..."}, or the text as it is.
std::string message_of(const std::string& body) {
  const auto node = text::read_json(body, "answer");
  if (node)
    if (const text::Node* message = node->find("error")) return std::string(message->text());
  return body.substr(0, body.find('\n'));
}

int number(const text::Node* node) {
  int value = 0;
  if (node != nullptr) std::from_chars(node->scalar.data(), node->scalar.data() + node->scalar.size(), value);
  return value;
}

std::string text_of(const text::Node& node, std::string_view key) {
  const text::Node* found = node.find(key);
  return found == nullptr ? std::string() : std::string(found->text());
}

}  // namespace

AdminClient::AdminClient(const std::string& given) : address_(admin_address(given)) {}

Result<std::string> AdminClient::call(std::string_view method, std::string_view path, const Query& query,
                                      std::string body) const {
  auto address = net::parse_address(address_);
  if (!address)
    return fail(ErrorCode::kInvalidConfig, "the admin address \"" + address_ + "\" is not IP:PORT");
  stream::HttpCallRequest request;
  request.method = method;
  request.path = path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    request.path += separator + percent_encoded(name) + "=" + percent_encoded(value);
    separator = '&';
  }
  request.body = std::move(body);
  auto response = stream::fetch_and_wait(*address, std::move(request));
  if (!response) {
    if (response.error().code != ErrorCode::kNotFound) return tl::unexpected<Error>(response.error());
    return fail(ErrorCode::kNotFound, "no mesh answers at " + address_ +
                                          "; start one with lateen run -f DIR, or name its admin port with --admin or LATEEN_ADMIN");
  }
  if (response->status >= 200 && response->status < 300) return std::move(response->body);
  return fail(code_of(response->status), message_of(response->body));
}

Result<text::Node> AdminClient::call_json(std::string_view method, std::string_view path, const Query& query,
                                          std::string body) const {
  LATEEN_TRY(const std::string text, call(method, path, query, std::move(body)));
  return text::read_json(text, "answer of " + std::string(path));
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::vector<Diagnostic> read_diagnostics(const text::Node* list) {
  std::vector<Diagnostic> diagnostics;
  if (list == nullptr) return diagnostics;
  for (const text::Node& item : list->items) {
    Diagnostic one;
    one.code = text_of(item, "code");
    const std::string severity = text_of(item, "severity");
    one.severity = severity == "error" ? Severity::kError : severity == "warning" ? Severity::kWarning : Severity::kInfo;
    one.origin.file = text_of(item, "file");
    one.origin.line = number(item.find("line"));
    one.origin.column = number(item.find("column"));
    one.origin.object = text_of(item, "object");
    one.origin.field_path = text_of(item, "field");
    one.message = text_of(item, "message");
    one.fix = text_of(item, "fix");
    diagnostics.push_back(std::move(one));
  }
  return diagnostics;
}

}  // namespace lateen::cli
