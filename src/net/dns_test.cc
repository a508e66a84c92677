#include "net/dns.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <map>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/address.h"
#include "net/epoll_socket.h"

namespace lateen::net {
namespace {

using namespace std::chrono_literals;

// A DNS server on loopback that knows a few IPv4 addresses; a name it does not know does not exist, "silent" gets no
// answer.
class NameServer final : private FdEvents {
 public:
  explicit NameServer(EpollLoop& loop) : loop_(loop), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    SockAddr any = *to_sockaddr({Address::Family::kIpv4, "127.0.0.1", 0});
    LATEEN_CHECK(::bind(fd_.get(), any.get(), any.size) == 0);
    SockAddr bound;
    bound.size = sizeof bound.storage;
    LATEEN_CHECK(::getsockname(fd_.get(), bound.get(), &bound.size) == 0);
    address = from_sockaddr(bound);
    token_ = *loop_.add_fd(fd_.get(), EPOLLIN, *this);
  }
  ~NameServer() override { loop_.remove_fd(token_, fd_.get()); }

  Address address;
  std::map<std::string, std::vector<std::string>> known;
  int questions = 0;

 private:
  void on_fd_events(std::uint32_t) override {
    char bytes[512];
    SockAddr from;
    from.size = sizeof from.storage;
    const ssize_t size = ::recvfrom(fd_.get(), bytes, sizeof bytes, 0, from.get(), &from.size);
    if (size < 17) return;
    ++questions;
    std::string query(bytes, static_cast<std::size_t>(size));
    std::string name;
    std::size_t at = 12;
    while (query[at] != 0) {
      const auto length = static_cast<std::size_t>(query[at]);
      name += (name.empty() ? "" : ".") + query.substr(at + 1, length);
      at += length + 1;
    }
    const bool is_a = query[at + 2] == 1;
    if (name == "silent.test") return;
    const auto found = known.find(name);
    std::string reply = query.substr(0, at + 5);
    reply[2] = static_cast<char>(0x81);
    reply[3] = found == known.end() ? '\x83' : '\x80';
    const std::size_t answers = found != known.end() && is_a ? found->second.size() : 0;
    reply[7] = static_cast<char>(answers);
    reply[8] = reply[9] = reply[10] = reply[11] = 0;
    for (std::size_t i = 0; i < answers; ++i) {
      in_addr ip{};
      ::inet_pton(AF_INET, found->second[i].c_str(), &ip);
      reply += std::string("\xc0\x0c\0\1\0\1\0\0\0", 9) + static_cast<char>(30 + i) + std::string("\0\4", 2);
      reply.append(reinterpret_cast<const char*>(&ip), 4);
    }
    ::sendto(fd_.get(), reply.data(), reply.size(), 0, from.get(), from.size);
  }
  EpollLoop& loop_;
  Fd fd_;
  FdToken token_;
};

struct Fixture {
  Fixture() {
    server.known["two.test"] = {"10.0.0.1", "10.0.0.2"};
    ResolverOptions options;
    options.servers = to_string(server.address);
    options.timeout = 100ms;
    options.tries = 2;
    resolver = *make_resolver(*loop, options);
  }
  Result<Resolved> ask(const std::string& name, DnsFamily family) {
    Result<Resolved> answer = fail(ErrorCode::kSystem, "none");
    const auto query = resolver->resolve(name, family, [&](Result<Resolved> result) {
      answer = std::move(result);
      loop->stop();
    });
    loop->run();
    return answer;
  }
  std::unique_ptr<EpollLoop> loop = *EpollLoop::create();
  NameServer server{*loop};
  std::unique_ptr<Resolver> resolver;
};

TEST(Dns, ANameHasItsAddressesAndTheSmallestTtl) {
  Fixture f;
  const Result<Resolved> answer = f.ask("two.test", DnsFamily::kV4);
  ASSERT_TRUE(answer.has_value()) << to_string(answer.error());
  ASSERT_EQ(answer->addresses.size(), 2u);
  EXPECT_EQ(answer->addresses[0], (Address{Address::Family::kIpv4, "10.0.0.1", 0}));
  EXPECT_EQ(answer->addresses[1], (Address{Address::Family::kIpv4, "10.0.0.2", 0}));
  EXPECT_EQ(answer->ttl, 30s);
}

TEST(Dns, WhatDoesNotExistIsNotFoundAndSilenceATimeout) {
  Fixture f;
  const auto missing = f.ask("missing.test", DnsFamily::kV4);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  const auto silent = f.ask("silent.test", DnsFamily::kV4);
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().code, ErrorCode::kTimeout);
  const auto other_family = f.ask("two.test", DnsFamily::kV6);
  ASSERT_FALSE(other_family.has_value());
  EXPECT_EQ(other_family.error().code, ErrorCode::kNotFound);
}

TEST(Dns, AnAddressIsItsOwnNameAndTheCallIsNotMadeFromInside) {
  Fixture f;
  bool called = false;
  const auto query = f.resolver->resolve("10.1.2.3", DnsFamily::kV4, [&](Result<Resolved> result) {
    called = true;
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->addresses.at(0).host, "10.1.2.3");
    f.loop->stop();
  });
  EXPECT_FALSE(called);
  f.loop->run();
  EXPECT_TRUE(called);
  EXPECT_EQ(f.server.questions, 0);
}

TEST(Dns, AQueryThatIsDestroyedAndAResolverThatIsDestroyedCallNobody) {
  Fixture f;
  int called = 0;
  auto given_up = f.resolver->resolve("two.test", DnsFamily::kV4, [&](Result<Resolved>) { ++called; });
  given_up.reset();
  EXPECT_TRUE(f.ask("two.test", DnsFamily::kV4).has_value());
  const auto left_behind = f.resolver->resolve("silent.test", DnsFamily::kV4, [&](Result<Resolved>) { ++called; });
  f.resolver.reset();
  f.loop->run_once(10ms);
  EXPECT_EQ(called, 0);
}

TEST(Dns, NamesBelowLocalhostAreThisMachine) {
  Fixture f;
  for (const char* name : {"localhost", "a.localhost", "a.b.LocalHost."}) {
    const auto answer = f.ask(name, DnsFamily::kV4);
    ASSERT_TRUE(answer.has_value()) << name << ": " << to_string(answer.error());
    EXPECT_EQ(answer->addresses.at(0).host, "127.0.0.1") << name;
  }
  EXPECT_EQ(f.server.questions, 0);
  EXPECT_FALSE(f.ask("notlocalhost", DnsFamily::kV4).has_value());
}

}  // namespace
}  // namespace lateen::net
