// lateen exec from end to end, against a mesh that is nothing but the server of exec sessions and an admin port: each
// test runs as the user of the test and, where that is root, as nobody too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <thread>

#include "cli/commands.h"
#include "cli/exec_server.h"
#include "net/epoll_loop.h"
#include "net/namespace.h"
#include "net/process.h"
#include "stream/http_server.h"

namespace lateen::cli {
namespace {

constexpr unsigned kNobody = 65'534;

// Answers every connection with one text and closes it; the text may name the address that was dialled.
class Answerer final : public net::ListenSocketEvents {
 public:
  explicit Answerer(std::function<std::string(const net::Address&)> text) : text_(std::move(text)) {}

  void on_accept(std::unique_ptr<net::Socket> socket) override {
    auto talk = std::make_unique<Talk>();
    talk->text = text_(socket->local_address());
    talk->socket = std::move(socket);
    talk->socket->set_events(talk.get());
    talk->write();
    talks_.push_back(std::move(talk));
  }

  void set_listener(std::unique_ptr<net::ListenSocket> listener) { listeners_.push_back(std::move(listener)); }

 private:
  struct Talk final : net::SocketEvents {
    void write() {
      const iovec part{text.data(), text.size()};
      socket->writev(std::span(&part, 1));
      socket->shutdown_write();
    }
    void on_readable() override {
      std::array<std::byte, 4096> bytes;
      while (socket->read(bytes).status == net::IoStatus::kOk) {
      }
    }
    void on_writable() override {}
    void on_socket_error(int) override {}
    std::string text;
    std::unique_ptr<net::Socket> socket;
  };
  std::function<std::string(const net::Address&)> text_;
  std::vector<std::unique_ptr<Talk>> talks_;
  std::vector<std::unique_ptr<net::ListenSocket>> listeners_;
};

ExecServices tutorial_services() {
  ExecServices list;
  list.workers = 2;
  list.search = {"default.svc.cluster.local", "svc.cluster.local", "cluster.local"};
  list.services = {{"reviews", {"reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local"}, {"10.96.0.2"}, {9080}},
                   {"ratings", {"ratings.default.svc.cluster.local"}, {"10.96.0.3", "fd00::3"}, {9080, 9090}}};
  return list;
}

// Runs on a thread of its own, with a loop of its own.
class Mesh {
 public:
  Mesh() {
    char folder[] = "/tmp/lateen-test-XXXXXX";
    folder_ = ::mkdtemp(folder);
    std::promise<void> started;
    thread_ = std::thread([&] { serve(started); });
    started.get_future().wait();
  }
  ~Mesh() {
    loop_->mailbox().post([this] { loop_->stop(); });
    thread_.join();
    ::rmdir(folder_.c_str());
  }

