// lateen demo: a mesh and a few workloads to try things on, in one terminal.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/time.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/mesh_files.h"
#include "net/process.h"
#include "text/json.h"

namespace lateen::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::array kFlags{
    Flag{"keep", 0, "", "keeps what was applied in the last demo; without it each start begins from the same state"},
    Flag{"admin", 0, "ADDRESS", "admin address (default 127.0.0.1:15000)"},
    Flag{"http-proxy", 0, "ADDRESS", "HTTP proxy address (default 127.0.0.1:15007)"},
    Flag{"compat", 0, "lateen|istio", "as in lateen run"},
    Flag{"concurrency", 0, "N", "as in lateen run"},
};

constexpr Usage kUsage{
    .synopsis = "lateen demo [--keep] [--admin ADDRESS] [--http-proxy ADDRESS]",
    .text = "Starts a mesh with the workloads of Istio's Bookinfo: productpage, details, ratings, and reviews in three\n"
            "versions, which call each other through the mesh; sleep is a name to run programs as. Ctrl-C ends all of it.",
    .flags = kFlags,
    .examples = "  lateen demo\n  lateen demo --keep",
};

constexpr std::size_t kPortsFileBytesMax = 64 * 1024;
constexpr Duration kStartTimeout = std::chrono::seconds(15);
constexpr Duration kAskEvery = std::chrono::milliseconds(20);
constexpr Duration kEndTimeout = std::chrono::seconds(6);

const std::vector<std::vector<std::string>>& workloads() {
  static const std::vector<std::vector<std::string>> kWorkloads{
      {"--service", "details", "--version", "v1"},
      {"--service", "ratings", "--version", "v1"},
      {"--service", "reviews", "--version", "v1"},
      {"--service", "reviews", "--version", "v2", "--call", "http://ratings:9080/ratings/1"},
      {"--service", "reviews", "--version", "v3", "--call", "http://ratings:9080/ratings/1"},
      {"--service", "productpage", "--version", "v1", "--call", "http://details:9080/details/1", "--call", "http://reviews:9080/reviews/1"},
  };
  return kWorkloads;
}

// examples/demo of the source tree that this program was built in.
Result<std::string> find_examples() {
  std::error_code error;
  for (fs::path folder = fs::path(net::own_path()).parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    const fs::path found = folder / "examples" / "demo";
    if (!fs::is_directory(found, error)) continue;
    // Messages name its files: the short way, where there is one.
    const std::string relative = fs::relative(found, error).string();
    return error || relative.empty() || relative.starts_with("..") ? found.string() : relative;
  }
  return fail(ErrorCode::kNotFound, "examples/demo is not above " + net::own_path() + "; run the program of a source tree");
}

Result<std::string> prepare_state(bool keep) {
  const auto variable = [](const char* name) { const char* value = std::getenv(name); return std::string(value != nullptr ? value : ""); };
  fs::path state = variable("XDG_STATE_HOME");
  if (!state.is_absolute()) state = fs::path(variable("HOME")) / ".local" / "state";
  if (!state.is_absolute()) state = fs::temp_directory_path() / ("lateen-" + std::to_string(::geteuid()));
  state = state / "lateen" / "demo";
  std::error_code error;
  if (!keep) fs::remove_all(state, error);
  fs::create_directories(state, error);
  if (error) return fail(ErrorCode::kSystem, state.string() + ": " + error.message());
  return state.string();
}

// As the user would type it: build/lateen from the source tree's top.
std::string shown_program() {
  std::error_code error;
  const std::string path = net::own_path();
  if (fs::equivalent("build/lateen", path, error)) return "build/lateen";
  const std::string relative = fs::relative(path, error).string();
  return error || relative.empty() || relative.starts_with("..") ? path : relative;
}

