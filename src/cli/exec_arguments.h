// The arguments of `lateen exec`, also in the shape of `kubectl exec`. Pure.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"

namespace lateen::cli {

struct ExecArguments {
  std::string identity;                        // "[namespace/]name"; empty: none
  std::map<std::string, std::string> labels;
  std::string admin;                           // of --admin; empty: not given
  bool proxy_only = false;                     // no namespaces: only the proxy variables
  bool help = false;
  std::vector<std::string> command;            // not empty unless help
};

extern const Usage kExecUsage;

// Errors (kInvalidConfig) say what to write instead.
Result<ExecArguments> parse_exec_arguments(std::span<const std::string> args);

// "deploy/sleep" -> "sleep"; a bare name is a workload. Errors: another kind than deploy, pod and workloadentry.
Result<std::string> workload_of_target(std::string_view target);

// The proxy variables for a program that runs as `identity` through the forward proxy at `proxy` ("host:port").
std::map<std::string, std::string> proxy_environment(std::string_view identity, std::string_view proxy);

}  // namespace lateen::cli
