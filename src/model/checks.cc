#include "model/checks.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "model/names.h"
#include "text/duration.h"
#include "text/edit_distance.h"

namespace lateen::model {

namespace {

constexpr std::size_t kMaxRegex = 1024;
constexpr Duration kMillisecond = std::chrono::milliseconds(1);

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

constexpr std::array<std::string_view, 16> kRetryConditions = {
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
    "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
    "unavailable"};

// The status codes that Go's net/http has a name for: istiod takes a number in retryOn by that list.
constexpr std::array kNamedStatuses = {
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511};

constexpr std::array<std::string_view, 17> kGrpcStatuses = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

constexpr std::array<std::string_view, 9> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"};

bool is_named_status(std::string_view word) {
  int code = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), code);
  return error == std::errc() && stop == word.data() + word.size() &&
         std::find(kNamedStatuses.begin(), kNamedStatuses.end(), code) != kNamedStatuses.end();
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> words) {
  const auto guess = text::closest(word, words);
  return guess ? "did you mean " + std::string(*guess) + "?" : "";
}

void check_host(Reader& reader, const std::string& value, const std::string& problem) {
  if (!problem.empty()) reader.error(kBadValue, "the host " + quoted(value) + " " + problem, "write a name such as reviews or reviews.default.svc.cluster.local");
}

}  // namespace

void at_least_1ms(Reader& reader, const Duration& value) {
  if (value < kMillisecond) reader.error(kBadValue, text::format_duration(value) + " is too short: the duration must be 1ms or more");
}

void at_least_1ms_or_zero(Reader& reader, const Duration& value) {
  if (value != Duration::zero()) at_least_1ms(reader, value);
}

void timeout_at_least_1ms(Reader& reader, const Duration& value) {
  if (value < kMillisecond)
    reader.error(kBadValue, text::format_duration(value) + " is too short: the duration must be 1ms or more",
                 "for no limit take the field out: without it there is none");
}

void not_negative_duration(Reader& reader, const Duration& value) {
  if (value < Duration::zero()) reader.error(kBadValue, text::format_duration(value) + " is negative");
}

void port_number(Reader& reader, const std::uint32_t& value) {
  if (value < 1 || value > 65535) reader.error(kBadValue, "the port " + std::to_string(value) + " is not in range 1..65535");
}

void percent_0_100(Reader& reader, const std::int32_t& value) {
  if (value < 0 || value > 100) reader.error(kBadValue, "the percentage " + std::to_string(value) + " is not in range 0..100");
}

namespace {
std::string number_text(double value) {
  std::array<char, 32> buffer;
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}
}  // namespace

void percentage(Reader& reader, const double& value) {
  constexpr double kSmallest = 0.0001;
  if (value < 0 || value > 100 || (value > 0 && value < kSmallest))
    reader.error(kBadValue, "the percentage " + number_text(value) + " is neither 0 nor in range 0.0001..100");
}

void percentage_0_100(Reader& reader, const double& value) {
  if (value < 0 || value > 100) reader.error(kBadValue, "the percentage " + number_text(value) + " is not in range 0..100");
}

void not_empty(Reader& reader, const std::string& value) {
  if (value.empty()) reader.error(kBadValue, "must not be empty");
}

void subset_name(Reader& reader, const std::string& value) {
  if (value.empty()) reader.error(kBadValue, "the subset has an empty name", "give it a name such as v1");
  else if (!is_dns_label(value)) reader.error(kBadValue, "the subset name " + quoted(value) + " is invalid", "use letters, digits and '-', at most 63");
}

void namespace_name(Reader& reader, const std::string& value) {
  if (!is_dns_label(value)) reader.error(kBadValue, quoted(value) + " is no name of a namespace", "use letters, digits and '-', at most 63");
}

void port_name(Reader& reader, const std::string& value) {
  if (!is_dns_label(value)) reader.error(kBadValue, quoted(value) + " is no name of a port", "use letters, digits and '-', such as http or http-web");
}

void destination_host(Reader& reader, const std::string& value) {
  if (value == "*") reader.error(kBadValue, "the host \"*\" is no destination", "name one service, such as reviews");
  else check_host(reader, value, wildcard_host_problem(value));
}

void rule_host(Reader& reader, const std::string& value) { check_host(reader, value, wildcard_host_problem(value)); }

void ip_subnet(Reader& reader, const std::string& value) {
  if (!is_ip_subnet(value)) reader.error(kBadValue, quoted(value) + " is neither an IP address nor a subnet", "write 10.1.2.3 or 10.1.0.0/16");
}

void gateway_name(Reader& reader, const std::string& value) {
  const auto slash = value.find('/');
  if (slash == std::string::npos) {
    if (const std::string problem = fqdn_problem(value); !problem.empty())
      reader.error(kBadValue, "the gateway " + quoted(value) + " " + problem, "write the name of a Gateway, namespace/name, or mesh");
    return;
  }
  if (!is_dns_label(value.substr(0, slash)) || !is_dns_label(value.substr(slash + 1)))
    reader.error(kBadValue, quoted(value) + " is not of the form namespace/name");
}

void regex(Reader& reader, const std::string& value) {
  if (value.empty()) {
    reader.error(kBadValue, "the regular expression is empty", "write .* to match everything");
    return;
  }
  if (value.size() > kMaxRegex) {
    reader.error(kBadValue, "the regular expression is longer than 1024 bytes");
    return;
  }
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(value, options);
  if (!compiled.ok()) reader.error(kBadValue, quoted(value) + " is not a regular expression: " + compiled.error(), "RE2 syntax, https://github.com/google/re2/wiki/Syntax");
}