  const std::string& admin() const { return admin_; }
  // Ends every session, as a mesh does that ends, and serves again at the same place.
  void restart() {
    std::promise<void> done;
    loop_->mailbox().post([&] {
      server_.reset();
      sessions_.clear();
      identities_.clear();
      start_server();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Sends a new list to every session.
  void announce(const ExecServices& services) {
    loop_->mailbox().post([this, services] {
      services_ = services;
      for (const auto& [id, identity] : identities_) ASSERT_TRUE(server_->post(id, services_));
    });
  }

 private:
  void serve(std::promise<void>& started) {
    loop_ = std::move(*net::EpollLoop::create());
    start_server();
    const std::string body = to_json(ExecDirections{server_->path(), "127.0.0.1:9"});
    const net::Address any_port{net::Address::Family::kIpv4, "127.0.0.1", 0};
    const auto admin = std::move(*stream::listen_http(*loop_, any_port, {}, [&](const auto&, auto reply) { reply->respond(200, "application/json", body); }));
    admin_ = to_string(admin->local_address());
    started.set_value();
    loop_->run();
    sessions_.clear();
    server_.reset();
  }
  void start_server() {
    server_ = std::move(*ExecServer::start(*loop_, {folder_, "exec.sock"},
                                           {.on_hello = [this](auto id, const ExecHello& hello) { greet(id, hello); },
                                            .on_sockets = [this](auto id, const auto&, auto sockets) { take(id, sockets); },
                                            .on_closed = [this](auto id) { sessions_.erase(id); identities_.erase(id); }}));
  }
  void greet(ExecServer::SessionId id, const ExecHello& hello) {
    if (hello.identity == "unwelcome") {
      ASSERT_TRUE(server_->post(id, ExecError{"nobody here is called unwelcome"}));
      return;
    }
    identities_[id] = hello.identity;
    sessions_[id] = std::make_unique<Answerer>([who = hello.identity](const net::Address& dialled) { return to_string(dialled) + " for " + who + "\n"; });
    ASSERT_TRUE(server_->post(id, services_));
  }
  void take(ExecServer::SessionId id, const std::vector<int>& sockets) {
    for (const int socket : sockets) sessions_[id]->set_listener(std::move(*loop_->adopt_listener(socket, *sessions_[id])));
  }

  std::string folder_, admin_;
  std::unique_ptr<net::EpollLoop> loop_;
  std::unique_ptr<ExecServer> server_;
  ExecServices services_ = tutorial_services();
  std::map<ExecServer::SessionId, std::string> identities_;
  std::map<ExecServer::SessionId, std::unique_ptr<Answerer>> sessions_;
  std::thread thread_;
};

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

// A running `lateen exec`, in a process of its own.
class Running {
 public:
  Running(const Mesh& mesh, std::vector<std::string> args) {
    args.insert(args.begin(), {"--admin", mesh.admin()});
    int in[2], out[2], err[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC) + ::pipe2(out, O_CLOEXEC) + ::pipe2(err, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(err[1], 2);
      for (const int end : {in[1], out[0], err[0]}) ::close(end);
      ::setpgid(0, 0);
      ::_exit(run_exec(args));
    }
    in_.reset(in[1]);
    out_.reset(out[0]);
    err_.reset(err[0]);
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
  }

  int pid() const { return pid_; }
  void give(std::string_view text) {
    EXPECT_EQ(::write(in_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Reads standard output until it contains `text`.
  void await(std::string_view text) {
    while (outcome_.out.find(text) == std::string::npos) ASSERT_TRUE(read(out_, outcome_.out)) << outcome_.err;
  }
  Outcome end() {
    in_.reset();
    while (read(out_, outcome_.out)) {
    }
    while (read(err_, outcome_.err)) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    outcome_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return outcome_;
  }

 private:
  static bool read(const net::Descriptor& from, std::string& into) {
    char bytes[4096];
    const ssize_t got = ::read(from.get(), bytes, sizeof(bytes));
    if (got > 0) into.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  int pid_ = 0;
  net::Descriptor in_, out_, err_;
  Outcome outcome_;
};

Outcome run(const Mesh& mesh, std::vector<std::string> args) { return Running(mesh, std::move(args)).end(); }
Outcome shell(const Mesh& mesh, const std::string& script) { return run(mesh, {"--as", "sleep", "--", "bash", "-c", script}); }

// Whether `work` has no failed expectation in a process of its own, which runs as `user`.
bool passes_as(unsigned user, const std::function<void()>& work) {
  std::fflush(stdout);
  const int pid = ::fork();
  if (pid == 0) {
    if (user != ::geteuid() && (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0)) ::_exit(3);
    ::prctl(PR_SET_DUMPABLE, 1);  // as a process that began as this user: the id maps in /proc are its own
    ::alarm(60);
    work();
    std::fflush(stdout);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class ExecRun : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (GetParam() != ::geteuid() && ::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    const bool allowed = passes_as(GetParam(), [] { EXPECT_TRUE(net::enter_namespaces(nullptr, nullptr)); });
    if (!allowed) GTEST_SKIP() << "no user namespaces here";
  }
  void in_mesh(const std::function<void(Mesh&)>& work) {
    EXPECT_TRUE(passes_as(GetParam(), [&] {
      Mesh mesh;
      work(mesh);
    }));
  }
};

TEST_P(ExecRun, ConnectsByNameAndKeepsTheDialledAddressAndTheIdentity) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = shell(mesh, "cat < /dev/tcp/reviews/9080; cat < /dev/tcp/ratings.default/9090; cat < /dev/tcp/fd00::3/9080");
    EXPECT_EQ(outcome.out, "10.96.0.2:9080 for sleep\n10.96.0.3:9090 for sleep\n[fd00::3]:9080 for sleep\n");
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.exit_code, 0);
  });
}

TEST_P(ExecRun, TwoAtOnceHaveTheirOwnIdentities) {
  in_mesh([](Mesh& mesh) {
    Running one(mesh, {"deploy/sleep", "-c", "sleep", "--", "bash", "-c", "read; cat < /dev/tcp/reviews/9080"});
    Running two(mesh, {"-n", "blue", "--as", "awake", "--", "bash", "-c", "read; cat < /dev/tcp/reviews/9080"});
    one.give("\n");
    two.give("\n");
    EXPECT_EQ(one.end().out, "10.96.0.2:9080 for sleep\n");
    EXPECT_EQ(two.end().out, "10.96.0.2:9080 for blue/awake\n");
  });
}

TEST_P(ExecRun, PassesInputOutputAndExitCodesOn) {
  in_mesh([](Mesh& mesh) {
    Running cat(mesh, {"--", "cat"});
    cat.give("some bytes");
    const auto outcome = cat.end();
    EXPECT_EQ(outcome.out, "some bytes");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(shell(mesh, "exit 7").exit_code, 7);
    EXPECT_EQ(shell(mesh, "kill -TERM $$").exit_code, 128 + SIGTERM);
    EXPECT_EQ(run(mesh, {"--", "no-such-program"}).exit_code, 127);
    EXPECT_EQ(run(mesh, {"--", "/etc/passwd"}).exit_code, 126);
    EXPECT_EQ(run(mesh, {"--"}).exit_code, 2);
  });
}

TEST_P(ExecRun, KeepsTheUserAndItsFiles) {
  in_mesh([](Mesh& mesh) {
    const std::string ids = std::to_string(::geteuid()) + " " + std::to_string(::getegid()) + "\n";
    EXPECT_EQ(shell(mesh, "echo $(id -u) $(id -g)").out, ids);
    EXPECT_EQ(shell(mesh, "f=$(mktemp) && stat -c '%u %g' $f && rm $f").out, ids);
  });
}

TEST_P(ExecRun, ForwardsSignals) {
  in_mesh([](Mesh& mesh) {
    Running trap(mesh, {"--", "bash", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do read -t 0.05; done"});
    trap.await("ready");
    ::kill(trap.pid(), SIGUSR1);
    const auto outcome = trap.end();
    EXPECT_EQ(outcome.out, "ready\ngot\n");
    EXPECT_EQ(outcome.exit_code, 5);
  });
}

TEST_P(ExecRun, EndsWhatTheCommandLeftBehind) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = shell(mesh, "setsid sleep 1000 & echo $!");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_NE(::kill(std::stoi(outcome.out), 0), 0);
  });
}

TEST_P(ExecRun, DiesWithItsCommand) {
  in_mesh([](Mesh& mesh) {
    Running sleeper(mesh, {"--", "bash", "-c", "echo $$; exec sleep 1000"});
    sleeper.await("\n");
    ::kill(sleeper.pid(), SIGKILL);
    // Standard output ends when the last process that holds it has ended.
    const auto outcome = sleeper.end();
    EXPECT_EQ(outcome.exit_code, 1000 + SIGKILL);
  });
}

TEST_P(ExecRun, NamesThePortThatIsNotCaptured) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = shell(mesh, "for i in 1 2; do : < /dev/tcp/reviews/8080; done; read -t 0.2 < <(sleep 1)");
    EXPECT_NE(outcome.err.find("lateen: reviews (10.96.0.2) has no port 8080; its ports: 9080\n"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("lateen: reviews"), outcome.err.rfind("lateen: reviews")) << "said twice";
  });
}

TEST_P(ExecRun, NamesTheServiceThatDoesNotExist) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = shell(mesh, "getent hosts revews; echo $?; getent ahosts reviews | head -1");
    EXPECT_NE(outcome.err.find("lateen: no service revews in the mesh; did you mean reviews?\n"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "2\n10.96.0.2       STREAM reviews\n");
  });
}

TEST_P(ExecRun, RefusesServersButNotUnixSockets) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = run(mesh, {"--", "python3", "-c",
                                    "import socket, os, tempfile\n"
                                    "s = socket.socket(); s.bind(('127.0.0.1', 8000))\n"
                                    "try: s.listen(); print('listens')\n"
                                    "except PermissionError: print('refused')\n"
                                    "u = socket.socket(socket.AF_UNIX); u.bind('\\0lateen-test-%d' % os.getpid()); u.listen(); print('unix')\n"});
    if (outcome.exit_code == 127) GTEST_SKIP() << "no python3";
    EXPECT_EQ(outcome.out, "refused\nunix\n") << outcome.err;
    EXPECT_NE(outcome.err.find("lateen: a server at 127.0.0.1:8000 is refused"), std::string::npos) << outcome.err;
  });
}

