// The HTTP/2 side of the client pool, against an upstream that sends what a test writes down frame by frame.
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "http/h2_client_session.h"
#include "stream/client_pool.h"
#include "stream/server_connection.h"
#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;

struct Admission final : ConnectionAdmission {
  std::size_t limit = 1000, open = 0, failed = 0;
  bool try_acquire_connection(bool must) override {
    if (!must && open >= limit) return false;
    ++open;
    return true;
  }
  void release_connection() override { --open; }
  void on_connect_failed(ResetReason) override { ++failed; }
};

// One request: asks the pool, sends its head, and writes down what comes.
class Exchange final : public StreamWaiter, public ClientStreamHandler {
 public:
  using Change = std::function<void(http::RequestHead&)>;
  Exchange(ClientPool& pool, Change change, End end) : change_(std::move(change)), end_(end) { pending = pool.start(*this, *this); }
  void on_stream_ready(std::unique_ptr<ClientStream> ready) override {
    pending.reset();
    stream = std::move(ready);
    http::RequestHead head;
    head.method = "GET";
    head.path = "/";
    head.authority = "h";
    if (change_) change_(head);
    stream->send_headers(head, end_);
  }
  void on_stream_failure(ResetReason reason, std::string_view detail) override {
    pending.reset();
    log += "failed" + std::to_string(static_cast<int>(reason)) + ":" + std::string(detail);
  }
  void on_informational(http::ResponseHead head) override { log += "(" + std::to_string(head.status) + ")"; }
  void on_headers(http::ResponseHead head, End end) override {
    log += std::to_string(head.status) + (end == End::kYes ? "." : "");
    for (const http::Header& h : head.headers.fields()) fields += std::string(h.name) + "=" + std::string(h.value) + ";";
    if (end == End::kYes) finish();
  }
  void on_data(Buffer data, End end) override {
    body += data.to_string();
    if (takes) {
      stream->consumed(data.size());
    } else {
      held += data.size();
    }
    if (end == End::kYes) {
      log += " end";
      finish();
    }
  }
  void on_trailers(http::HeaderMap trailers) override {
    log += " trailers" + std::to_string(trailers.size());
    finish();
  }
  void on_reset(ResetReason reason, bool bytes_sent, std::string_view detail) override {
    log += " reset" + std::to_string(static_cast<int>(reason)) + (bytes_sent ? "+" : "-") + std::string(detail);
    stream.reset();
  }
  void on_sent(std::size_t bytes) override { sent += bytes; }
  void finish() {
    if (!keeps) stream.reset();
  }
  void send(std::string_view text, End end) {
    Buffer data;
    data.append_copy(text);
    stream->send_data(std::move(data), end);
  }

  std::unique_ptr<PendingStream> pending;
  std::unique_ptr<ClientStream> stream;
  std::string log, body, fields;
  std::size_t held = 0, sent = 0;
  bool takes = true, keeps = false;

 private:
  const Change change_;
  const End end_;
};

// ---- frames by hand

enum Type : unsigned char { kData, kHeaders, kPriority, kRst, kSettings, kPush, kPing, kGoAway, kWindow };
constexpr unsigned char kEndStream = 1, kAck = 1, kEndHeaders = 4;

std::string number(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xffU);
  return text;
}
std::string frame(Type type, unsigned flags, std::uint32_t stream, const std::string& payload = "") {
  return number(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) + static_cast<char>(flags) +
         number(stream, 4) + payload;
}
std::string field(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}
std::string setting(unsigned id, std::uint32_t value) { return number(id, 2) + number(value, 4); }
const std::string kOkStatus = "\x88";   // ":status: 200" in the static table
std::string head(std::uint32_t stream, const std::string& fields = kOkStatus, unsigned flags = 0) {
  return frame(kHeaders, kEndHeaders | flags, stream, fields);
}
// What every server says first.
std::string hello(const std::string& settings = "") { return frame(kSettings, 0, 0, settings) + frame(kSettings, kAck, 0); }
std::string go_away(std::uint32_t last, std::uint32_t error) { return frame(kGoAway, 0, 0, number(last, 4) + number(error, 4)); }

