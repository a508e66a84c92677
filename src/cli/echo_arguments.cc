#include "cli/echo_arguments.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "text/duration.h"

namespace lateen::cli {

namespace {

constexpr std::array kFlags{
    Flag{"service", 's', "NAME", "the service that it is an endpoint of"},
    Flag{"version", 0, "VERSION", "its label version (default v1)"},
    Flag{"port", 'p', "PORT", "the port that clients dial (default 9080)"},
    Flag{"namespace", 'n', "NS", "its namespace (default: default)"},
    Flag{"label", 'l', "KEY=VALUE", "a further label (app and version are there); may be repeated"},
    Flag{"as", 0, "WORKLOAD", "its own name, for --as, -n and sourceLabels (default SERVICE-VERSION)"},
    Flag{"listen", 0, "ADDRESS", "where it listens (default 127.0.0.1:0, a free port)"},
    Flag{"status", 0, "CODE", "the status of every answer (default 200)"},
    Flag{"delay", 0, "TIME", "waits so long before each answer: 2s, 150ms"},
    Flag{"hang", 0, "", "never answers"},
    Flag{"reset", 0, "", "cuts the connection instead of answering"},
    Flag{"fail-first", 0, "N", "the first N requests get --fail-status, then --status"},
    Flag{"fail-status", 0, "CODE", "see --fail-first (default 503)"},
    Flag{"body", 0, "TEXT", "a text in the answer, as its member \"body\""},
    Flag{"plain-body", 0, "TEXT", "the whole answer, instead of JSON"},
    Flag{"header", 'H', "NAME:VALUE", "a header of every answer; may be repeated"},
    Flag{"call", 0, "URL", "calls URL through the mesh for each request and shows the answer; may be repeated"},
    Flag{"admin", 0, "ADDRESS", "admin address of the mesh (default: LATEEN_ADMIN, else 127.0.0.1:15000)"},
};

constexpr std::size_t kHeadersMax = 64;
constexpr std::size_t kBodyBytesMax = std::size_t{16} << 20;

tl::unexpected<Error> misuse(std::string message) { return fail(ErrorCode::kInvalidConfig, std::move(message)); }

template <class Integer>
Result<void> read_number(const ParsedFlags& flags, const char* name, Integer& into, std::uint64_t least, std::uint64_t most) {
  const auto text = flags.get(name);
  if (!text) return {};
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < least || value > most) {
    return misuse("--" + std::string(name) + " " + *text + ": write a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  into = static_cast<Integer>(value);
  return {};
}

// A label of DNS (RFC 1123): the names of services, namespaces and workloads.
bool is_name(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > 63 || !plain(text.front()) || !plain(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
}

Result<EchoCall> read_call(const std::string& url) {
  static constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return misuse("--call " + url + ": write http://SERVICE:PORT/PATH");
  const auto end = std::min(url.find_first_of("/?#", kScheme.size()), url.size());
  EchoCall call{url, url.substr(kScheme.size(), end - kScheme.size())};
  const bool has_control = std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == 0x7F; });
  if (call.authority.empty() || has_control) return misuse("--call " + url + ": write http://SERVICE:PORT/PATH");
  if (end == url.size()) call.url += '/';
  return call;
}

bool is_header(std::string_view name, std::string_view value) {
  static constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";  // RFC 9110, 5.6.2: token
  const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || kSymbols.find(static_cast<char>(c)) != std::string_view::npos;
  });
  return token && std::none_of(value.begin(), value.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7F; });
}

Result<void> read_repeated(const ParsedFlags& flags, EchoArguments& into) {
  for (const std::string& text : flags.all("label")) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) return misuse("--label " + text + ": write KEY=VALUE");
    into.registration.labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  if (into.registration.labels.size() > kRegistrationLabelsMax) return misuse("more than " + std::to_string(kRegistrationLabelsMax) + " labels");
  for (const std::string& text : flags.all("header")) {
    const auto colon = std::min(text.find(':'), text.size());
    const std::string name = text.substr(0, colon);
    const auto begin = text.find_first_not_of(" \t", colon + 1);
    const std::string value = colon == text.size() || begin == std::string::npos ? "" : text.substr(begin);
    if (colon == text.size() || !is_header(name, value)) return misuse("--header " + text + ": write NAME:VALUE");
    into.headers.emplace_back(name, value);
  }
  if (into.headers.size() > kHeadersMax) return misuse("more than " + std::to_string(kHeadersMax) + " headers");
  for (const std::string& url : flags.all("call")) {
    LATEEN_TRY(EchoCall call, read_call(url));
    into.calls.push_back(std::move(call));
  }
  if (into.calls.size() > kEchoCallsMax) return misuse("more than " + std::to_string(kEchoCallsMax) + " calls");
  return {};
}

