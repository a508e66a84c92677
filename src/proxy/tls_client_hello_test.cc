#include "proxy/tls_client_hello.h"

#include <gtest/gtest.h>
#include <string>

#include "stream/tls.h"
#include "testing/certificates.h"
#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::proxy {
namespace {

using namespace std::chrono_literals;

std::string number(std::size_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}
std::string sized(std::string_view body, std::size_t length_bytes) { return number(body.size(), length_bytes) + std::string(body); }
std::string extension(std::size_t kind, std::string_view body) { return number(kind, 2) + sized(body, 2); }
std::string server_name(std::string_view name) { return extension(0, sized('\0' + sized(name, 2), 2)); }
std::string alpn(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& protocol : protocols) list += sized(protocol, 1);
  return extension(16, sized(list, 2));
}
std::string message(const std::string& extensions, std::size_t version = 0x0303) {
  const std::string body = number(version, 2) + std::string(32, 'r') + sized("session", 1) + sized("\x13\x01\x13\x02", 2) +
                           sized(std::string(1, '\0'), 1) + sized(extensions, 2);
  return '\x01' + sized(body, 3);
}
std::string records(std::string_view text, std::size_t of_bytes = 16384) {
  std::string out;
  while (!text.empty()) {
    out += "\x16\x03\x01" + sized(text.substr(0, of_bytes), 2);
    text.remove_prefix(std::min(of_bytes, text.size()));
  }
  return out;
}
ClientHelloResult read(const std::string& bytes) {
  ClientHello hello;
  return read_client_hello(bytes, hello);
}

TEST(ClientHello, SaysWhatItSays) {
  const std::string hello_message = message(server_name("Shop.Example") + extension(99, "?") + alpn({"h2", "http/1.1"}) +
                                            extension(43, sized("\x0a\x0a\x03\x04\x03\x03", 1)));
  for (const std::size_t of_bytes : {std::size_t{16384}, std::size_t{100}, std::size_t{7}, std::size_t{1}}) {
    const std::string bytes = records(hello_message, of_bytes);
    ClientHello hello;
    ASSERT_EQ(read_client_hello(bytes, hello), ClientHelloResult::kComplete) << of_bytes;
    EXPECT_EQ(hello.server_name, "shop.example");
    EXPECT_EQ(hello.application_protocols, (std::vector<std::string>{"h2", "http/1.1"}));
    EXPECT_EQ(hello.version_max, 0x0304);
    // Every shorter text wants more, and is never taken for anything else.
    for (std::size_t size = 0; size < bytes.size(); ++size) ASSERT_EQ(read(bytes.substr(0, size)), ClientHelloResult::kMore) << size;
    // What follows is the next flight's.
    EXPECT_EQ(read(bytes + "\x14\x03\x03\x00\x01\x01"), ClientHelloResult::kComplete);
  }
}

TEST(ClientHello, LeavesOutWhatIsNotThere) {
  ClientHello hello;
  hello.server_name = "of before";
  ASSERT_EQ(read_client_hello(records(message("")), hello), ClientHelloResult::kComplete);
  EXPECT_EQ(hello.server_name, "");
  EXPECT_TRUE(hello.application_protocols.empty());
  EXPECT_EQ(hello.version_max, 0x0303);
}

TEST(ClientHello, RefusesWhatIsNone) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\n"), ClientHelloResult::kNotTls);
  EXPECT_EQ(read(std::string("\x80\x2e\x01\x00\x02", 5)), ClientHelloResult::kNotTls);   // SSL 2
  const std::string good = message(server_name("a.example"));
  const std::pair<const char*, std::string> cases[] = {
      {"version of the record", std::string("\x16\x02\x00\x00\x05", 5)},
      {"empty record", std::string("\x16\x03\x01\x00\x00", 5)},
      {"record too long", std::string("\x16\x03\x01\x40\x01", 5)},
      {"other message", records('\x02' + sized("abc", 3))},
      {"too long", records(std::string("\x01\x01\x00\x00", 4) + "x")},
      {"another record between", records(good.substr(0, 20)) + std::string("\x17\x03\x03\x00\x01x", 6)},
      {"bytes behind it", records(good + "x")},
      {"version of the message", records(message("", 0x0203))},
      {"body cut", records('\x01' + sized(good.substr(4, 30), 3))},
      {"extension cut", records(message(server_name("a.example").substr(0, 8)))},
      {"name twice", records(message(server_name("a.example") + server_name("b.example")))},
      {"empty name", records(message(server_name("")))},
      {"no name", records(message(extension(0, sized("", 2))))},
      {"zero byte in the name", records(message(server_name(std::string("a\0b", 3))))},
      {"space in the name", records(message(server_name("a b")))},
      {"rest behind the names", records(message(extension(0, sized('\0' + sized("a", 2), 2) + "x")))},
      {"empty protocol", records(message(alpn({""})))},
      {"no protocols", records(message(alpn({})))},
      {"odd versions", records(message(extension(43, sized("\x03", 1))))},
  };
  for (const auto& [name, bytes] : cases) EXPECT_EQ(read(bytes), ClientHelloResult::kInvalid) << name;
}

// What the library's own clients say.
TEST(ClientHello, OfARealClient) {
  struct NoEvents final : net::SocketEvents {
    void on_readable() override {}
    void on_writable() override {}
    void on_socket_error(int) override {}
  } no_events;
  testing::VirtualLoop loop(1);
  testing::PeerListener listener(loop);
  stream::TlsClientSettings settings;
  settings.common.alpn = {"istio-peer-exchange", "h2"};
  const auto context = stream::TlsContext::client(settings);
  ASSERT_TRUE(context);
  const auto socket = stream::start_tls(loop, loop.connect(listener.address(), no_events), false, *context,
                                        {.server_name = "reviews.default", .verify_name = "", .session_key = ""}, no_events);
  loop.run_for(1s);
  ClientHello hello;
  ASSERT_EQ(read_client_hello(listener.at(0).received(), hello), ClientHelloResult::kComplete);
  EXPECT_EQ(hello.server_name, "reviews.default");
  EXPECT_EQ(hello.application_protocols, settings.common.alpn);
  EXPECT_EQ(hello.version_max, 0x0304);
}

}  // namespace
}  // namespace lateen::proxy