// How many frames of a type `bytes` has, behind the preface; -1: not whole.
int count(const std::string& bytes, Type type, std::string* last = nullptr) {
  int found = 0;
  for (std::size_t at = kH2Preface.size(); at + 9 <= bytes.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + i])); };
    const std::size_t size = byte(0) << 16U | byte(1) << 8U | byte(2);
    if (byte(3) == type) {
      ++found;
      if (last != nullptr) *last = bytes.substr(at + 9, size);
    }
    at += 9 + size;
  }
  return found;
}

PoolOptions http2() {
  PoolOptions options;
  options.protocol = PoolProtocol::kHttp2;
  return options;
}

struct Fixture {
  explicit Fixture(PoolOptions options = http2()) : network(1, testing::NetworkOptions::calm()), loop(network), servers(network), listener(servers) {
    pool = make_client_pool(loop, listener.address(), options, admission);
  }
  Exchange& start(End end = End::kYes, Exchange::Change change = nullptr) {
    exchanges.push_back(std::make_unique<Exchange>(*pool, std::move(change), end));
    return *exchanges.back();
  }
  void run(Duration time = 100ms) { network.run_for(time); }
  void say(std::size_t connection, std::string_view text) {
    listener.at(connection).write(text);
    run();
  }
  // Starts a request, and says SETTINGS and `text`.
  std::string answer(const std::string& text) {
    Exchange& exchange = start();
    run();
    say(0, hello() + text);
    return exchange.log;
  }
  testing::VirtualNetwork network;
  testing::VirtualLoop loop, servers;
  testing::PeerListener listener;
  Admission admission;
  std::unique_ptr<ClientPool> pool;
  std::vector<std::unique_ptr<Exchange>> exchanges;
};

TEST(H2ClientPool, ManyRequestsShareOneConnection) {
  Fixture f;
  for (int i = 0; i < 5; ++i) f.start();
  f.run();
  ASSERT_EQ(f.listener.size(), 1u);
  EXPECT_TRUE(f.listener.at(0).received().starts_with(kH2Preface));
  EXPECT_EQ(count(f.listener.at(0).received(), kHeaders), 5);
  std::string text = hello();
  for (std::uint32_t id : {9U, 1U, 5U, 3U, 7U}) text += head(id) + frame(kData, kEndStream, id, "ok" + std::to_string(id));
  f.say(0, text);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(f.exchanges[i]->log, "200 end");
    EXPECT_EQ(f.exchanges[i]->body, "ok" + std::to_string(2 * i + 1));
  }
  EXPECT_TRUE(f.pool->ready());
  EXPECT_EQ(f.pool->idle_connections(), 1u);
  EXPECT_EQ(count(f.listener.at(0).received(), kRst), 0) << "a complete exchange needs no reset";
}