Result<void> read_names(const ParsedFlags& flags, Registration& into) {
  into.service = flags.get("service", "");
  into.version = flags.get("version", "v1");
  into.namespace_ = flags.get("namespace", "default");
  into.identity = flags.get("as", into.version.empty() ? into.service : into.service + "-" + into.version);
  if (into.service.empty()) return misuse("--service is missing: lateen echo --service reviews --version v1");
  for (const auto& [flag, name] : {std::pair{"service", into.service}, {"namespace", into.namespace_}, {"as", into.identity}}) {
    if (!is_name(name)) return misuse("--" + std::string(flag) + " " + name + ": a name has lower-case letters, digits and '-'");
  }
  into.labels["app"] = into.service;
  if (!into.version.empty()) into.labels["version"] = into.version;
  return {};
}

Result<void> read_behaviour(const ParsedFlags& flags, EchoArguments& into) {
  LATEEN_TRY_VOID(read_number(flags, "status", into.status, 200, 599));
  LATEEN_TRY_VOID(read_number(flags, "fail-status", into.fail_status, 200, 599));
  LATEEN_TRY_VOID(read_number(flags, "fail-first", into.fail_first, 0, 1'000'000'000));
  into.hang = flags.has("hang");
  into.reset = flags.has("reset");
  if (into.hang && into.reset) return misuse("both --hang and --reset; give one");
  if (const auto delay = flags.get("delay")) {
    const auto parsed = text::parse_duration(*delay);
    if (!parsed || *parsed < Duration::zero()) return misuse("--delay " + *delay + ": write a time such as 2s or 150ms");
    into.delay = *parsed;
  }
  into.message = flags.get("body", "");
  into.plain = flags.get("plain-body");
  if (into.message.size() > kBodyBytesMax || (into.plain && into.plain->size() > kBodyBytesMax)) return misuse("a body above 16 MiB");
  return {};
}

}  // namespace

const Usage kEchoUsage{
    .synopsis = "lateen echo --service NAME [--version v1] [--port 9080] [flags]",
    .text = "A small HTTP workload for trials (HTTP/1.1, and HTTP/2 with prior knowledge on the same port). It listens\n"
            "on a free port of 127.0.0.1, is an endpoint of its service until it ends (Ctrl-C), and answers every\n"
            "request with JSON about itself and the request. Several of one service and version may run.",
    .flags = kFlags,
    .examples = "  lateen echo --service reviews --version v1\n"
                "  lateen echo --service reviews --version v2 --call http://ratings:9080/ratings/1\n"
                "  lateen echo --service ratings --version v1 --status 500\n"
                "  lateen echo --service slow --delay 2s",
};

Result<EchoArguments> parse_echo_arguments(std::span<const std::string> args) {
  LATEEN_TRY(const ParsedFlags flags, parse_flags(args, kFlags));
  EchoArguments out;
  out.help = flags.help;
  if (out.help) return out;
  if (!flags.positional.empty() || !flags.rest.empty()) {
    return misuse("unexpected '" + (flags.positional.empty() ? flags.rest : flags.positional).front() + "'; everything is given by flags");
  }
  LATEEN_TRY_VOID(read_names(flags, out.registration));
  LATEEN_TRY_VOID(read_number(flags, "port", out.registration.service_port, 1, 65'535));
  LATEEN_TRY_VOID(read_behaviour(flags, out));
  LATEEN_TRY_VOID(read_repeated(flags, out));
  out.admin = flags.get("admin", "");
  const auto listen = net::parse_address(flags.get("listen", "127.0.0.1:0"));
  if (!listen) return misuse("--listen: " + listen.error().message);
  out.listen = *listen;
  return out;
}

}  // namespace lateen::cli
