#include "cli/exec_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>

#include "cli/exec_connection.h"
#include "net/epoll_loop.h"

namespace lateen::cli {
namespace {

constexpr std::size_t kQueuedMax = 1 << 20;
constexpr Duration kRound = std::chrono::milliseconds(5);

class ExecServerTest : public testing::Test {
 protected:
  ExecServerTest() {
    char name[] = "/tmp/lateen-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    loop_ = std::move(*net::EpollLoop::create());
    server_ = std::move(*ExecServer::start(*loop_, {folder_, "s", kQueuedMax},
                                           {.on_hello = [this](auto id, const auto& hello) { hellos_.emplace_back(id, hello); },
                                            .on_sockets = [this](auto, const auto& sockets, auto descriptors) {
                                              sockets_.push_back(sockets);
                                              for (const int descriptor : descriptors) descriptors_.emplace_back(descriptor);
                                            },
                                            .on_closed = [this](auto id) { closed_.push_back(id); }}));
  }
  ~ExecServerTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  ExecConnection connect(const ExecMessage& first) {
    ExecConnection connection(std::move(*net::connect_unix(server_->path())));
    EXPECT_TRUE(connection.queue(first));
    EXPECT_TRUE(connection.flush());
    return connection;
  }
  template <class Fact>
  void until(Fact fact) {
    for (int round = 0; round < 1000 && !fact(); ++round) loop_->run_once(kRound);
    EXPECT_TRUE(fact());
  }
  // The next message, or the error that ended the session.
  Result<ExecMessage> next(ExecConnection& connection) {
    for (int round = 0; round < 1000; ++round) {
      pollfd wait{connection.descriptor(), POLLIN, 0};
      ::poll(&wait, 1, 1);
      loop_->run_once(Duration::zero());
      auto received = connection.receive();
      if (!received) return tl::unexpected(received.error());
      if (!received->empty()) return received->front().message;
    }
    return fail(ErrorCode::kTimeout, "nothing came");
  }

  std::string folder_;
  std::unique_ptr<net::EpollLoop> loop_;
  std::unique_ptr<ExecServer> server_;
  std::vector<std::pair<ExecServer::SessionId, ExecHello>> hellos_;
  std::vector<ExecSockets> sockets_;
  std::vector<net::Descriptor> descriptors_;
  std::vector<ExecServer::SessionId> closed_;
};

TEST_F(ExecServerTest, ASessionFromHelloToItsEnd) {
  {
    ExecHello hello;
    hello.identity = "sleep";
    ExecConnection connection = connect(hello);
    until([&] { return hellos_.size() == 1; });
    EXPECT_EQ(hellos_[0].second, hello);
    ExecServices list;
    list.identity = "default/sleep";
    ASSERT_TRUE(server_->post(hellos_[0].first, list));
    EXPECT_EQ(next(connection).value(), ExecMessage(list));
    std::vector<net::Descriptor> sockets;
    sockets.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_TRUE(connection.queue(ExecSockets{80, 4, 1}, std::move(sockets)));
    ASSERT_TRUE(connection.flush());
    until([&] { return descriptors_.size() == 1; });
    EXPECT_EQ(sockets_[0], (ExecSockets{80, 4, 1}));
  }
  until([&] { return closed_.size() == 1; });
  EXPECT_EQ(closed_[0], hellos_[0].first);
  EXPECT_TRUE(server_->post(closed_[0], ExecError{"nobody hears it"}));
}

TEST_F(ExecServerTest, AnErrorIsSaidAndEndsTheSession) {
  ExecConnection connection = connect(ExecHello{});
  until([&] { return hellos_.size() == 1; });
  ASSERT_TRUE(server_->post(hellos_[0].first, ExecError{"not you"}));
  EXPECT_EQ(next(connection).value(), ExecMessage(ExecError{"not you"}));
  EXPECT_EQ(next(connection).error().code, ErrorCode::kPeerClosed);
  until([&] { return closed_.size() == 1; });
}

TEST_F(ExecServerTest, AnotherVersionIsToldSo) {
  ExecHello hello;
  hello.protocol = kExecProtocol + 1;
  ExecConnection connection = connect(hello);
  const auto answer = next(connection);
  ASSERT_TRUE(answer);
  EXPECT_NE(std::get<ExecError>(*answer).message.find("version"), std::string::npos);
  EXPECT_FALSE(next(connection));
  EXPECT_TRUE(hellos_.empty());
}

TEST_F(ExecServerTest, WhoDoesNotBeginWithHelloIsCut) {
  ExecConnection connection = connect(ExecError{"hm"});
  EXPECT_EQ(next(connection).error().code, ErrorCode::kPeerClosed);
  EXPECT_TRUE(hellos_.empty());
}

TEST_F(ExecServerTest, AListThatNobodyReadsIsBounded) {
  ExecConnection connection = connect(ExecHello{});
  until([&] { return hellos_.size() == 1; });
  ExecServices list;
  list.services.push_back({std::string(kQueuedMax / 2, 'x'), {}, {}, {}});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(server_->post(hellos_[0].first, list));
  until([&] { return closed_.size() == 1; });
}

}  // namespace
}  // namespace lateen::cli