TEST(H2ClientPool, MoreConnectionsAreMadeOnlyWhereTheStreamsAreUsedUp) {
  PoolOptions options = http2();
  options.http2_streams_max = 2;
  Fixture f(options);
  for (int i = 0; i < 5; ++i) f.start();
  f.run();
  EXPECT_EQ(f.listener.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LE(count(f.listener.at(i).received(), kHeaders), 2);
}

TEST(H2ClientPool, ThePeersLimitHolds) {
  Fixture f;
  f.admission.limit = 1;
  f.start();
  f.run();
  f.say(0, hello(setting(3, 2)));
  f.start();
  Exchange& third = f.start();
  f.run();
  EXPECT_EQ(count(f.listener.at(0).received(), kHeaders), 2);
  EXPECT_FALSE(f.pool->ready());
  EXPECT_EQ(f.pool->pending(), 1u);
  f.say(0, head(1, kOkStatus, kEndStream));
  EXPECT_EQ(count(f.listener.at(0).received(), kHeaders), 3);
  f.say(0, head(5, kOkStatus, kEndStream));
  EXPECT_EQ(third.log, "200.");
}

TEST(H2ClientPool, WhatTheUpstreamHasNotTouchedIsRefused) {
  Fixture f;
  f.start();
  f.start();
  f.start();
  f.run();
  f.say(0, hello() + frame(kRst, 0, 3, number(7, 4)));
  EXPECT_EQ(f.exchanges[1]->log, " reset5+");
  f.say(0, go_away(1, 0));
  EXPECT_EQ(f.exchanges[2]->log, " reset5+") << "above the last stream";
  EXPECT_EQ(f.exchanges[0]->log, "");
  f.start();
  f.run();
  EXPECT_EQ(f.listener.size(), 2u) << "no new stream after a GOAWAY";
  f.say(0, head(1, kOkStatus, kEndStream));
  EXPECT_EQ(f.exchanges[0]->log, "200.");
  f.run();
  EXPECT_TRUE(f.listener.at(0).ended()) << "closed with its last stream";
  EXPECT_EQ(f.pool->connections(), 1u);
}

TEST(H2ClientPool, ResetsOfThePeerAndLostConnectionsTellWhetherBytesHadLeft) {
  Fixture f;
  f.start();
  f.run();
  f.say(0, hello() + frame(kRst, 0, 1, number(2, 4)));
  EXPECT_TRUE(f.exchanges[0]->log.starts_with(" reset10+")) << f.exchanges[0]->log;
  f.start();
  f.run();
  f.listener.at(0).close();
  f.run();
  EXPECT_TRUE(f.exchanges[1]->log.starts_with(" reset3+")) << f.exchanges[1]->log;
  EXPECT_EQ(f.pool->connections(), 0u);
  EXPECT_EQ(f.admission.open, 0u);
}

TEST(H2ClientPool, AnswersThatAreNotLegalAreProtocolErrors) {
  const struct {
    const char* what;
    std::string text;
  } cases[] = {
      {"no status", head(1, field("a", "b"), kEndStream)},
      {"status of two digits", head(1, field(":status", "99"), kEndStream)},
      {"status above 599", head(1, field(":status", "600"), kEndStream)},
      {"101", head(1, field(":status", "101"))},
      {"two statuses", head(1, kOkStatus + kOkStatus, kEndStream)},
      {"pseudo-field of requests", head(1, kOkStatus + field(":path", "/"), kEndStream)},
      {"pseudo-field after others", head(1, field("a", "b") + kOkStatus, kEndStream)},
      {"connection", head(1, kOkStatus + field("connection", "close"), kEndStream)},
      {"transfer-encoding", head(1, kOkStatus + field("transfer-encoding", "chunked"), kEndStream)},
      {"upper case", head(1, kOkStatus + field("Abc", "b"), kEndStream)},
      {"line feed in a value", head(1, kOkStatus + field("a", "b\nc"), kEndStream)},
      {"two lengths", head(1, kOkStatus + field("content-length", "1") + field("content-length", "2"))},
      {"body shorter than announced", head(1, kOkStatus + field("content-length", "3")) + frame(kData, kEndStream, 1, "ab")},
      {"body longer than announced", head(1, kOkStatus + field("content-length", "1")) + frame(kData, kEndStream, 1, "ab")},
      {"no body where one was announced", head(1, kOkStatus + field("content-length", "3"), kEndStream)},
      {"data before the head", frame(kData, kEndStream, 1, "ab")},
      {"end with a 1xx", head(1, field(":status", "103"), kEndStream)},
      {"data after a 1xx", head(1, field(":status", "103")) + frame(kData, kEndStream, 1, "ab")},
      {"trailers without an end", head(1) + head(1, field("a", "b"))},
      {"a status in trailers", head(1) + head(1, kOkStatus, kEndStream)},
      {"a length in trailers", head(1) + head(1, field("content-length", "1"), kEndStream)},
      {"a push", frame(kPush, kEndHeaders, 1, number(2, 4) + "\x82\x86\x84\x41\x01h")},
      {"an even stream", head(2, kOkStatus, kEndStream)},
      {"a window of 0", frame(kWindow, 0, 1, number(0, 4))},
      {"settings on a stream", frame(kSettings, 0, 1)},
      {"a reset of an idle stream", frame(kRst, 0, 9, number(2, 4))},
  };
  for (const auto& c : cases) {
    Fixture f;
    const std::string log = f.answer(c.text);
    EXPECT_NE(log.find(" reset4+"), std::string::npos) << c.what << ": " << log;
    EXPECT_EQ(log.find("end"), std::string::npos) << c.what << ": " << log;
    // Either the stream or the connection is told.
    const std::string& received = f.listener.at(0).received();
    EXPECT_GT(count(received, kRst) + count(received, kGoAway), 0) << c.what;
  }
}

TEST(H2ClientPool, OneBadAnswerLeavesTheOthersAlone) {
  Fixture f;
  f.start();
  Exchange& good = f.start();
  f.run();
  f.say(0, hello() + head(1, kOkStatus + field("connection", "close"), kEndStream));
  f.say(0, head(3, kOkStatus, kEndStream));
  EXPECT_TRUE(f.exchanges[0]->log.starts_with(" reset4+"));
  EXPECT_EQ(good.log, "200.");
}

TEST(H2ClientPool, HeadsTrailersAndInformationalAnswersAreBounded) {
  std::string large = kOkStatus;
  for (int i = 0; i < 101; ++i) large += field("name" + std::to_string(i), "v");
  EXPECT_NE(Fixture().answer(head(1, large, kEndStream)).find(" reset4+response headers too large"), std::string::npos);
  std::string trailers;
  for (std::size_t i = 0; i <= http::kH2TrailerFieldsMax; ++i) trailers += field("name" + std::to_string(i), "v");
  EXPECT_NE(Fixture().answer(head(1) + head(1, trailers, kEndStream)).find(" reset4+illegal response trailers"), std::string::npos);
  std::string early;
  for (std::uint32_t i = 0; i <= http::kH2InformationalMax; ++i) early += head(1, field(":status", "103"));
  EXPECT_NE(Fixture().answer(early).find(" reset4+too many informational responses"), std::string::npos);
}

TEST(H2ClientPool, InformationalAnswersAndTrailersArePassedOn) {
  Fixture f;
  EXPECT_EQ(f.answer(head(1, field(":status", "103")) + head(1) + frame(kData, 0, 1, "ab") + head(1, field("grpc-status", "0"), kEndStream)),
            "(103)200 trailers1");
  EXPECT_EQ(f.exchanges[0]->body, "ab");
}

TEST(H2ClientPool, FloodsEndTheConnection) {
  for (const std::string& one : {frame(kPing, 0, 0, "12345678"), frame(kSettings, 0, 0), frame(kWindow, 0, 0, number(1, 4))}) {
    std::string flood;
    for (int i = 0; i < 2000; ++i) flood += one;
    Fixture f;
    EXPECT_NE(f.answer(flood).find(" reset4+"), std::string::npos);
    std::string last;
    EXPECT_EQ(count(f.listener.at(0).received(), kGoAway, &last), 1);
    EXPECT_EQ(last.substr(4), number(11, 4)) << "ENHANCE_YOUR_CALM";
    EXPECT_EQ(f.pool->connections(), 0u);
  }
}

TEST(H2ClientPool, ABodyThatNobodyTakesStopsAtTheWindow) {
  Fixture f;
  Exchange& slow = f.start();
  slow.takes = false;
  f.run();
  std::string text = hello() + head(1);
  constexpr std::size_t kPiece = 16'384;
  for (std::size_t i = 0; i < kStreamWindowBytes / kPiece; ++i) text += frame(kData, 0, 1, std::string(kPiece, 'x'));
  f.say(0, text);
  EXPECT_EQ(slow.held, kStreamWindowBytes);
  EXPECT_EQ(count(f.listener.at(0).received(), kWindow), 1) << "the connection's own at the start";
  slow.stream->consumed(slow.held);
  f.run();
  EXPECT_GT(count(f.listener.at(0).received(), kWindow), 1);
  // More than the window is a violation.
  f.say(0, frame(kData, 0, 1, "x") + frame(kData, kEndStream, 1, "x"));
  EXPECT_EQ(slow.body.size(), kStreamWindowBytes + 2);
}

TEST(H2ClientPool, ARequestsBodyWaitsForThePeersWindow) {
  Fixture f;
  Exchange& post = f.start(End::kNo, [](http::RequestHead& head) { head.method = "POST"; });
  f.run();
  post.send(std::string(100'000, 'x'), End::kYes);
  f.run();
  EXPECT_EQ(post.sent, 65'535u);
  f.say(0, hello() + frame(kWindow, 0, 1, number(50'000, 4)) + frame(kWindow, 0, 0, number(50'000, 4)));
  EXPECT_EQ(post.sent, 100'000u);
  f.say(0, head(1, kOkStatus, kEndStream));
  EXPECT_EQ(post.log, "200.");
}

TEST(H2ClientPool, AnExchangeThatIsGivenUpIsCancelled) {
  Fixture f;
  Exchange& gone = f.start();
  f.run();
  gone.stream.reset();
  f.run();
  std::string code;
  EXPECT_EQ(count(f.listener.at(0).received(), kRst, &code), 1);
  EXPECT_EQ(code, number(8, 4));
  f.say(0, hello() + head(1) + frame(kData, kEndStream, 1, "late"));
  EXPECT_EQ(gone.log, "");
  EXPECT_EQ(f.pool->connections(), 1u);
  EXPECT_EQ(f.pool->idle_connections(), 1u);
}

TEST(H2ClientPool, PingsFindAPeerThatIsGone) {
  PoolOptions options = http2();
  options.http2_ping_interval = 10s;
  options.http2_ping_timeout = 2s;
  Fixture f(options);
  f.start();
  f.run();
  f.say(0, hello());
  f.run(11s);
  std::string ping;
  EXPECT_EQ(count(f.listener.at(0).received(), kPing, &ping), 1);
  f.say(0, frame(kPing, kAck, 0, ping));
  f.run(9s);
  EXPECT_EQ(f.exchanges[0]->log, "");
  f.run(4s);
  EXPECT_EQ(f.exchanges[0]->log, " reset3+http2 ping timeout");
  EXPECT_EQ(f.pool->connections(), 0u);
}

TEST(H2ClientPool, IdleOldAndUsedConnectionsGo) {
  PoolOptions options = http2();
  options.idle_timeout = 5s;
  {
    Fixture f(options);
    f.answer(head(1, kOkStatus, kEndStream));
    f.run(4s);
    EXPECT_EQ(f.pool->connections(), 1u);
    f.run(2s);
    EXPECT_EQ(f.pool->connections(), 0u);
    EXPECT_EQ(count(f.listener.at(0).received(), kGoAway), 1);
  }
  options.max_connection_duration = 2s;
  {
    Fixture f(options);
    f.start();
    f.run(3s);
    f.start();
    f.run();
    EXPECT_EQ(f.listener.size(), 2u) << "no new stream on an old connection";
    f.say(0, hello() + head(1, kOkStatus, kEndStream));
    EXPECT_EQ(f.exchanges[0]->log, "200.");
  }
  options.max_requests_per_connection = 2;
  Fixture f(options);
  for (int i = 0; i < 3; ++i) f.start();
  f.run();
  EXPECT_EQ(f.listener.size(), 2u);
}

TEST(H2ClientPool, DrainingLetsExchangesEnd) {
  Fixture f;
  f.start();
  f.run();
  bool empty = false;
  f.pool->drain([&] { empty = true; });
  EXPECT_EQ(f.start().log, "failed6:connection pool closed");
  f.run();
  EXPECT_FALSE(empty);
  f.say(0, hello() + head(1, kOkStatus, kEndStream));
  EXPECT_EQ(f.exchanges[0]->log, "200.");
  EXPECT_TRUE(empty);
  EXPECT_EQ(f.admission.open, 0u);
}

TEST(H2ClientPool, DestroyingThePoolTellsTheExchanges) {
  Fixture f;
  f.start();
  f.start();
  f.run();
  f.pool.reset();
  for (const auto& exchange : f.exchanges) EXPECT_EQ(exchange->log, " reset6+connection pool closed");
  EXPECT_EQ(f.admission.open, 0u);
}

// An upgrade goes as an extended CONNECT, where the peer takes those.
TEST(H2ClientPool, UpgradesAreExtendedConnects) {
  const auto upgrade = [](http::RequestHead& head) {
    head.is_upgrade = true;
    head.headers.add("connection", "upgrade");
    head.headers.add("upgrade", "websocket");
    head.headers.add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
  };
  Fixture f;
  Exchange& tunnel = f.start(End::kNo, upgrade);
  f.run();
  EXPECT_EQ(count(f.listener.at(0).received(), kHeaders), 0) << "waits for the peer's SETTINGS";
  f.say(0, hello(setting(8, 1)));
  std::string fields;
  EXPECT_EQ(count(f.listener.at(0).received(), kHeaders, &fields), 1);
  f.say(0, head(1) + frame(kData, 0, 1, "hello"));
  EXPECT_EQ(tunnel.log, "101");
  EXPECT_EQ(tunnel.fields, "connection=upgrade;upgrade=websocket;sec-websocket-accept=s3pPLMBiTxaQ9kYGzzhZRbK+xOo=;");
  EXPECT_EQ(tunnel.body, "hello");
  tunnel.send("there", End::kNo);
  f.run();
  std::string data;
  EXPECT_EQ(count(f.listener.at(0).received(), kData, &data), 1);
  EXPECT_EQ(data, "there");

  Fixture g;
  Exchange& refused = g.start(End::kNo, upgrade);
  g.run();
  g.say(0, hello());
  EXPECT_EQ(refused.log, " reset4-the peer does not take upgrades");
}

// ---- ALPN

class WithAlpn final : public net::Socket {
 public:
  WithAlpn(std::unique_ptr<net::Socket> socket, std::string protocol) : socket_(std::move(socket)), protocol_(std::move(protocol)) {}
  void set_events(net::SocketEvents* events) override { socket_->set_events(events); }
  net::IoResult read(std::span<std::byte> into) override { return socket_->read(into); }
  net::IoResult readv(std::span<const iovec> into) override { return socket_->readv(into); }
  net::IoResult writev(std::span<const iovec> from) override { return socket_->writev(from); }
  void shutdown_write() override { socket_->shutdown_write(); }
  void reset_on_close() override { socket_->reset_on_close(); }
  net::Address local_address() const override { return socket_->local_address(); }
  net::Address remote_address() const override { return socket_->remote_address(); }
  net::IoResult peek(std::span<std::byte> into) override { return socket_->peek(into); }
  void set_keepalive(Duration idle, Duration interval, int probes) override { socket_->set_keepalive(idle, interval, probes); }
  std::string_view application_protocol() const override { return protocol_; }

 private:
  std::unique_ptr<net::Socket> socket_;
  const std::string protocol_;
};

struct Alpn final : Connector {
  explicit Alpn(std::string chosen) : protocol(std::move(chosen)) {}
  std::unique_ptr<net::Socket> connect(net::Loop& loop, const net::Address& to, net::SocketEvents& events,
                                       const net::Address& bind_to) const override {
    return std::make_unique<WithAlpn>(loop.connect(to, events, bind_to), protocol);
  }
  std::string_view failure(const net::Socket&) const override { return "TLS_error:certificate"; }
  const std::string protocol;
};

TEST(H2ClientPool, AlpnDecides) {
  PoolOptions options;
  options.protocol = PoolProtocol::kAlpn;
  options.connector = std::make_shared<Alpn>("h2");
  {
    Fixture f(options);
    for (int i = 0; i < 3; ++i) f.start();
    f.run();
    ASSERT_EQ(f.listener.size(), 1u);
    EXPECT_EQ(count(f.listener.at(0).received(), kHeaders), 3);
  }
  options.connector = std::make_shared<Alpn>("http/1.1");
  Fixture f(options);
  for (int i = 0; i < 3; ++i) f.start();
  f.run();
  EXPECT_EQ(f.listener.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(f.listener.at(i).received(), "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
}

TEST(H2ClientPool, TheConnectorSaysWhyItFailed) {
  PoolOptions options;
  options.connector = std::make_shared<Alpn>("");
  testing::VirtualNetwork network(1, testing::NetworkOptions::calm());
  testing::VirtualLoop loop(network);
  Admission admission;
  const auto pool = make_client_pool(loop, {net::Address::Family::kIpv4, "10.9.9.9", 1}, options, admission);
  Exchange exchange(*pool, nullptr, End::kYes);
  network.run_for(1s);
  EXPECT_EQ(exchange.log, "failed1:TLS_error:certificate");
}

}  // namespace
}  // namespace lateen::stream
