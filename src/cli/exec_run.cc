// lateen exec. The order of things, because most of it cannot be undone:
//
//   ask the admin port where exec goes in, greet the mesh, get the list of services      (outside, can still fail)
//   fork the keeper: stays outside, maps ids for root, and becomes the command where namespaces are forbidden
//   enter the namespaces, cover the files of names, open sockets and pass them           (this process is inside now)
//   fork the command
//   serve names, sockets and signals until the command has ended
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/exec_arguments.h"
#include "cli/exec_inside.h"
#include "cli/exec_mesh.h"
#include "net/listen_guard.h"
#include "net/process.h"

namespace lateen::cli {

namespace {

constexpr Duration kServicesTimeout = std::chrono::seconds(5);
constexpr const char* kProxyVariables[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

int complain(const Error& error) {
  std::fprintf(stderr, "lateen exec: %s\n", to_string(error).c_str());
  return 1;
}

// Two ends of a stream between this process and a child.
struct Pair {
  net::Descriptor ours, theirs;
};
Result<Pair> make_pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return fail(ErrorCode::kSystem, "socketpair failed");
  return Pair{net::Descriptor(ends[0]), net::Descriptor(ends[1])};
}

int become_command(const std::vector<std::string>& command, const net::SignalWatch& signals) {
  std::signal(SIGPIPE, SIG_DFL);
  signals.restore_mask();
  return net::become(command);
}

// The keeper's orders, one byte each.
constexpr char kMapIds = 'm', kRun = 'r', kDone = 'd', kFailed = 'f';

int keep(int orders, const ExecArguments& arguments, const std::map<std::string, std::string>& proxy, const net::SignalWatch& signals) {
  char order = 0;
  while (::read(orders, &order, 1) == 1) {
    if (order == kMapIds) {
      const char answer = net::map_all_ids(::getppid()) ? kDone : kFailed;
      if (::write(orders, &answer, 1) != 1) return 1;
    } else if (order == kRun) {
      for (const auto& [name, value] : proxy) ::setenv(name.c_str(), value.c_str(), 1);
      return become_command(arguments.command, signals);
    }
  }
  return 0;
}

bool give_order(int keeper, char order) { return ::write(keeper, &order, 1) == 1; }

// For enter_namespaces, with the keeper's descriptor as argument. Only for root: nobody else may map more than itself.
bool map_by_keeper(void* argument) {
  const int keeper = *static_cast<const int*>(argument);
  char answer = kFailed;
  return give_order(keeper, kMapIds) && ::read(keeper, &answer, 1) == 1 && answer == kDone;
}

// Waits for the command, passing signals on, while the loop serves everything else.
class Supervisor {
 public:
  Supervisor(net::EpollLoop& loop, net::SignalWatch& signals, int command) : loop_(loop), signals_(signals), command_(command) {}

  Result<int> run() {
    LATEEN_TRY(watch_, ReadWatch::start(loop_, signals_.descriptor(), [this] { on_signals(); }));
    on_child();  // it may have ended already
    if (!ended_) loop_.run();
    watch_.reset();
    net::end_descendants();
    return exit_code_;
  }

 private:
  void on_signals() {
    while (const auto signal = signals_.read()) {
      if (signal->number == SIGCHLD) {
        on_child();
        continue;
      }
      // The terminal signals a whole group: a command in ours has had it already.
      const bool has_it = signal->from_terminal && ::getpgid(command_) == ::getpgrp();
      if (!has_it && !ended_) ::kill(command_, signal->number);
    }
  }

  void on_child() {
    while (const auto event = net::next_child_event()) {
      if (event->pid != command_) continue;
      if (!event->ended) {
        // Ctrl-Z has stopped us too; SIGSTOP has not.
        if (event->stop_signal == SIGSTOP) ::raise(SIGSTOP);
        continue;
      }
      ended_ = true;
      exit_code_ = event->exit_code;
      loop_.stop();
    }
  }

  net::EpollLoop& loop_;
  net::SignalWatch& signals_;
  const int command_;
  std::unique_ptr<ReadWatch> watch_;
  bool ended_ = false;
  int exit_code_ = 1;
};

class Execution {
 public:
  Execution(ExecArguments arguments, ExecDirections directions, net::SignalWatch signals, std::unique_ptr<net::EpollLoop> loop)
      : arguments_(std::move(arguments)), directions_(std::move(directions)), signals_(std::move(signals)), loop_(std::move(loop)) {}

  Result<int> run();

 private:
  Result<void> fork_keeper();
  Result<std::unique_ptr<ExecInside>> go_inside(ExecConnection connection, ExecServices services, const ExecHello& hello);
  Result<int> run_inside(ExecInside& inside);
  Result<int> run_by_proxy(const Error& reason);

