#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <thread>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/mesh.h"
#include "cli/signals.h"
#include "net/epoll_loop.h"

namespace lateen::cli {

namespace {

constexpr Flag kFlags[] = {
    {"filename", 'f', "PATH", "a file or folder of manifests that is followed; may be repeated"},
    {"state", 0, "DIR", "keep here what is applied, over restarts; without it in memory only"},
    {"admin", 0, "ADDR", "the admin port (127.0.0.1:15000)"},
    {"http-proxy", 0, "ADDR", "the forward proxy into the mesh (127.0.0.1:15007); \"off\": none"},
    {"ports-file", 0, "F", "put the addresses there as JSON when everything serves"},
    {"concurrency", 0, "N", "workers; one a core if not given"},
    {"compat", 0, "MODE", "lateen (default), or istio: where Istio and its tutorials disagree, as Istio does"},
    {"as", 0, "WORKLOAD", "who the forward proxy's clients are if they do not say: [NAMESPACE/]NAME"},
    {"reuse-port", 0, "", "share the ports with another process, for a hand-over"},
    {"gateway-bind", 0, "IP", "where Gateway servers without a bind listen (127.0.0.1)"},
    {"gateway-port", 0, "P=Q", "listen on Q for the Gateway port P, 0: a free one; may be repeated"},
    {"mesh-config", 0, "F", "Istio's mesh.yaml"},
    {"access-log", 0, "F", "write an access log in Istio's format there; \"-\": standard output"},
    {"quiet", 'q', "", "no messages about the configuration"},
};

constexpr Usage kUsage{
    .synopsis = "lateen run -f PATH... [flags]",
    .text = "Serves a mesh from YAML and follows every change of the files. Port 0 takes a free port.\n"
            "SIGTERM and Ctrl-C let running requests end, then the program ends.",
    .flags = kFlags,
    .examples = "  lateen run -f mesh/\n"
                "  lateen run -f services.yaml -f rules/ --state /var/lib/lateen\n"
                "  lateen run -f mesh/ --admin 127.0.0.1:0 --http-proxy 127.0.0.1:0 --ports-file ports.json",
};

// Two drains of the idle kind end long before; what still runs then is cut.
constexpr Duration kDrainGrace = std::chrono::milliseconds(4'500);
constexpr unsigned kConcurrencyMax = 256;

template <class Integer>
Result<Integer> parse_number(const std::string& text, std::string_view flag, Integer least, Integer most) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    return fail(ErrorCode::kInvalidConfig, "--" + std::string(flag) + " " + text + ": a number from " +
                                               std::to_string(least) + " to " + std::to_string(most) + " is needed");
  return value;
}

Result<net::Address> parse_flag_address(const ParsedFlags& flags, std::string_view name, std::string_view otherwise) {
  const std::string text = flags.get(name, otherwise);
  auto address = net::parse_address(text);
  if (!address)
    return fail(ErrorCode::kInvalidConfig, "--" + std::string(name) + " " + text + ": " + address.error().message +
                                               "; write IP:PORT, as in " + std::string(otherwise));
  return address;
}

Result<translate::Compat> parse_compat(const std::string& text) {
  if (text == "lateen") return translate::Compat::kLateen;
  if (text == "istio") return translate::Compat::kIstio;
  return fail(ErrorCode::kInvalidConfig, "--compat " + text + ": write lateen or istio");
}

Result<std::map<std::uint16_t, std::uint16_t>> parse_gateway_ports(std::span<const std::string> given) {
  std::map<std::uint16_t, std::uint16_t> ports;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::kInvalidConfig, "--gateway-port " + text + ": write PORT=PORT, as in 80=8080");
    LATEEN_TRY(const auto from, parse_number<std::uint16_t>(text.substr(0, equals), "gateway-port", 1, 65'535));
    LATEEN_TRY(const auto to, parse_number<std::uint16_t>(text.substr(equals + 1), "gateway-port", 0, 65'535));
    ports[from] = to;
  }
  return ports;
}

Result<MeshOptions> mesh_options(const ParsedFlags& flags) {
  MeshOptions options;
  const auto paths = flags.all("filename");
  options.paths.assign(paths.begin(), paths.end());
  // `run -f DIR FILE...`: what follows the flag's value is meant as more of it.
  options.paths.insert(options.paths.end(), flags.positional.begin(), flags.positional.end());
  if (options.paths.empty()) return fail(ErrorCode::kInvalidConfig, "-f PATH is missing: a file or folder of manifests");
  options.state = flags.get("state", "");
  LATEEN_TRY(options.admin, parse_flag_address(flags, "admin", "127.0.0.1:15000"));
  if (flags.get("http-proxy", "") != "off") {
    LATEEN_TRY(options.http_proxy, parse_flag_address(flags, "http-proxy", "127.0.0.1:15007"));
  }
  options.ports_file = flags.get("ports-file", "");
  options.concurrency = std::max(1u, std::thread::hardware_concurrency());
  if (const auto text = flags.get("concurrency")) {
    LATEEN_TRY(options.concurrency, parse_number<unsigned>(*text, "concurrency", 1, kConcurrencyMax));
  }
  LATEEN_TRY(options.compat, parse_compat(flags.get("compat", "lateen")));
  options.identity = flags.get("as", "");
  options.reuse_port = flags.has("reuse-port");
  options.gateway_bind = flags.get("gateway-bind", "127.0.0.1");
  if (!net::parse_address(options.gateway_bind.find(':') == std::string::npos ? options.gateway_bind + ":1"
                                                                               : "[" + options.gateway_bind + "]:1"))
    return fail(ErrorCode::kInvalidConfig, "--gateway-bind " + options.gateway_bind + " is no IP address");
  LATEEN_TRY(options.gateway_ports, parse_gateway_ports(flags.all("gateway-port")));
  options.mesh_config = flags.get("mesh-config", "");
  options.access_log = flags.get("access-log", "");
  options.quiet = flags.has("quiet");
  return options;
}

int failed(const Error& error) {
  std::fprintf(stderr, "lateen run: %s\n", to_string(error).c_str());
  return 1;
}

int serve(MeshOptions options) {
  auto loop = net::EpollLoop::create();
  if (!loop) return failed(loop.error());
  std::unique_ptr<Mesh> mesh;
  bool ending = false;
  // Before the workers start: they inherit which signals are blocked.
  auto signals = Signals::watch(**loop, {SIGTERM, SIGINT}, [&](int) {
    if (ending || mesh == nullptr) std::_Exit(ending ? 130 : 0);
    ending = true;
    mesh->drain(kDrainGrace, [&loop] { (*loop)->stop(); });
  });
  if (!signals) return failed(signals.error());
  std::signal(SIGPIPE, SIG_IGN);
  const bool quiet = options.quiet;
  auto started = Mesh::start(**loop, std::move(options));
  if (!started) return failed(started.error());
  mesh = *std::move(started);
  if (!quiet) std::fprintf(stderr, "lateen: serving; %s", mesh->ports_json().c_str());
  (*loop)->run();
  mesh.reset();
  return 0;
}

}  // namespace

int run_run(Args args) {
  const auto flags = parse_flags(args, kFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kUsage).c_str(), stdout);
    return 0;
  }
  auto options = mesh_options(*flags);
  if (!options) return usage_error(kUsage, options.error().message);
  return serve(*std::move(options));
}

}  // namespace lateen::cli