TEST_P(ExecRun, ServicesThatComeLaterAreThere) {
  in_mesh([](Mesh& mesh) {
    Running later(mesh, {"--as", "sleep", "--", "bash", "-c",
                         "echo ready; until getent hosts details > /dev/null; do read -t 0.02 < /dev/zero; done;"
                         "until (exec 3< /dev/tcp/details/7070) 2> /dev/null; do read -t 0.02; done; cat < /dev/tcp/details/7070"});
    later.await("ready\n");
    ExecServices more = tutorial_services();
    more.services.push_back({"details", {"details", "details.default"}, {"10.96.0.9"}, {7070}});
    mesh.announce(more);
    later.await("for sleep");
    EXPECT_EQ(later.end().out, "ready\n10.96.0.9:7070 for sleep\n");
  });
}

TEST_P(ExecRun, OutlivesTheMesh) {
  in_mesh([](Mesh& mesh) {
    Running running(mesh, {"--as", "sleep", "--", "bash", "-c",
                           "echo ready; read; until cat < /dev/tcp/reviews/9080; do read -t 0.02 < <(read -t 0.02); done 2> /dev/null"});
    running.await("ready\n");
    mesh.restart();
    running.give("\n");
    running.await("for sleep");
    const auto outcome = running.end();
    EXPECT_EQ(outcome.out, "ready\n10.96.0.2:9080 for sleep\n");
    EXPECT_EQ(outcome.err, "lateen: the mesh has gone; its services are out of reach until it is back\n");
  });
}

