#include "cli/shell_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace lateen::cli {

namespace {

struct Hint {
  std::string_view verb, text;
};

constexpr std::array kKubectlVerbs{"apply", "get", "describe", "delete", "exec"};
constexpr std::array kKubectlHints{
    Hint{"create", "apply the file instead: kubectl apply -f FILE; a workload is: lateen echo --service NAME --version v1"},
    Hint{"run", "a workload for trials is: lateen echo --service NAME --version v1"},
    Hint{"replace", "apply the file instead: kubectl apply -f FILE"},
    Hint{"edit", "edit the file that lateen follows, or apply a new one: kubectl apply -f FILE"},
    Hint{"patch", "edit the file that lateen follows, or apply a new one: kubectl apply -f FILE"},
    Hint{"logs", "workloads write to the terminal they were started in; the mesh's access log is: lateen run --access-log -"},
    Hint{"label", "there is no injection to switch on: every workload of the mesh is in it; labels are given by lateen echo --label"},
    Hint{"scale", "start or end instances: lateen echo --service NAME --version v1"},
    Hint{"rollout", "start or end instances: lateen echo --service NAME --version v1"},
    Hint{"set", "start another version: lateen echo --service NAME --version v2"},
    Hint{"expose", "a service comes with its first workload: lateen echo --service NAME --port 9080"},
    Hint{"port-forward", "use the mesh from inside: kubectl exec deploy/sleep -- curl http://SERVICE:PORT/"},
    Hint{"attach", "run a program instead: kubectl exec deploy/sleep -- sh"},
    Hint{"cp", "programs run by kubectl exec see your own files"},
    Hint{"top", "the mesh's metrics are at /stats/prometheus of its admin port"},
    Hint{"config", "this shell speaks to one mesh, the one at LATEEN_ADMIN"},
    Hint{"wait", "kubectl apply returns when the change is in effect"},
};
constexpr std::array kIstioctlHints{
    Hint{"install", "the mesh is running already"},
    Hint{"kube-inject", "nothing is injected: every workload of the mesh is in it"},
    Hint{"proxy-status", "there is one proxy and it is never behind; see istioctl proxy-config all-views: GET /lateen/views on the admin port"},
    Hint{"ps", "there is one proxy and it is never behind"},
    Hint{"dashboard", "the admin port has the pages: see LATEEN_ADMIN"},
    Hint{"d", "the admin port has the pages: see LATEEN_ADMIN"},
    Hint{"experimental", "why a request goes where it goes is: lateen explain --as sleep GET URL"},
    Hint{"x", "why a request goes where it goes is: lateen explain --as sleep GET URL"},
    Hint{"validate", "lateen analyze FILE says what is wrong"},
    Hint{"version", "lateen version says it"},
    Hint{"verify-install", "the mesh is running; GET /ready on its admin port"},
    Hint{"bug-report", "GET /config_dump on the admin port has the configuration"},
};

template <std::size_t N>
Translated refuse(const std::array<Hint, N>& hints, const std::string& verb, const std::string& works) {
  Translated out;
  const auto found = std::find_if(hints.begin(), hints.end(), [&](const Hint& hint) { return hint.verb == verb; });
  const std::string what = verb.empty() ? "says nothing to do" : verb + " is not for this mesh";
  out.refusal = what + "; " + (found != hints.end() ? std::string(found->text) : works);
  return out;
}

// Flags that may stand before the verb and take a value; they go behind it.
struct Leading {
  std::vector<std::string> flags;
  std::size_t used = 0;
  std::string problem;
};
Leading leading_flags(std::span<const std::string> args) {
  Leading out;
  while (out.used < args.size() && args[out.used].starts_with('-')) {
    const std::string& flag = args[out.used];
    if (flag == "-h" || flag == "--help") break;
    const bool names_namespace = flag == "-n" || flag == "--namespace" || flag == "-i" || flag == "--istioNamespace";
    const bool joined = flag.starts_with("--namespace=") || (flag.starts_with("-n") && flag.size() > 2 && flag[1] != '-');
    if (!names_namespace && !joined) {
      out.problem = flag + " has no meaning here: this shell speaks to one mesh, the one at LATEEN_ADMIN";
      return out;
    }
    if (names_namespace && out.used + 1 == args.size()) {
      out.problem = flag + " needs a value";
      return out;
    }
    const bool of_istio = flag == "-i" || flag == "--istioNamespace";  // there is none
    for (std::size_t i = 0; i < (joined ? 1U : 2U); ++i, ++out.used) {
      if (!of_istio) out.flags.push_back(args[out.used]);
    }
  }
  return out;
}

// Flags that stood before the verb go behind it, but not behind a "--".
std::vector<std::string> with_flags(std::vector<std::string> flags, std::span<const std::string> rest) {
  flags.insert(flags.end(), rest.begin(), rest.end());
  return flags;
}

}  // namespace

Translated translate_kubectl(std::span<const std::string> args) {
  static const std::string kWorks = "here work: kubectl apply, get, describe, delete, exec";
  const Leading leading = leading_flags(args);
  if (!leading.problem.empty()) return {{}, {}, leading.problem};
  args = args.subspan(leading.used);
  const std::string verb = args.empty() ? "" : args.front();
  if (verb == "-h" || verb == "--help" || verb == "help") return {{}, {}, kWorks + "; they are lateen's commands of the same names"};
  if (std::find(kKubectlVerbs.begin(), kKubectlVerbs.end(), verb) == kKubectlVerbs.end()) return refuse(kKubectlHints, verb, kWorks);
  return {verb, with_flags(leading.flags, args.subspan(1)), {}};
}

Translated translate_istioctl(std::span<const std::string> args) {
  static const std::string kWorks = "here work: istioctl proxy-config cluster|endpoint|route|listener, istioctl analyze";
  const Leading leading = leading_flags(args);
  if (!leading.problem.empty()) return {{}, {}, leading.problem};
  args = args.subspan(leading.used);
  const std::string verb = args.empty() ? "" : args.front();
  if (verb == "-h" || verb == "--help" || verb == "help") return {{}, {}, kWorks};
  if (verb == "proxy-config" || verb == "pc") return {"proxy-config", with_flags(leading.flags, args.subspan(1)), {}};
  if (verb == "analyze") return {"analyze", with_flags(leading.flags, args.subspan(1)), {}};
  return refuse(kIstioctlHints, verb, kWorks);
}

}  // namespace lateen::cli