void print_text(const std::string& admin, const std::string& proxy) {
  const std::string program = shown_program();
  const std::string other = admin == "127.0.0.1:15000" ? program : "LATEEN_ADMIN=" + admin + " " + program;
  std::printf(R"(
The demo mesh is up: admin http://%s, HTTP proxy %s.
productpage calls details and reviews; reviews v2 and v3 call ratings; all through the mesh.

In a second terminal:

  %s shell
  kubectl exec deploy/sleep -c sleep -- curl -s http://reviews:9080/reviews/1       # v1, v2, v3 in turn
  kubectl apply -f examples/tutorial/destinationrule.yaml                           # names the three versions
  kubectl apply -f examples/tutorial/virtualservice-match.yaml                      # jason gets v2, the others v1
  kubectl exec deploy/sleep -c sleep -- curl -s -H "end-user: jason" http://reviews:9080/reviews/1
  kubectl get vs,dr
  istioctl proxy-config cluster sleep
  lateen explain --as sleep -H "end-user: jason" GET http://reviews:9080/reviews/1
  kubectl exec deploy/sleep -c sleep -- curl -s http://productpage:9080/productpage

Ctrl-C here ends the mesh and its workloads.
)",
              admin.c_str(), proxy.c_str(), other.c_str());
  std::fflush(stdout);
}

class Demo {
 public:
  Demo(const ParsedFlags& flags, net::SignalWatch signals, net::Descriptor reports, net::Descriptor reports_in)
      : flags_(flags),
        admin_(flags.get("admin", "127.0.0.1:15000")),
        proxy_(flags.get("http-proxy", "127.0.0.1:15007")),
        signals_(std::move(signals)),
        reports_(std::move(reports)),
        reports_in_(std::move(reports_in)) {}

  Result<int> run() {
    LATEEN_TRY_VOID(start_mesh());
    if (wait_for([&] { return read_ports(); }, "the mesh")) {
      for (const std::vector<std::string>& workload : workloads()) LATEEN_TRY_VOID(start_workload(workload));
      if (wait_for([&] { return reported_ >= workloads().size(); }, "the workloads")) print_text(admin_, proxy_);
    }
    while (!over_) take_events(kForever);
    end();
    return exit_code_;
  }

 private:
  static constexpr int kForever = -1;

  Result<void> start_mesh() {
    LATEEN_TRY(const std::string examples, find_examples());
    LATEEN_TRY(const std::string state, prepare_state(flags_.has("keep")));
    ports_file_ = state + "/ports.json";
    std::error_code error;
    fs::remove(ports_file_, error);
    std::vector<std::string> args{"run",     "-f",           examples, "--state",      state + "/applied", "--admin",
                                  admin_, "--http-proxy", proxy_,   "--ports-file", ports_file_};
    for (const char* passed : {"compat", "concurrency"}) {
      if (const auto value = flags_.get(passed)) args.insert(args.end(), {"--" + std::string(passed), *value});
    }
    const net::Descriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    return start(args, nowhere.get());
  }

  // The file is put in place when everything serves; it has the real ports.
  bool read_ports() {
    const auto content = read_file(ports_file_, kPortsFileBytesMax);
    if (!content) return false;
    const auto ports = text::read_json(*content, ports_file_);
    const auto* admin = ports ? ports->find("admin") : nullptr;
    const auto* proxy = ports ? ports->find("http-proxy") : nullptr;
    if (admin == nullptr || proxy == nullptr) return false;
    admin_ = admin->text();
    proxy_ = proxy->text();
    return true;
  }

  Result<void> start_workload(const std::vector<std::string>& workload) {
    std::vector<std::string> args{"echo", "--admin", admin_};
    args.insert(args.end(), workload.begin(), workload.end());
    return start(args, reports_in_.get());
  }

  // A child that dies with us. The terminal's Ctrl-C reaches it too: everything ends at once.
  Result<void> start(const std::vector<std::string>& args, int output) {
    LATEEN_TRY(const int pid, net::fork_child([&] {
      signals_.restore_mask();
      ::dup2(output, STDOUT_FILENO);
      return net::become_self(args);
    }));
    running_[pid] = args[0] == "run" ? "the mesh" : "workload " + args[4];
    if (mesh_pid_ == 0) mesh_pid_ = pid;
    return {};
  }

