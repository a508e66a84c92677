// The commands of the program, one function each; main() dispatches to them by name.
//
// `args` holds what follows the command's name. A command prints to standard output and standard error and returns the
// exit code: 0 done, 1 it could not be done (or errors were found), 2 bad usage. Everything else a command needs comes
// from its arguments and the environment.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lateen::cli {

using Args = std::span<const std::string>;

int run_run(Args args);           // lateen run
int run_apply(Args args);
int run_get(Args args);
int run_describe(Args args);
int run_delete(Args args);
int run_exec(Args args);
int run_shell(Args args);
int run_echo(Args args);
int run_demo(Args args);
int run_proxy_config(Args args);
int run_explain(Args args);
int run_analyze(Args args);
int run_xds(Args args);           // prints what translate() makes of files
int run_version(Args args);

// What `kubectl` and `istioctl` start inside `lateen shell`: the same program by another name.
int run_as_kubectl(Args args);
int run_as_istioctl(Args args);

struct Command {
  std::string_view name;
  std::string_view summary;       // one line of `lateen --help`
  int (*run)(Args args);
};
std::span<const Command> commands();

}  // namespace lateen::cli
