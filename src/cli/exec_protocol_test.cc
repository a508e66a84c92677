#include "cli/exec_protocol.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "cli/exec_connection.h"

namespace lateen::cli {
namespace {

ExecServices sample() {
  ExecServices list;
  list.identity = "default/sleep";
  list.workers = 4;
  list.search = {"default.svc.cluster.local"};
  list.services = {{"reviews", {"reviews", "reviews.default"}, {"10.96.0.2", "fd00::2"}, {9080, 80}}, {"odd \"\\\n\x01", {}, {}, {}}};
  return list;
}

std::vector<ExecMessage> samples() {
  return {ExecHello{kExecProtocol, "blue/sleep", {{"app", "sleep"}, {"env", "test"}}, "curl"}, sample(), ExecSockets{9080, 6, 4}, ExecError{"no"}};
}

std::string_view json_of(std::string_view frame) { return frame.substr(kExecFrameHeaderBytes); }

TEST(ExecProtocol, EveryMessageComesBackAsItWas) {
  for (const ExecMessage& message : samples()) {
    const auto frame = encode_exec_frame(message);
    ASSERT_TRUE(frame);
    EXPECT_EQ(decode_exec_frame_length(*frame).value(), frame->size() - kExecFrameHeaderBytes);
    const auto back = decode_exec_message(json_of(*frame));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, message);
  }
}

TEST(ExecProtocol, RefusesWhatIsNoMessage) {
  for (const char* text : {"", "{", "[]", "1", "{}", R"({"type":"dance"})", R"({"type":"sockets","port":0,"family":4,"count":1})",
                           R"({"type":"sockets","port":70000,"family":4,"count":1})", R"({"type":"sockets","port":80,"family":5,"count":1})",
                           R"({"type":"sockets","port":80,"family":4,"count":0})", R"({"type":"sockets","port":80,"family":4,"count":1000})",
                           R"({"type":"services","workers":0})", R"({"type":"services","services":{}})", R"({"type":"services","services":[1]})",
                           R"({"type":"services","services":[{"ports":[0]}]})", R"({"type":"services","services":[{"hosts":[1]}]})",
                           R"({"type":"hello","labels":{"a":1}})", R"({"type":"hello","identity":7})"}) {
    EXPECT_FALSE(decode_exec_message(text)) << text;
  }
}

TEST(ExecProtocol, RefusesWhatIsBeyondItsBounds) {
  EXPECT_FALSE(decode_exec_frame_length(std::string("\xFF\xFF\xFF\xFF", 4)));
  EXPECT_FALSE(decode_exec_frame_length(std::string(4, '\0')));
  EXPECT_EQ(decode_exec_message(std::string(kExecFrameBytesMax + 1, ' ')).error().code, ErrorCode::kOverLimit);
  std::string ports = "1";
  for (std::size_t i = 0; i < kExecPortsMax; ++i) ports += ",1";
  EXPECT_EQ(decode_exec_message(R"({"type":"services","services":[{"ports":[)" + ports + "]}]}").error().code, ErrorCode::kOverLimit);
}

TEST(ExecProtocol, CapturedPortsFollowTheFamiliesOfTheAddresses) {
  ExecServices list;
  list.services = {{"a", {}, {"10.0.0.1"}, {80, 90}}, {"b", {}, {"10.0.0.2", "fd00::2"}, {80}}, {"c", {}, {}, {70}}};
  const std::vector<std::pair<std::uint16_t, int>> expected{{80, 4}, {80, 6}, {90, 4}};
  EXPECT_EQ(captured_ports(list), expected);
}

TEST(ExecProtocol, DirectionsNeedAnAbsolutePath) {
  const ExecDirections directions{"/run/x.sock", "127.0.0.1:15007"};
  EXPECT_EQ(parse_exec_directions(to_json(directions)).value(), directions);
  EXPECT_FALSE(parse_exec_directions(R"({"socket":"x.sock"})"));
  EXPECT_FALSE(parse_exec_directions("<html>"));
}

TEST(ExecProtocol, DirectoryIsPrivateToTheUser) {
  EXPECT_EQ(exec_socket_directory("/run/user/7", 7), "/run/user/7/lateen");
  EXPECT_EQ(exec_socket_directory("", 7), "/tmp/lateen-7");
  EXPECT_EQ(exec_socket_directory("relative", 7), "/tmp/lateen-7");
}

struct Ends {
  Ends() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    left = std::make_unique<ExecConnection>(net::Descriptor(ends[0]));
    right = std::make_unique<ExecConnection>(net::Descriptor(ends[1]));
    raw = ends[0];
  }
  std::unique_ptr<ExecConnection> left, right;
  int raw = -1;
};

TEST(ExecConnection, DescriptorsComeWithTheirMessage) {
  Ends ends;
  for (std::uint16_t port : {std::uint16_t{80}, std::uint16_t{90}}) {
    std::vector<net::Descriptor> sockets;
    for (int i = 0; i < (port == 80 ? 2 : 3); ++i) sockets.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
    const auto count = static_cast<std::uint32_t>(sockets.size());
    ASSERT_TRUE(ends.left->queue(ExecSockets{port, 4, count}, std::move(sockets)));
  }
  ASSERT_TRUE(ends.left->queue(ExecError{"after"}));
  ASSERT_TRUE(ends.left->flush());
  const auto messages = ends.right->receive();
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 3U);
  EXPECT_EQ((*messages)[0].descriptors.size(), 2U);
  EXPECT_EQ((*messages)[1].descriptors.size(), 3U);
  EXPECT_TRUE((*messages)[2].descriptors.empty());
  int domain = 0;
  socklen_t size = sizeof(domain);
  EXPECT_EQ(::getsockopt((*messages)[1].descriptors[2].get(), SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
  EXPECT_EQ(domain, AF_INET);
}

TEST(ExecConnection, FewerDescriptorsThanAnnouncedAreRefused) {
  Ends ends;
  ASSERT_TRUE(ends.left->queue(ExecSockets{80, 4, 2}));
  ASSERT_TRUE(ends.left->flush());
  EXPECT_EQ(ends.right->receive().error().code, ErrorCode::kProtocol);
}

TEST(ExecConnection, MessagesInPiecesAreJoined) {
  Ends ends;
  std::string bytes;
  for (const ExecMessage& message : {ExecMessage(ExecError{"one"}), ExecMessage(ExecError{"two"})}) bytes += *encode_exec_frame(message);
  std::vector<std::string> texts;
  for (const char byte : bytes) {
    ASSERT_EQ(::write(ends.raw, &byte, 1), 1);
    const auto received = ends.right->receive();
    ASSERT_TRUE(received);
    for (const auto& incoming : *received) texts.push_back(std::get<ExecError>(incoming.message).message);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"one", "two"}));
}

TEST(ExecConnection, LastWordsComeBeforeTheEnd) {
  Ends ends;
  ASSERT_TRUE(ends.left->queue(ExecError{"bye"}));
  ASSERT_TRUE(ends.left->flush());
  ends.left.reset();
  EXPECT_EQ(ends.right->receive().value().size(), 1U);
  EXPECT_EQ(ends.right->receive().error().code, ErrorCode::kPeerClosed);
}

}  // namespace
}  // namespace lateen::cli