  // Handles what arrives within so many milliseconds.
  void take_events(int milliseconds) {
    std::array<pollfd, 2> waits{pollfd{signals_.descriptor(), POLLIN, 0}, pollfd{reports_.get(), POLLIN, 0}};
    ::poll(waits.data(), waits.size(), milliseconds);
    while (const auto signal = signals_.read()) {
      if (signal->number != SIGCHLD) over_ = true;
    }
    while (const auto event = net::next_child_event()) {
      if (event->ended) on_end_of(event->pid, event->exit_code);
    }
    char bytes[4096];
    const ssize_t got = waits[1].revents == 0 ? 0 : ::read(reports_.get(), bytes, sizeof(bytes));
    for (ssize_t i = 0; i < got; ++i) reported_ += bytes[i] == '\n' ? 1U : 0U;  // each says one line when it serves
  }

  void on_end_of(int pid, int exit_code) {
    const auto found = running_.find(pid);
    if (found == running_.end()) return;
    if (!over_) std::fprintf(stderr, "lateen demo: %s has ended with exit code %d\n", found->second.c_str(), exit_code);
    running_.erase(found);
    if (pid != mesh_pid_ || over_) return;
    over_ = true;
    exit_code_ = exit_code != 0 ? exit_code : 1;
  }

  template <class Fact>
  bool wait_for(Fact fact, const char* what) {
    for (auto waited = Duration::zero(); waited < kStartTimeout && !over_; waited += kAskEvery) {
      take_events(kAskEvery / std::chrono::milliseconds(1));
      if (!over_ && fact()) return true;
    }
    if (over_) return false;
    std::fprintf(stderr, "lateen demo: %s did not start in time\n", what);
    over_ = true;
    exit_code_ = 1;
    return false;
  }

  // The workloads first, so that the mesh sees them go.
  void end() {
    for (const auto& [pid, name] : running_) {
      if (pid != mesh_pid_) ::kill(pid, SIGTERM);
    }
    await_end([&] { return running_.empty() || (running_.size() == 1 && running_.contains(mesh_pid_)); });
    if (running_.contains(mesh_pid_)) ::kill(mesh_pid_, SIGTERM);
    await_end([&] { return running_.empty(); });
    for (const auto& [pid, name] : running_) ::kill(pid, SIGKILL);
  }

  template <class Fact>
  void await_end(Fact fact) {
    for (auto waited = Duration::zero(); waited < kEndTimeout && !fact(); waited += kAskEvery) {
      take_events(kAskEvery / std::chrono::milliseconds(1));
    }
  }

  const ParsedFlags& flags_;
  std::string admin_, proxy_;                    // as asked for; with real ports when the mesh serves
  std::string ports_file_;
  net::SignalWatch signals_;
  const net::Descriptor reports_, reports_in_;   // a pipe: the workloads' standard output
  std::size_t reported_ = 0;
  int mesh_pid_ = 0;
  std::map<int, std::string> running_;           // by process id
  bool over_ = false;
  int exit_code_ = 0;
};

Result<int> demo(const ParsedFlags& flags) {
  LATEEN_TRY(net::SignalWatch signals, net::SignalWatch::open({SIGCHLD, SIGINT, SIGTERM, SIGHUP}));
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) < 0) return fail(ErrorCode::kSystem, "pipe failed");
  return Demo(flags, std::move(signals), net::Descriptor(ends[0]), net::Descriptor(ends[1])).run();
}

}  // namespace

int run_demo(Args args) {
  const auto flags = parse_flags(args, kFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kUsage).c_str(), stdout);
    return 0;
  }
  if (!flags->positional.empty() || !flags->rest.empty()) return usage_error(kUsage, "everything is given by flags");
  const auto exit_code = demo(*flags);
  if (exit_code) return *exit_code;
  std::fprintf(stderr, "lateen demo: %s\n", to_string(exit_code.error()).c_str());
  return 1;
}

}  // namespace lateen::cli
