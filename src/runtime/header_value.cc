// HeaderValue: Envoy's %COMMAND% operators in header values.

#include <algorithm>
#include <charconv>
#include <chrono>

#include "runtime/match.h"

namespace lateen::runtime {
namespace {

// A format is refused beyond this many operators: each costs time in every request.
constexpr std::size_t kPiecesMax = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view request_header(const HeaderContext& context, std::string_view name) {
  if (context.request == nullptr) return {};
  if (name == ":method") return context.request->method;
  if (name == ":path") return context.request->path;
  if (name == ":authority" || name == "host") return context.request->authority;
  if (name == ":scheme") return context.request->scheme;
  if (context.request->headers == nullptr) return {};
  return context.request->headers->get(name).value_or(std::string_view());
}

std::string_view response_header(const HeaderContext& context, std::string_view name) {
  if (context.response_headers == nullptr) return {};
  return context.response_headers->get(name).value_or(std::string_view());
}

std::string_view without_port(std::string_view address) {
  if (address.starts_with('[')) {
    const std::size_t end = address.find(']');
    return end == std::string_view::npos ? address : address.substr(1, end - 1);
  }
  return address.substr(0, address.rfind(':'));
}

void append_padded(std::string& out, std::int64_t number, std::size_t width) {
  const std::string digits = std::to_string(number);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

// "2026-11-23T02:59:14.819Z", Envoy's format of %START_TIME%.
void append_time(std::string& out, WallTime time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time - day));
  append_padded(out, int(date.year()), 4);
  out += '-';
  append_padded(out, unsigned(date.month()), 2);
  out += '-';
  append_padded(out, unsigned(date.day()), 2);
  out += 'T';
  append_padded(out, clock.hours().count(), 2);
  out += ':';
  append_padded(out, clock.minutes().count(), 2);
  out += ':';
  append_padded(out, clock.seconds().count(), 2);
  out += '.';
  append_padded(out, clock.subseconds().count(), 3);
  out += 'Z';
}

// "NAME", "NAME(arguments)", "NAME(arguments):length", "NAME:length".
struct Command {
  std::string_view name, arguments;
  bool has_arguments = false;
  std::optional<std::size_t> length;
};

Result<Command> split(std::string_view text) {
  Command command;
  const auto bad = [&] { return fail(ErrorCode::kInvalidConfig, "bad operator %" + std::string(text) + "%"); };
  const std::size_t end = std::min(text.find_first_of("(:"), text.size());
  command.name = text.substr(0, end);
  std::string_view rest = text.substr(end);
  if (rest.starts_with('(')) {
    const std::size_t close = rest.rfind(')');
    if (close == std::string_view::npos) return bad();
    command.has_arguments = true;
    command.arguments = rest.substr(1, close - 1);
    rest = rest.substr(close + 1);
  }
  if (rest.empty()) return command;
  std::size_t length = 0;
  const auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), length);
  if (rest.front() != ':' || error != std::errc() || stop != rest.data() + rest.size()) return bad();
  command.length = length;
  return command;
}

// The end of the command that begins at `begin`: the next '%' outside of parentheses.
std::size_t command_end(std::string_view format, std::size_t begin) {
  int depth = 0;
  for (std::size_t i = begin; i < format.size(); ++i) {
    if (format[i] == '(') ++depth;
    if (format[i] == ')') --depth;
    if (format[i] == '%' && depth <= 0) return i;
  }
  return std::string_view::npos;
}

}  // namespace

HeaderValue HeaderValue::literal(std::string text) {
  HeaderValue value;
  value.text_ = std::move(text);
  return value;
}

Result<HeaderValue::Piece> HeaderValue::compile_operator(std::string_view text) {
  struct Simple {
    std::string_view name;
    Operator op;
  };
  constexpr Simple kSimple[] = {
      {"PROTOCOL", Operator::kProtocol},
      {"DOWNSTREAM_REMOTE_ADDRESS", Operator::kDownstreamAddress},
      {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Operator::kDownstreamAddressWithoutPort},
      {"UPSTREAM_HOST", Operator::kUpstreamHost},
      {"ROUTE_NAME", Operator::kRouteName},
      {"RESPONSE_CODE", Operator::kResponseCode},
      {"START_TIME", Operator::kStartTime},
  };
  LATEEN_TRY(const Command command, split(text));
  Piece piece;
  if (command.name == "REQ" || command.name == "RESP") {
    piece.op = command.name == "REQ" ? Operator::kRequestHeader : Operator::kResponseHeader;
    const std::size_t question = command.arguments.find('?');
    piece.text = lower(command.arguments.substr(0, question));
    if (question != std::string_view::npos) piece.other = lower(command.arguments.substr(question + 1));
    if (piece.text.empty()) return fail(ErrorCode::kInvalidConfig, "operator %" + std::string(text) + "% names no header");
    if (command.length) piece.length_max = *command.length;
    return piece;
  }
  for (const Simple& simple : kSimple) {
    if (command.name != simple.name) continue;
    if (command.has_arguments || command.length)
      return fail(ErrorCode::kUnsupported, "arguments of operator %" + std::string(text) + "% are not supported");
    piece.op = simple.op;
    return piece;
  }
  return fail(ErrorCode::kUnsupported, "operator %" + std::string(text) + "% is not supported");
}

Result<HeaderValue> HeaderValue::compile(std::string_view format) {
  HeaderValue value;
  std::string text;
  const auto flush = [&] {
    if (!text.empty()) value.pieces_.push_back(Piece{Operator::kText, std::move(text), {}, ~std::size_t{0}});
    text.clear();
  };
  bool operators = false;
  for (std::size_t i = 0; i < format.size();) {
    if (format[i] != '%') {
      text += format[i++];
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == '%') {
      text += '%';
      i += 2;
      continue;
    }
    const std::size_t end = command_end(format, i + 1);
    if (end == std::string_view::npos)
      return fail(ErrorCode::kInvalidConfig, "'%' without its pair in \"" + std::string(format) + "\"; write %% for a percent sign");
    LATEEN_TRY(Piece piece, compile_operator(format.substr(i + 1, end - i - 1)));
    operators = true;
    flush();
    value.pieces_.push_back(std::move(piece));
    if (value.pieces_.size() > kPiecesMax) return fail(ErrorCode::kOverLimit, "more than 64 operators in a header value");
    i = end + 1;
  }
  if (!operators) return literal(std::move(text));
  flush();
  return value;
}

void HeaderValue::evaluate(const HeaderContext& context, std::string& out) const {
  out += text_;
  for (const Piece& piece : pieces_) {
    switch (piece.op) {
      case Operator::kText: out += piece.text; break;
      case Operator::kRequestHeader:
      case Operator::kResponseHeader: {
        const auto get = piece.op == Operator::kRequestHeader ? request_header : response_header;
        std::string_view found = get(context, piece.text);
        if (found.empty() && !piece.other.empty()) found = get(context, piece.other);
        out += found.substr(0, piece.length_max);
        break;
      }
      case Operator::kProtocol: out += context.protocol; break;
      case Operator::kDownstreamAddress: out += context.downstream_remote_address; break;
      case Operator::kDownstreamAddressWithoutPort: out += without_port(context.downstream_remote_address); break;
      case Operator::kUpstreamHost: out += context.upstream_host; break;
      case Operator::kRouteName:
        if (context.route_name != nullptr) out += context.route_name->view();
        break;
      case Operator::kResponseCode: out += std::to_string(context.response_status); break;
      case Operator::kStartTime: append_time(out, context.start_time); break;
    }
  }
}

}  // namespace lateen::runtime
