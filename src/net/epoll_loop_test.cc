#include "net/epoll_loop.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "net/address.h"
#include "net/epoll_socket.h"
#include "testing/peer.h"

namespace lateen::net {
namespace {

using namespace std::chrono_literals;
const Address kAnyPort{Address::Family::kIpv4, "127.0.0.1", 0};

std::unique_ptr<EpollLoop> make_loop() { return *EpollLoop::create(); }

// Runs until `done`, at most ten seconds.
template <class Done>
bool run_until(EpollLoop& loop, Done done) {
  const Time end = loop.now() + 10s;
  while (!done() && loop.now() < end) loop.run_once(50ms);
  return done();
}

struct Refuser final : ListenSocketEvents {
  void on_accept(std::unique_ptr<Socket>) override {}
};

TEST(EpollLoop, BytesGoBothWaysOverTcpAndUnixSockets) {
  const std::string path = "/tmp/lateen-net-test-" + std::to_string(::getpid());
  for (const Address& at : {kAnyPort, Address{Address::Family::kIpv6, "::1", 0}, Address{Address::Family::kUnix, path, 0}}) {
    const auto loop = make_loop();
    testing::PeerListener listener(*loop, at);
    testing::Peer client(*loop, listener.address());
    const std::string there(3'000'000, 'a'), back(2'000'000, 'b');
    listener.on_peer = [&](testing::Peer& peer) {
      peer.write(back);
      peer.shutdown_write();
    };
    client.write(there);
    client.shutdown_write();
    ASSERT_TRUE(run_until(*loop, [&] { return listener.size() == 1 && listener.at(0).ended() && client.ended(); }));
    EXPECT_EQ(listener.at(0).received(), there);
    EXPECT_EQ(client.received(), back);
    EXPECT_EQ(listener.at(0).transport()->local_address(), listener.address());
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the file of a unix socket goes with its listener";
}

TEST(EpollLoop, ConnectingWhereNobodyListensIsAnErrorAndNeverFromInsideConnect) {
  const auto loop = make_loop();
  Address nobody;
  {
    testing::PeerListener listener(*loop, kAnyPort);
    nobody = listener.address();
  }
  testing::Peer client(*loop, nobody);
  testing::Peer no_file(*loop, {Address::Family::kUnix, "/nonexistent/socket", 0});
  EXPECT_EQ(client.error(), 0);
  EXPECT_EQ(no_file.error(), 0);
  ASSERT_TRUE(run_until(*loop, [&] { return client.error() != 0 && no_file.error() != 0; }));
  EXPECT_EQ(client.error(), ECONNREFUSED);
  EXPECT_EQ(no_file.error(), ENOENT);
}

TEST(EpollLoop, AResetReachesAnOwnerThatHasStoppedReading) {
  const auto loop = make_loop();
  testing::PeerListener listener(*loop, kAnyPort);
  testing::Peer client(*loop, listener.address());
  ASSERT_TRUE(run_until(*loop, [&] { return listener.size() == 1; }));
  client.pause();
  listener.at(0).write("unread");
  loop->run_once(10ms);
  listener.at(0).reset();
  ASSERT_TRUE(run_until(*loop, [&] { return client.error() != 0; }));
  EXPECT_EQ(client.error(), ECONNRESET);
}

TEST(EpollLoop, EventsThatCameWhileNobodyListenedAreDeliveredToTheNextReceiver) {
  const auto loop = make_loop();
  std::unique_ptr<Socket> accepted;
  struct Keep final : ListenSocketEvents {
    explicit Keep(std::unique_ptr<Socket>& into) : socket(into) {}
    void on_accept(std::unique_ptr<Socket> s) override { socket = std::move(s); }
    std::unique_ptr<Socket>& socket;
  } keep(accepted);
  const auto listener = *loop->listen(kAnyPort, {}, keep);
  testing::Peer client(*loop, listener->local_address());
  client.write("first words");
  ASSERT_TRUE(run_until(*loop, [&] { return accepted != nullptr; }));
  for (int i = 0; i < 5; ++i) loop->run_once(10ms);
  testing::Peer server(std::move(accepted));
  ASSERT_TRUE(run_until(*loop, [&] { return !server.received().empty(); }));
  EXPECT_EQ(server.received(), "first words");
}

TEST(EpollLoop, PeekLeavesTheBytesWhereTheyAre) {
  const auto loop = make_loop();
  struct Sniffer final : ListenSocketEvents, SocketEvents {
    void on_accept(std::unique_ptr<Socket> s) override {
      socket = std::move(s);
      socket->set_events(this);
    }
    void on_readable() override {
      std::array<std::byte, 16> bytes;
      for (std::string* into : {&peeked, &read}) {
        const IoResult result = into == &peeked ? socket->peek(bytes) : socket->read(bytes);
        if (result.status == IoStatus::kOk) into->append(reinterpret_cast<const char*>(bytes.data()), result.bytes);
      }
    }
    void on_writable() override {}
    void on_socket_error(int) override {}
    std::unique_ptr<Socket> socket;
    std::string peeked, read;
  } sniffer;
  const auto listener = *loop->listen(kAnyPort, {}, sniffer);
  testing::Peer client(*loop, listener->local_address());
  client.write("GET");
  ASSERT_TRUE(run_until(*loop, [&] { return !sniffer.read.empty(); }));
  EXPECT_EQ(sniffer.peeked, "GET");
  EXPECT_EQ(sniffer.read, "GET");
}

TEST(EpollLoop, WorkersOfOneProcessShareAPortButNotByAccident) {
  const auto loop = make_loop(), other = make_loop();
  Refuser events;
  ListenOptions shared;
  shared.reuse_port = true;
  const auto first = loop->listen(kAnyPort, shared, events);
  ASSERT_TRUE(first.has_value());
  const Address at = (*first)->local_address();
  EXPECT_TRUE(other->listen(at, shared, events).has_value());
  const auto accident = other->listen(at, {}, events);
  ASSERT_FALSE(accident.has_value());
  EXPECT_EQ(accident.error().code, ErrorCode::kConflict);
}

TEST(EpollLoop, APortThatAnotherProcessListensOnIsRefusedUnlessItIsWantedSo) {
  // The other process shares its port, so that only our own rule can refuse it.
  int ready[2], go[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    SockAddr to = *to_sockaddr(kAnyPort);
    std::uint16_t port = 0;
    if (::bind(fd, to.get(), to.size) == 0 && ::listen(fd, 1) == 0) {
      ::getsockname(fd, to.get(), &to.size);
      port = from_sockaddr(to).port;
    }
    char stop = 0;
    if (::write(ready[1], &port, sizeof port) < 0 || ::read(go[0], &stop, 1) < 0) ::_exit(1);
    ::_exit(0);
  }
  std::uint16_t port = 0;
  ASSERT_EQ(::read(ready[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
  const Address at{Address::Family::kIpv4, "127.0.0.1", port};
  const auto loop = make_loop();
  Refuser events;
  ListenOptions options;
  options.reuse_port = true;
  const auto refused = loop->listen(at, options, events);
  options.exclusive = false;
  const auto wanted = loop->listen(at, options, events);
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(to_string(refused.error()), "127.0.0.1:" + std::to_string(port) + ": in use by another process");
  EXPECT_TRUE(wanted.has_value());
}

TEST(EpollLoop, AUnixSocketIsPrivateReplacesADeadOneAndRefusesALivingOne) {
  const std::string path = "/tmp/lateen-net-test-" + std::to_string(::getpid());
  const Address at{Address::Family::kUnix, path, 0};
  {
    // A process that died leaves its file behind.
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    const SockAddr to = *to_sockaddr(at);
    ASSERT_EQ(::bind(dead.get(), to.get(), to.size), 0);
  }
  const auto loop = make_loop();
  Refuser events;
  const auto listener = loop->listen(at, {}, events);
  ASSERT_TRUE(listener.has_value()) << to_string(listener.error());
  struct stat file{};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777u, 0600u);
  const auto second = loop->listen(at, {}, events);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

TEST(EpollLoop, APausedListenerAcceptsWhatWaitedWhenItIsResumed) {
  const auto loop = make_loop();
  struct Count final : ListenSocketEvents {
    void on_accept(std::unique_ptr<Socket>) override { ++accepted; }
    int accepted = 0;
  } count;
  const auto listener = *loop->listen(kAnyPort, {}, count);
  listener->pause();
  testing::Peer client(*loop, listener->local_address());
  ASSERT_TRUE(run_until(*loop, [&] { return client.connected(); }));
  for (int i = 0; i < 5; ++i) loop->run_once(5ms);
  EXPECT_EQ(count.accepted, 0);
  listener->resume();
  EXPECT_TRUE(run_until(*loop, [&] { return count.accepted == 1; }));
}

TEST(EpollLoop, PostedWorkRunsInOrderOnTheLoopAndWakesIt) {
  const auto loop = make_loop();
  std::vector<int> seen;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) loop->mailbox().post([&seen, i] { seen.push_back(i); });
    loop->mailbox().post([&] { loop->stop(); });
  });
  loop->run();
  poster.join();
  ASSERT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(EpollLoop, TimersAndDeferredWorkRunInTheRoundThatMadeThem) {
  const auto loop = make_loop();
  std::string order;
  struct Probe {
    EpollLoop& loop;
    std::string& order;
    Timer now_timer, later_timer;
    void on_now() { order += "timer "; }
    void on_later() {
      order += "later ";
      loop.stop();
    }
  } probe{*loop, order, {}, {}};
  loop->mailbox().post([&] {
    order += "event ";
    loop->arm<&Probe::on_later>(probe.later_timer, 5ms, &probe);
    loop->arm<&Probe::on_now>(probe.now_timer, Duration::zero(), &probe);
    loop->defer([&] {
      order += "deferred ";
      loop->defer([&] { order += "again "; });
    });
  });
  const Time start = loop->now();
  loop->run();
  EXPECT_EQ(order, "event timer deferred again later ");
  EXPECT_GE(loop->now() - start, 5ms);
}

TEST(EpollLoop, TakesOverListenersAndSocketsThatWereOpenedElsewhere) {
  const auto loop = make_loop();
  SockAddr to = *to_sockaddr(kAnyPort);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, to.get(), to.size), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  struct Count final : ListenSocketEvents {
    void on_accept(std::unique_ptr<Socket> s) override { socket = std::move(s); }
    std::unique_ptr<Socket> socket;
  } count;
  const auto listener = loop->adopt_listener(fd, count);
  ASSERT_TRUE(listener.has_value()) << to_string(listener.error());
  const int raw = ::socket(AF_INET, SOCK_STREAM, 0);
  const SockAddr address = *to_sockaddr((*listener)->local_address());
  ASSERT_EQ(::connect(raw, address.get(), address.size), 0);
  auto adopted = loop->adopt_socket(raw);
  ASSERT_TRUE(adopted.has_value());
  testing::Peer client(*std::move(adopted));
  ASSERT_TRUE(run_until(*loop, [&] { return count.socket != nullptr; }));
  testing::Peer server(std::move(count.socket));
  server.write("hello");
  ASSERT_TRUE(run_until(*loop, [&] { return client.received() == "hello"; }));

  const int plain = ::socket(AF_INET, SOCK_STREAM, 0);
  const auto refused = loop->adopt_listener(plain, count);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(::fcntl(plain, F_GETFD), 0) << "the descriptor is the loop's from the call on";
}

TEST(Address, TextAndValueAreTheSameThing) {
  struct Case {
    std::string_view text;
    Address address;
  };
  const Case good[] = {{"10.0.0.1:80", {Address::Family::kIpv4, "10.0.0.1", 80}},
                       {":15000", {Address::Family::kIpv4, "0.0.0.0", 15000}},
                       {"[::1]:1", {Address::Family::kIpv6, "::1", 1}},
                       {"[0:0::1]:65535", {Address::Family::kIpv6, "::1", 65535}},
                       {"unix:/run/x", {Address::Family::kUnix, "/run/x", 0}}};
  for (const Case& c : good) {
    const auto parsed = parse_address(c.text);
    ASSERT_TRUE(parsed.has_value()) << c.text;
    EXPECT_EQ(*parsed, c.address) << c.text;
    EXPECT_EQ(*parse_address(to_string(*parsed)), *parsed) << c.text;
  }
  for (const std::string_view bad : {"", "80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.256:1", "host:80",
                                     "::1:80", "[10.0.0.1]:80", "[::1]", "unix:", "10.0.0.1:80x"}) {
    EXPECT_FALSE(parse_address(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lateen::net
