#include "cli/exec_arguments.h"

#include <algorithm>
#include <array>

namespace lateen::cli {

namespace {

constexpr std::array kFlags{
    Flag{"as", 0, "WORKLOAD", "whose rules apply: [namespace/]name of a workload; default: none, namespace default"},
    Flag{"label", 0, "KEY=VALUE", "a further label of that workload (sourceLabels select by them); may be repeated"},
    Flag{"namespace", 'n', "NS", "namespace of the workload"},
    Flag{"container", 'c', "NAME", "as in kubectl; a workload has one, named as its app"},
    Flag{"stdin", 'i', "", "as in kubectl; always so"},
    Flag{"tty", 't', "", "as in kubectl; the command has your terminal anyhow"},
    Flag{"quiet", 'q', "", "as in kubectl; nothing to silence"},
    Flag{"proxy-only", 0, "", "no namespaces: run the command outside, with http_proxy and its like set"},
    Flag{"admin", 0, "ADDRESS", "admin address of the mesh (default: LATEEN_ADMIN, else 127.0.0.1:15000)"},
};

constexpr std::size_t kLabelsMax = 64;

// kubectl's habit: -it is -i -t.
std::vector<std::string> split_joined_flags(std::span<const std::string> args) {
  std::vector<std::string> out;
  bool in_command = false;
  for (const std::string& word : args) {
    in_command = in_command || word == "--";
    const bool joined = !in_command && word.size() > 2 && word[0] == '-' && word.find_first_not_of("itq", 1) == std::string::npos;
    if (!joined) {
      out.push_back(word);
      continue;
    }
    for (const char letter : word.substr(1)) out.push_back({'-', letter});
  }
  return out;
}

tl::unexpected<Error> misuse(std::string message) { return fail(ErrorCode::kInvalidConfig, std::move(message)); }

Result<void> read_labels(const ParsedFlags& flags, ExecArguments& into) {
  for (const std::string& text : flags.all("label")) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) return misuse("--label " + text + ": write KEY=VALUE");
    if (into.labels.size() == kLabelsMax) return misuse("more than " + std::to_string(kLabelsMax) + " labels");
    into.labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return {};
}

// A workload's container has the name of its app: `sleep` of sleep, `reviews` of reviews-v1.
Result<void> check_container(std::string_view container, std::string_view workload) {
  if (container == workload || (workload.starts_with(container) && workload.substr(container.size()).starts_with('-'))) return {};
  if (container == "istio-proxy" || container == "istio-init") {
    return misuse("there is no sidecar container " + std::string(container) + "; ask the mesh with lateen proxy-config or GET /config_dump on its admin port");
  }
  return misuse("no container " + std::string(container) + " in " + std::string(workload) + "; leave -c out");
}

std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || c == '-' || c == '.' || c == '_';
    if (plain) {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[byte >> 4U];
    out += kHex[byte & 0x0FU];
  }
  return out;
}

}  // namespace

const Usage kExecUsage{
    .synopsis = "lateen exec [--as WORKLOAD] [--label K=V]... -- COMMAND [ARG]...\n"
                "       lateen exec [deploy/]WORKLOAD [-c CONTAINER] [-n NS] -- COMMAND [ARG]...",
    .text = "Runs a program inside the mesh: service names resolve, and its TCP connections to services take the\n"
            "outbound path of the workload. Its input, output, signals, terminal and exit code are passed on.",
    .flags = kFlags,
    .examples = "  lateen exec --as sleep -- curl -s http://reviews:9080/reviews/1\n"
                "  lateen exec deploy/sleep -c sleep -- curl -s -H 'x-canary-test: true' http://reviews:9080/reviews/1\n"
                "  lateen exec --label env=test -- sh",
};

Result<std::string> workload_of_target(std::string_view target) {
  const auto slash = target.find('/');
  if (slash == std::string_view::npos) return std::string(target);
  static constexpr std::array<std::string_view, 11> kKinds{"deploy",  "deployment", "deployments", "deployment.apps", "deployments.apps", "deploy.apps",
                                                           "pod",     "pods",       "po",          "workloadentry",   "we"};
  const std::string_view kind = target.substr(0, slash), name = target.substr(slash + 1);
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
    return misuse("cannot run a command in " + std::string(target) + "; write deploy/NAME, pod/NAME or the workload's name");
  }
  if (name.empty() || name.find('/') != std::string_view::npos) return misuse("no workload's name in '" + std::string(target) + "'");
  return std::string(name);
}

Result<ExecArguments> parse_exec_arguments(std::span<const std::string> args) {
  const std::vector<std::string> words = split_joined_flags(args);
  LATEEN_TRY(const ParsedFlags flags, parse_flags(words, kFlags));
  ExecArguments out;
  out.help = flags.help;
  if (out.help) return out;
  out.command = flags.rest;
  out.admin = flags.get("admin", "");
  out.proxy_only = flags.has("proxy-only");
  out.identity = flags.get("as", "");
  LATEEN_TRY_VOID(read_labels(flags, out));
  const bool has_separator = std::find(words.begin(), words.end(), "--") != words.end();
  if (!has_separator) return misuse("no command; write it behind --: lateen exec --as sleep -- curl http://reviews:9080/");
  if (out.command.empty() || out.command.front().empty()) return misuse("no command behind --");
  if (flags.positional.size() > 1) return misuse("unexpected '" + flags.positional[1] + "'; the command goes behind --");
  if (!flags.positional.empty()) {
    if (!out.identity.empty()) return misuse("both --as " + out.identity + " and " + flags.positional[0] + "; give one");
    LATEEN_TRY(out.identity, workload_of_target(flags.positional[0]));
  }
  if (const auto container = flags.get("container")) {
    if (out.identity.empty()) return misuse("-c without a workload");
    const auto slash = out.identity.find('/');
    LATEEN_TRY_VOID(check_container(*container, std::string_view(out.identity).substr(slash == std::string::npos ? 0 : slash + 1)));
  }
  if (const auto name_space = flags.get("namespace")) {
    if (out.identity.find('/') != std::string::npos) return misuse("both a namespace in " + out.identity + " and -n " + *name_space);
    // Without a name the namespace alone matters: "ns/" is somebody without labels there.
    out.identity = *name_space + "/" + out.identity;
  }
  return out;
}

std::map<std::string, std::string> proxy_environment(std::string_view identity, std::string_view proxy) {
  const std::string user = identity.empty() ? "" : percent_encoded(identity) + ":mesh@";
  const std::string url = "http://" + user + std::string(proxy);
  const std::string direct = "localhost,127.0.0.1,::1";
  return {{"http_proxy", url},  {"HTTP_PROXY", url}, {"https_proxy", url}, {"HTTPS_PROXY", url},
          {"all_proxy", url},   {"ALL_PROXY", url},  {"no_proxy", direct}, {"NO_PROXY", direct}};
}

}  // namespace lateen::cli
