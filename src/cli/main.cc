// The one program: finds the command by its name and hands over.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "text/edit_distance.h"

namespace {

using lateen::cli::Args;
using lateen::cli::Command;

void print_help(std::FILE* to) {
  std::fputs("Lateen: a service mesh in one program.\n\nusage: lateen COMMAND [flags]\n\n", to);
  for (const Command& command : lateen::cli::commands())
    std::fprintf(to, "  %-14.*s%.*s\n", static_cast<int>(command.name.size()), command.name.data(),
                 static_cast<int>(command.summary.size()), command.summary.data());
  std::fputs("\nlateen COMMAND --help says more.\n", to);
}

int unknown_command(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Command& command : lateen::cli::commands()) names.push_back(command.name);
  std::fprintf(stderr, "lateen: there is no command \"%s\"", name.c_str());
  if (const auto near = lateen::text::closest(name, names))
    std::fprintf(stderr, "; did you mean %.*s?", static_cast<int>(near->size()), near->data());
  std::fputs("\nlateen --help lists them\n", stderr);
  return 2;
}

std::string_view file_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  const Args args = Args(words).subspan(words.empty() ? 0 : 1);
  const std::string_view own_name = words.empty() ? std::string_view() : file_name(words.front());
  if (own_name == "kubectl") return lateen::cli::run_as_kubectl(args);
  if (own_name == "istioctl") return lateen::cli::run_as_istioctl(args);
  if (args.empty()) {
    print_help(stderr);
    return 2;
  }
  const std::string& name = args.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (name == "--version") return lateen::cli::run_version({});
  for (const Command& command : lateen::cli::commands())
    if (command.name == name) return command.run(args.subspan(1));
  return unknown_command(name);
}