void http_status(Reader& reader, const std::uint32_t& value) {
  if (value < 200 || value > 599) reader.error(kBadValue, "the status " + std::to_string(value) + " is not in range 200..599");
}

void grpc_status(Reader& reader, const std::string& value) {
  if (std::find(kGrpcStatuses.begin(), kGrpcStatuses.end(), value) != kGrpcStatuses.end()) return;
  const std::string fix = did_you_mean(value, kGrpcStatuses);
  reader.error(kBadValue, quoted(value) + " is not a gRPC status", fix.empty() ? "write a name such as UNAVAILABLE or NOT_FOUND" : fix);
}

void retry_on(Reader& reader, const std::string& value) {
  if (value.empty()) return;
  std::string_view rest = value;
  while (true) {
    const auto comma = rest.find(',');
    const std::string_view word = rest.substr(0, comma);
    if (std::find(kRetryConditions.begin(), kRetryConditions.end(), word) == kRetryConditions.end() && !is_named_status(word)) {
      std::string_view trimmed = word;
      while (trimmed.starts_with(' ')) trimmed.remove_prefix(1);
      while (trimmed.ends_with(' ')) trimmed.remove_suffix(1);
      std::string fix = trimmed != word && !trimmed.empty() ? "write it without spaces: " + quoted(trimmed) : did_you_mean(word, kRetryConditions);
      if (fix.empty()) fix = "write a status code, or words such as 5xx, gateway-error, connect-failure, reset";
      reader.error(kBadValue, quoted(word) + " is not a condition to retry on", std::move(fix));
    }
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

void header_value(Reader& reader, const std::string& value) {
  const bool clean = std::all_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) >= ' ' ? c != 0x7F : c == '\t'; });
  if (!clean) reader.error(kBadValue, "the header value holds a control character");
  // Envoy reads %NAME% as a variable and %% as a percent sign.
  bool open = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '%') continue;
    if (!open && i + 1 < value.size() && value[i + 1] == '%') ++i;
    else open = !open;
  }
  if (open) reader.error(kBadValue, quoted(value) + " has a % without its partner", "write %% for a percent sign");
}

void header_name(Reader& reader, const std::string& value) {
  if (!is_header_name(value)) reader.error(kBadValue, quoted(value) + " is not a header name", "use letters, digits, '-' and '_'");
}

void cors_header_name(Reader& reader, const std::string& value) {
  if (value != "*") header_name(reader, value);
}

void http_method(Reader& reader, const std::string& value) {
  if (std::find(kMethods.begin(), kMethods.end(), value) != kMethods.end()) return;
  reader.error(kBadValue, quoted(value) + " is not an HTTP method", did_you_mean(value, kMethods));
}

void selector_labels(Reader& reader, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) {
    if (!is_label_key(key)) reader.error_below(key, kBadValue, quoted(key) + " is no key of a label");
    if (!is_label_value(value)) reader.error_below(key, kBadValue, quoted(value) + " is no value of a label", "letters, digits, '-', '_' and '.', at most 63");
  }
}

void workload_selector(Reader& reader, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels)
    if (key.empty() || key.find('*') != std::string::npos || value.find('*') != std::string::npos)
      reader.error_below(key, kBadValue, "a selector takes whole labels, no empty key and no wildcard");
  if (labels.empty()) reader.warn(kNoEffect, "the selector has no labels and so takes every workload of the namespace");
}

std::string parse_protocol(std::string_view word) {
  constexpr std::array<std::string_view, 12> kProtocols = {"TCP", "UDP", "GRPC", "GRPC-WEB", "HTTP", "HTTP2", "HTTPS", "TLS", "MONGO", "REDIS", "MYSQL", "HBONE"};
  const std::string wanted = lower(word);
  for (std::string_view protocol : kProtocols)
    if (lower(protocol) == wanted) return std::string(protocol);
  return wanted == "http_proxy" ? "HTTP" : "";
}

void protocol_word(Reader& reader, const std::string& value) {
  constexpr std::array<std::string_view, 11> kWords = {"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL"};
  if (!value.empty() && parse_protocol(value).empty()) {
    const std::string fix = did_you_mean(value, kWords);
    reader.error(kBadValue, quoted(value) + " is not a protocol", fix.empty() ? "write HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS or MYSQL" : fix);
  }
}

void check_export_to(Reader& reader, const std::vector<std::string>& export_to, std::string_view own_namespace, bool none_allowed) {
  std::set<std::string, std::less<>> seen;
  for (std::size_t i = 0; i < export_to.size(); ++i) {
    const std::string& entry = export_to[i];
    const std::string field = "exportTo[" + std::to_string(i) + "]";
    const std::string name = entry == "." ? std::string(own_namespace) : entry;
    const bool known = name == "*" || (name == "~" && none_allowed) || is_dns_label(name);
    if (!known) reader.error_below(field, kBadValue, quoted(entry) + " is neither \".\", \"*\" nor a namespace");
    else if (!seen.insert(name).second) reader.error_below(field, kBadValue, quoted(entry) + " names a namespace twice");
  }
  if (seen.contains("*") && seen.size() > 1) reader.error_below("exportTo", kConflictingFields, "\"*\" is everybody: nothing may stand beside it", "write [\"*\"] or only the namespaces");
  if (seen.contains("~") && seen.size() > 1) reader.error_below("exportTo", kConflictingFields, "\"~\" is nobody: nothing may stand beside it");
}

}  // namespace lateen::model
