#include "cli/commands.h"

#include <cstdio>

#include "cli/mesh.h"

namespace lateen::cli {

namespace {

constexpr Command kCommands[] = {
    {"run", "serve a mesh from YAML files", run_run},
    {"apply", "apply manifests to the running mesh", run_apply},
    {"get", "list objects and their status", run_get},
    {"describe", "show everything about objects", run_describe},
    {"delete", "delete applied objects", run_delete},
    {"exec", "run a program inside the mesh", run_exec},
    {"shell", "a shell in which kubectl and istioctl speak to this mesh", run_shell},
    {"echo", "a workload for trials", run_echo},
    {"demo", "the demo mesh of the tutorial", run_demo},
    {"proxy-config", "clusters, endpoints, routes and listeners of a workload", run_proxy_config},
    {"explain", "why a request goes where it goes", run_explain},
    {"analyze", "findings about manifests", run_analyze},
    {"xds", "print the Envoy resources that manifests make", run_xds},
    {"version", "print the version", run_version},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run_version(Args args) {
  if (!args.empty()) {
    const bool help = args[0] == "--help" || args[0] == "-h";
    std::fputs("usage: lateen version\n\nPrints the version.\n\nexamples:\n  lateen version\n", help ? stdout : stderr);
    return help ? 0 : 2;
  }
  std::printf("lateen %.*s\n", static_cast<int>(kVersion.size()), kVersion.data());
  return 0;
}

}  // namespace lateen::cli
