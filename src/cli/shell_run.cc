// lateen shell, and kubectl and istioctl inside it.
//
// The shell replaces this process, so nothing is left to clean up: the folder that stands first in its PATH is made once
// in the user's private folder, and holds links to this program by its other names.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/exec_protocol.h"
#include "cli/flags.h"
#include "cli/shell_names.h"
#include "net/process.h"
#include "net/unix_channel.h"

namespace lateen::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::array kFlags{
    Flag{"command", 'c', "SCRIPT", "runs SCRIPT and ends with its exit code"},
    Flag{"admin", 0, "ADDRESS", "admin address of the mesh (default: LATEEN_ADMIN, else 127.0.0.1:15000)"},
};

constexpr Usage kUsage{
    .synopsis = "lateen shell [--admin ADDRESS] [-c SCRIPT | FILE [ARG]...]",
    .text = "Opens a shell in which kubectl and istioctl are this mesh's: kubectl apply, get, describe, delete and\n"
            "exec, istioctl proxy-config and analyze. Other commands of theirs are refused with a hint, so no\n"
            "cluster of yours is ever touched. A script is taken from -c, a file, or standard input.",
    .flags = kFlags,
    .examples = "  lateen shell\n"
                "  lateen shell -c 'kubectl exec deploy/sleep -c sleep -- curl -s http://reviews:9080/reviews/1'",
};

// Read by interactive shells after the user's own file, which may have put other folders first.
constexpr std::string_view kBashFile = R"([ -f /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -f ~/.bashrc ] && . ~/.bashrc
PATH="$LATEEN_SHELL_PATH:$PATH"
PS1="(mesh $LATEEN_ADMIN) $PS1"
unalias kubectl istioctl 2>/dev/null
unset -f kubectl istioctl 2>/dev/null
:
)";
constexpr std::string_view kZshFile = R"(ZDOTDIR="${LATEEN_ZDOTDIR:-$HOME}"
[ -f "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"
path=("$LATEEN_SHELL_PATH" $path)
PROMPT="(mesh $LATEEN_ADMIN) $PROMPT"
unalias kubectl istioctl 2>/dev/null
unfunction kubectl istioctl 2>/dev/null
:
)";
constexpr std::string_view kShFile = R"(PATH="$LATEEN_SHELL_PATH:$PATH"
PS1="(mesh $LATEEN_ADMIN) $ "
)";

Result<void> put_link(const fs::path& target, const fs::path& link) {
  std::error_code error;
  if (fs::read_symlink(link, error) == target) return {};
  // By a rename, because another shell may be using it.
  const fs::path fresh = link.string() + "." + std::to_string(::getpid());
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, link, error);
  if (error) return fail(ErrorCode::kSystem, link.string() + ": " + error.message());
  return {};
}

Result<void> put_file(const fs::path& path, std::string_view content) {
  const fs::path fresh = path.string() + "." + std::to_string(::getpid());
  std::ofstream(fresh) << content;
  std::error_code error;
  fs::rename(fresh, path, error);
  if (error) return fail(ErrorCode::kSystem, path.string() + ": " + error.message());
  return {};
}

// The folder with the other names; one for each copy of the program, so that two builds do not take each other's place.
Result<std::string> make_folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string program = net::own_path();
  if (program.empty()) return fail(ErrorCode::kSystem, "cannot find this program's own path in /proc");
  std::string folder = exec_socket_directory(runtime != nullptr ? runtime : "", ::geteuid());
  LATEEN_TRY_VOID(net::make_private_directory(folder));
  folder += "/shell-" + std::to_string(std::hash<std::string>()(program));
  LATEEN_TRY_VOID(net::make_private_directory(folder));
  for (const char* name : {"kubectl", "istioctl", "lateen"}) LATEEN_TRY_VOID(put_link(program, fs::path(folder) / name));
  LATEEN_TRY_VOID(put_file(folder + "/.bashrc", kBashFile));
  LATEEN_TRY_VOID(put_file(folder + "/.zshrc", kZshFile));
  LATEEN_TRY_VOID(put_file(folder + "/.shrc", kShFile));
  return folder;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// The tutorial's lines are for a shell of the Bourne family, whatever the user's own is.
std::string script_shell() { return ::access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"; }

std::vector<std::string> interactive_shell(const std::string& folder) {
  std::string shell = environment("SHELL");
  if (shell.empty() || ::access(shell.c_str(), X_OK) != 0) shell = script_shell();
  const std::string name = fs::path(shell).filename();
  if (name == "bash") return {shell, "--rcfile", folder + "/.bashrc", "-i"};
  if (name == "fish") return {shell, "-C", "set -x PATH $LATEEN_SHELL_PATH $PATH; functions -e kubectl istioctl"};
  if (name == "zsh") {
    const std::string own = environment("ZDOTDIR");
    if (!own.empty()) ::setenv("LATEEN_ZDOTDIR", own.c_str(), 1);
    ::setenv("ZDOTDIR", folder.c_str(), 1);
    return {shell, "-i"};
  }
  ::setenv("ENV", (folder + "/.shrc").c_str(), 1);  // what sh reads when it is interactive (POSIX, sh, ENV)
  return {shell, "-i"};
}

std::vector<std::string> command_line(const ParsedFlags& flags, const std::string& folder) {
  if (const auto script = flags.get("command")) {
    std::vector<std::string> words{script_shell(), "-c", *script};
    if (!flags.positional.empty()) words.insert(words.end(), flags.positional.begin(), flags.positional.end());
    return words;
  }
  if (!flags.positional.empty()) {
    std::vector<std::string> words{script_shell()};
    words.insert(words.end(), flags.positional.begin(), flags.positional.end());
    return words;
  }
  if (::isatty(STDIN_FILENO) == 0) return {script_shell()};
  return interactive_shell(folder);
}

int complain(const Error& error) {
  std::fprintf(stderr, "lateen shell: %s\n", to_string(error).c_str());
  return 1;
}

int run_translated(const char* program, const Translated& translated) {
  if (translated.command.empty()) {
    std::fprintf(stderr, "%s (of lateen): %s\n", program, translated.refusal.c_str());
    return 1;
  }
  for (const Command& command : commands()) {
    if (command.name == translated.command) return command.run(translated.args);
  }
  std::fprintf(stderr, "%s (of lateen): %s is not in this program\n", program, translated.command.c_str());
  return 1;
}

}  // namespace

int run_as_kubectl(Args args) { return run_translated("kubectl", translate_kubectl(args)); }
int run_as_istioctl(Args args) { return run_translated("istioctl", translate_istioctl(args)); }

int run_shell(Args args) {
  const auto flags = parse_flags(args, kFlags, Positional::kEndsFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kUsage).c_str(), stdout);
    return 0;
  }
  const AdminClient admin(flags->get("admin", ""));
  if (auto answer = admin.call("GET", "/ready"); !answer) return complain(answer.error());
  const auto folder = make_folder();
  if (!folder) return complain(folder.error());
  ::setenv("LATEEN_ADMIN", admin.address().c_str(), 1);
  ::setenv("LATEEN_SHELL_PATH", folder->c_str(), 1);
  ::setenv("PATH", (*folder + ":" + environment("PATH")).c_str(), 1);
  std::fflush(stdout);
  std::signal(SIGPIPE, SIG_DFL);
  return net::become(command_line(*flags, *folder));
}

}  // namespace lateen::cli