TEST_P(ExecRun, SaysWhatTheMeshSaysNoTo) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = run(mesh, {"--as", "unwelcome", "--", "true"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.err, "lateen exec: nobody here is called unwelcome\n");
  });
}

TEST_P(ExecRun, ProxyOnlyKeepsTheIdentity) {
  in_mesh([](Mesh& mesh) {
    const auto outcome = run(mesh, {"--as", "blue/sleep", "--proxy-only", "--", "bash", "-c", "echo $http_proxy; exit 3"});
    EXPECT_EQ(outcome.out, "http://blue%2Fsleep:mesh@127.0.0.1:9\n");
    EXPECT_EQ(outcome.exit_code, 3);
  });
}

TEST_P(ExecRun, FallsBackToTheProxyWhereNamespacesAreForbidden) {
  EXPECT_TRUE(passes_as(GetParam(), [] {
    // The limit holds for the namespace that it is set in, and for nobody outside.
    ASSERT_TRUE(net::enter_namespaces(nullptr, nullptr));
    ASSERT_TRUE(net::make_every_address_local());
    std::ofstream("/proc/sys/user/max_user_namespaces") << "0";
    Mesh mesh;
    const auto outcome = shell(mesh, "echo $http_proxy; exit 4");
    EXPECT_EQ(outcome.out, "http://sleep:mesh@127.0.0.1:9\n");
    EXPECT_EQ(outcome.exit_code, 4);
    EXPECT_EQ(outcome.err,
              "lateen: no user namespace here (unshare: No space left on device; sysctl user.max_user_namespaces is 0); "
              "only programs that heed http_proxy go through the mesh\n");
    EXPECT_EQ(run(mesh, {"--label", "a=b", "--", "true"}).exit_code, 1);
  }));
}

INSTANTIATE_TEST_SUITE_P(Users, ExecRun, testing::Values(::geteuid() == 0 ? 0U : ::geteuid(), ::geteuid() == 0 ? kNobody : ::geteuid() + 1),
                         [](const auto& parameter) { return parameter.index == 0 ? "Self" : "Nobody"; });

}  // namespace
}  // namespace lateen::cli