  const ExecArguments arguments_;
  const ExecDirections directions_;
  net::SignalWatch signals_;
  std::unique_ptr<net::EpollLoop> loop_;
  net::Descriptor keeper_;
  int keeper_pid_ = 0;
};

Result<void> Execution::fork_keeper() {
  LATEEN_TRY(Pair pair, make_pair());
  const auto proxy = proxy_environment(arguments_.identity, directions_.http_proxy);
  LATEEN_TRY(keeper_pid_, net::fork_child([&] {
    pair.ours.reset();
    return keep(pair.theirs.get(), arguments_, proxy, signals_);
  }));
  keeper_ = std::move(pair.ours);
  return {};
}

Result<std::unique_ptr<ExecInside>> Execution::go_inside(ExecConnection connection, ExecServices services, const ExecHello& hello) {
  int keeper = keeper_.get();
  LATEEN_TRY_VOID(net::enter_namespaces(::geteuid() == 0 ? map_by_keeper : nullptr, &keeper));
  LATEEN_TRY_VOID(net::make_every_address_local());
  return ExecInside::start(*loop_, std::move(connection), std::move(services), {directions_.socket, hello});
}

Result<int> Execution::run_inside(ExecInside& inside) {
  keeper_.reset();  // it ends
  LATEEN_TRY(Pair pair, make_pair());
  net::adopt_orphans();
  LATEEN_TRY(const int command, net::fork_child([&] {
    for (const char* variable : kProxyVariables) ::unsetenv(variable);  // no proxy is to be reached from inside
    if (const auto guard = net::guard_listen()) {
      const int descriptor = guard->get();
      [[maybe_unused]] const auto written = net::write_with_descriptors(pair.theirs.get(), "g", std::span(&descriptor, 1));
    }
    return become_command(arguments_.command, signals_);
  }));
  pair.theirs.reset();
  std::unique_ptr<ReadWatch> handover;
  LATEEN_TRY(handover, ReadWatch::start(*loop_, pair.ours.get(), [&] {
    std::vector<net::Descriptor> guards;
    char byte = 0;
    [[maybe_unused]] const auto result = net::read_with_descriptors(pair.ours.get(), std::span(&byte, 1), guards);
    if (!guards.empty()) inside.watch_listen(std::move(guards.front()));
    loop_->defer([&] { handover.reset(); });
  }));
  return Supervisor(*loop_, signals_, command).run();
}

Result<int> Execution::run_by_proxy(const Error& reason) {
  if (directions_.http_proxy.empty()) return fail(reason.code, reason.message + "; and the mesh has no HTTP proxy to fall back to");
  if (!arguments_.labels.empty()) return fail(reason.code, reason.message + "; and --label cannot be kept through a proxy");
  if (!give_order(keeper_.get(), kRun)) return fail(ErrorCode::kSystem, "cannot start the command");
  return Supervisor(*loop_, signals_, keeper_pid_).run();
}

Result<int> Execution::run() {
  if (arguments_.proxy_only) {
    LATEEN_TRY_VOID(fork_keeper());
    return run_by_proxy({ErrorCode::kUnsupported, "--proxy-only"});
  }
  const ExecHello hello{kExecProtocol, arguments_.identity, arguments_.labels, arguments_.command.front()};
  auto greeted = greet_mesh(directions_.socket, hello);
  if (!greeted && greeted.error().code == ErrorCode::kConflict) {
    return fail(ErrorCode::kConflict, greeted.error().message + "; the mesh runs as another user: run your own, or use --proxy-only");
  }
  LATEEN_TRY(ExecConnection connection, std::move(greeted));
  LATEEN_TRY(ExecServices services, await_services(connection, kServicesTimeout));
  LATEEN_TRY_VOID(fork_keeper());
  auto inside = go_inside(std::move(connection), std::move(services), hello);
  if (inside) return run_inside(**inside);
  if (inside.error().code != ErrorCode::kUnsupported) return tl::unexpected(inside.error());
  std::fprintf(stderr, "lateen: no user namespace here (%s); only programs that heed http_proxy go through the mesh\n", inside.error().message.c_str());
  return run_by_proxy(inside.error());
}

Result<int> execute(ExecArguments arguments) {
  LATEEN_TRY(ExecDirections directions, ask_exec_directions(AdminClient(arguments.admin)));
  LATEEN_TRY(net::SignalWatch signals, net::SignalWatch::open({SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}));
  LATEEN_TRY(auto loop, net::EpollLoop::create());
  return Execution(std::move(arguments), std::move(directions), std::move(signals), std::move(loop)).run();
}

}  // namespace

int run_exec(Args args) {
  auto arguments = parse_exec_arguments(args);
  if (!arguments) return usage_error(kExecUsage, arguments.error().message);
  if (arguments->help) {
    std::fputs(to_text(kExecUsage).c_str(), stdout);
    return 0;
  }
  const auto exit_code = execute(std::move(*arguments));
  return exit_code ? *exit_code : complain(exit_code.error());
}

}  // namespace lateen::cli
