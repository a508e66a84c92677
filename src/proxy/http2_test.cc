// HTTP/2 through the whole proxy: from clients, to upstreams, and mixed with HTTP/1.1.
#include <functional>
#include <list>

#include "proxy/proxy_scene_test.h"
#include "stream/server_connection.h"
#include "testing/h2_client.h"

namespace lateen::proxy {
namespace {

using testing::H2Client;

// An upstream that speaks what its clients speak, and answers each request when it is whole.
class AnyUpstream final : private net::ListenSocketEvents {
 public:
  struct Exchange final : stream::ServerStreamHandler {
    Exchange(AnyUpstream& owner, stream::ServerStream& in) : upstream(owner), stream(&in) {
      const http::RequestHead& head = in.request();
      version = head.version;
      line = std::string(head.method) + " " + std::string(head.scheme) + " " + std::string(head.authority) + " " + std::string(head.path);
      for (const http::Header& h : head.headers.fields()) fields += std::string(h.name) + "=" + std::string(h.value) + ";";
    }
    void on_data(stream::Buffer data, stream::End end) override {
      body += data.to_string();
      stream->consumed(data.size());
      if (upstream.on_bytes) return upstream.on_bytes(*this);
      if (end == stream::End::kYes) upstream.on_request(*this);
    }
    void on_trailers(http::HeaderMap fields_behind) override {
      for (const http::Header& h : fields_behind.fields()) trailers += std::string(h.name) + "=" + std::string(h.value) + ";";
      upstream.on_request(*this);
    }
    void on_reset(stream::ResetReason) override { was_reset = true; }
    void on_sent(std::size_t) override {}
    void on_complete() override {}
    void start(std::uint16_t status, const H2Client::Fields& extra = {}, stream::End end = stream::End::kNo) {
      http::ResponseHead head;
      head.status = status;
      for (const auto& [name, value] : extra) head.headers.add(name, value);
      stream->send_headers(head, end);
    }
    void send(std::string_view text, stream::End end) {
      stream::Buffer data;
      data.append_copy(text);
      stream->send_data(std::move(data), end);
    }
    AnyUpstream& upstream;
    stream::ServerStream* stream;
    http::Version version = http::Version::kHttp11;
    std::string line, fields, body, trailers;
    bool was_reset = false;
  };

  explicit AnyUpstream(net::Loop& loop) : loop_(loop) {
    options_.http2_extended_connect = true;
    listener_ = *loop.listen({net::Address::Family::kIpv4, "127.0.0.1", 0}, {}, *this);
  }
  net::Address address() const { return listener_->local_address(); }
  std::size_t connections() const { return connections_.size(); }
  Exchange& at(std::size_t index) { return *exchanges.at(index); }

  std::vector<std::unique_ptr<Exchange>> exchanges;
  std::function<void(Exchange&)> on_head, on_bytes;
  std::function<void(Exchange&)> on_request = [](Exchange& exchange) {
    exchange.start(200, {{"content-length", "2"}});
    exchange.send("hi", stream::End::kYes);
  };

 private:
  struct Open final : stream::ServerStreamAcceptor {
    explicit Open(AnyUpstream& owner) : upstream(owner) {}
    stream::ServerStreamHandler* on_request(stream::ServerStream& in, stream::End end) override {
      upstream.exchanges.push_back(std::make_unique<Exchange>(upstream, in));
      Exchange& exchange = *upstream.exchanges.back();
      if (upstream.on_head) upstream.on_head(exchange);
      else if (end == stream::End::kYes) upstream.on_request(exchange);
      return &exchange;
    }
    void on_refused(std::uint16_t status, std::string_view detail) override { ADD_FAILURE() << status << " " << detail; }
    void on_connection_closed() override {
      upstream.loop_.defer([this] { connection.reset(); });
    }
    AnyUpstream& upstream;
    std::unique_ptr<stream::ServerConnection> connection;
  };
  void on_accept(std::unique_ptr<net::Socket> socket) override {
    Open& open = connections_.emplace_back(*this);
    open.connection = stream::make_server_connection(loop_, std::move(socket), open, options_);
  }
  net::Loop& loop_;
  stream::H1ServerOptions options_;
  std::unique_ptr<net::ListenSocket> listener_;
  std::list<Open> connections_;
};

struct Http2ProxyTest : SceneTest {
  static runtime::Cluster http2_policy() {
    runtime::Cluster policy;
    policy.http2 = true;
    return policy;
  }
  H2Client::Answer& finish(H2Client& client, std::int32_t id, Duration at_most = 60s) {
    H2Client::Answer& answer = client.answer(id);
    scene->network().run_until([&] { return answer.ended || answer.reset >= 0 || client.peer().gone(); }, at_most);
    scene->network().run_for(10ms);
    return answer;
  }
  H2Client client() { return {scene->outside(), at}; }
};

TEST_F(Http2ProxyTest, ARequestGoesOnInHttp1AndItsAnswerComesBack) {
  Upstream upstream(scene->outside(), kOk);
  serve({upstream.address()});
  H2Client from(scene->outside(), at);
  const H2Client::Answer& answer = finish(from, from.get("/a/../x?y=1", {{"cookie", "a=1"}, {"cookie", "b=2"}, {"te", "trailers"}}));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_TRUE(answer.ended);
  EXPECT_NE(answer.fields.find("server=envoy;"), std::string::npos) << answer.fields;
  EXPECT_NE(answer.fields.find("x-envoy-upstream-service-time="), std::string::npos);
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_TRUE(upstream.request(0).starts_with("GET /x?y=1 HTTP/1.1\r\nhost: h\r\n")) << upstream.request(0);
  EXPECT_NE(upstream.request(0).find("x-forwarded-proto: http\r\n"), std::string::npos);
  EXPECT_NE(upstream.request(0).find("x-request-id: "), std::string::npos);
  EXPECT_NE(upstream.request(0).find("cookie: a=1; b=2\r\n"), std::string::npos) << upstream.request(0);
}

TEST_F(Http2ProxyTest, EveryMixOfVersionsCarriesBodiesAndTrailersBothWays) {
  for (const bool http2 : {false, true}) {
    AnyUpstream upstream(scene->outside());
    upstream.on_request = [](AnyUpstream::Exchange& exchange) {
      exchange.start(200, {{"trailer", "x-end"}});
      exchange.send("<" + exchange.body + ">", stream::End::kNo);
      http::HeaderMap trailers;
      trailers.add("x-end", "1");
      exchange.stream->send_trailers(trailers);
    };
    runtime::Cluster policy;
    policy.http2 = http2;
    serve({upstream.address()}, policy);
    H2Client from(scene->outside(), at);
    const std::int32_t id = from.start(H2Client::fields("POST", "/", {{"te", "trailers"}}), false);
    from.send_body(id, "hello", true, {{"x-sum", "5"}});
    const H2Client::Answer& answer = finish(from, id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "<hello>");
    EXPECT_EQ(answer.trailers, "x-end=1;");
    EXPECT_EQ(upstream.at(0).trailers, "x-sum=5;");
    EXPECT_EQ(upstream.at(0).version, http2 ? http::Version::kHttp2 : http::Version::kHttp11);

    Peer h1(scene->outside(), at);
    const Answer text = exchange(h1, "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ncontent-length: 3\r\n\r\nabc");
    EXPECT_EQ(text.status, 200);
    scene->network().run_for(100ms);
    EXPECT_TRUE(h1.received().ends_with("\r\nx-end: 1\r\n\r\n")) << h1.received();
    EXPECT_EQ(upstream.at(1).body, "abc");
    EXPECT_EQ(upstream.connections(), 1U);
  }
}

TEST_F(Http2ProxyTest, ManyRequestsShareOneConnectionOnBothSides) {
  AnyUpstream upstream(scene->outside());
  serve({upstream.address()}, http2_policy());
  H2Client from(scene->outside(), at);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(from.get("/" + std::to_string(i)));
  for (const std::int32_t id : ids) EXPECT_EQ(finish(from, id).status, 200);
  EXPECT_EQ(upstream.connections(), 1U);
  EXPECT_EQ(upstream.exchanges.size(), 50U);
  EXPECT_EQ(cluster_status().connections_active, 1U);
}

TEST_F(Http2ProxyTest, TheClustersProtocolMayBeTheClients) {
  AnyUpstream upstream(scene->outside());
  runtime::Cluster policy;
  policy.same_protocol_as_downstream = true;
  serve({upstream.address()}, policy);
  H2Client from(scene->outside(), at);
  EXPECT_EQ(finish(from, from.get("/2")).status, 200);
  EXPECT_EQ(get("/1").status, 200);
  EXPECT_EQ(finish(from, from.get("/2")).status, 200);
  EXPECT_EQ(upstream.at(0).version, http::Version::kHttp2);
  EXPECT_EQ(upstream.at(1).version, http::Version::kHttp11);
  EXPECT_EQ(upstream.at(2).version, http::Version::kHttp2);
  EXPECT_EQ(upstream.connections(), 2U);
}

TEST_F(Http2ProxyTest, TheCodecMayBeFixed) {
  Upstream upstream(scene->outside(), kOk);
  using Codec = runtime::HttpConnectionSettings::Codec;
  scene->config().http().codec = Codec::kHttp1;
  serve({upstream.address()});
  {
    H2Client from(scene->outside(), at);
    finish(from, from.get("/"));
    EXPECT_TRUE(from.peer().gone());
  }
  scene->config().http().codec = Codec::kHttp2;
  serve({upstream.address()});
  H2Client from(scene->outside(), at);
  EXPECT_EQ(finish(from, from.get("/")).status, 200);
  EXPECT_EQ(get().status, 0);
}

TEST_F(Http2ProxyTest, UpgradeToH2cIsIgnored) {
  Upstream upstream(scene->outside(), kOk);
  serve({upstream.address()});
  const Answer answer = get("/", "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(upstream.request(0).find("upgrade"), std::string::npos) << upstream.request(0);
}

TEST_F(Http2ProxyTest, RequestsPerConnectionAndItsAgeAreBounded) {
  Upstream upstream(scene->outside(), kOk);
  scene->config().http().requests_per_connection_max = 2;
  serve({upstream.address()});
  {
    H2Client from(scene->outside(), at);
    EXPECT_EQ(finish(from, from.get("/")).status, 200);
    EXPECT_EQ(from.go_away_error(), -1);
    EXPECT_EQ(finish(from, from.get("/")).status, 200);
    scene->network().run_for(3s);
    EXPECT_EQ(from.go_away_error(), 0);
    EXPECT_TRUE(from.peer().gone());
  }
  Peer h1(scene->outside(), at);
  EXPECT_FALSE(exchange(h1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").has("connection: close"));
  EXPECT_TRUE(exchange(h1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").has("connection: close"));

  scene->config().http().requests_per_connection_max = 0;
  scene->config().http().max_connection_duration = 5s;
  serve({upstream.address()});
  H2Client from(scene->outside(), at);
  EXPECT_EQ(finish(from, from.get("/")).status, 200);
  scene->network().run_for(8s);
  EXPECT_TRUE(from.peer().gone());
}

TEST_F(Http2ProxyTest, AnAnswerBeforeTheEndOfTheRequestEndsIt) {
  AnyUpstream upstream(scene->outside());
  upstream.on_head = [](AnyUpstream::Exchange& exchange) { exchange.start(403, {}, stream::End::kYes); };
  serve({upstream.address()}, http2_policy());
  H2Client from(scene->outside(), at);
  const std::int32_t id = from.start(H2Client::fields("POST", "/"), false);
  from.send_body(id, "some", false);
  const H2Client::Answer& answer = finish(from, id);
  EXPECT_EQ(answer.status, 403);
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.reset, 0) << "NO_ERROR: the rest is not wanted";
  EXPECT_EQ(finish(from, from.get("/")).status, 403) << "the connection stays";
}

TEST_F(Http2ProxyTest, AClientThatResetsItsStreamCancelsUpstream) {
  AnyUpstream upstream(scene->outside());
  upstream.on_request = [](AnyUpstream::Exchange&) {};
  serve({upstream.address()}, http2_policy());
  H2Client from(scene->outside(), at);
  const std::int32_t id = from.get("/");
  scene->network().run_for(100ms);
  from.reset(id);
  scene->network().run_for(100ms);
  ASSERT_EQ(upstream.exchanges.size(), 1U);
  EXPECT_TRUE(upstream.at(0).was_reset);
  EXPECT_EQ(cluster_status().requests_active, 0U);
  EXPECT_EQ(cluster_status().connections_active, 1U) << "the other streams would go on";
}

TEST_F(Http2ProxyTest, AnUpstreamThatBreaksOffIsSeenByTheClient) {
  AnyUpstream upstream(scene->outside());
  upstream.on_request = [](AnyUpstream::Exchange& exchange) {
    exchange.start(200, {{"content-length", "10"}});
    exchange.send("half", stream::End::kNo);
  };
  serve({upstream.address()}, http2_policy());
  H2Client from(scene->outside(), at);
  const std::int32_t id = from.get("/");
  scene->network().run_for(100ms);
  upstream.at(0).stream->reset();
  const H2Client::Answer& answer = finish(from, id);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.ended);
  EXPECT_GT(answer.reset, 0);
}

TEST_F(Http2ProxyTest, RefusedStreamsAreTriedAgain) {
  AnyUpstream upstream(scene->outside());
  upstream.on_head = [](AnyUpstream::Exchange& exchange) {
    if (exchange.upstream.exchanges.size() == 1) return exchange.stream->reset();
    exchange.start(200, {}, stream::End::kYes);
  };
  serve_route({upstream.address()},
              [](runtime::Route& route) {
                runtime::RetryPolicy retry;
                retry.retry_on = runtime::kRetryReset;
                retry.retries_max = 1;
                testing::SnapshotBuilder::forward_of(route).policy->retry = retry;
              },
              http2_policy());
  EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstream.exchanges.size(), 2U);
}

TEST_F(Http2ProxyTest, AListenerMayChangeUnderOpenStreams) {
  AnyUpstream upstream(scene->outside());
  upstream.on_request = [](AnyUpstream::Exchange&) {};
  scene->config().http().server_name = "a-name-that-is-too-long-to-lie-in-a-string-object-of-its-own";
  serve({upstream.address()}, http2_policy());
  H2Client from(scene->outside(), at);
  const std::int32_t first = from.get("/1");
  scene->network().run_for(100ms);
  scene->config().http().server_name = "another-name-that-is-too-long-to-lie-in-a-string-object-of-its-own";
  scene->apply();
  const std::int32_t second = from.get("/2");
  scene->network().run_for(100ms);
  ASSERT_EQ(upstream.exchanges.size(), 2U);
  for (std::size_t i : {1U, 0U}) upstream.at(i).start(200, {}, stream::End::kYes);
  EXPECT_NE(finish(from, second).fields.find("server=another-name"), std::string::npos) << from.answer(second).fields;
  EXPECT_NE(finish(from, first).fields.find("server=a-name"), std::string::npos) << from.answer(first).fields;
}

// RFC 8441, in every mix with RFC 6455.
TEST_F(Http2ProxyTest, WebSocketsGoOverEitherVersion) {
  for (const bool http2_upstream : {false, true}) {
    AnyUpstream upstream(scene->outside());
    upstream.on_head = [](AnyUpstream::Exchange& exchange) {
      exchange.start(101, {{"connection", "upgrade"}, {"upgrade", "websocket"}, {"sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}});
    };
    upstream.on_bytes = [](AnyUpstream::Exchange& exchange) {
      exchange.send("<" + std::exchange(exchange.body, "") + ">", stream::End::kNo);
    };
    scene->config().http().http2_extended_connect = true;
    runtime::Cluster policy;
    policy.http2 = http2_upstream;
    serve_route({upstream.address()}, [](runtime::Route& route) { testing::SnapshotBuilder::forward_of(route).policy->upgrades_allowed = true; },
                policy);
    H2Client from(scene->outside(), at);
    scene->network().run_for(100ms);
    const std::int32_t id = from.start({{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "h"},
                                        {":path", "/chat"}, {"sec-websocket-version", "13"}},
                                       false);
    scene->network().run_for(100ms);
    H2Client::Answer& answer = from.answer(id);
    EXPECT_EQ(answer.status, 200) << http2_upstream;
    EXPECT_EQ(answer.fields.find("upgrade"), std::string::npos) << answer.fields;
    EXPECT_EQ(answer.fields.find("sec-websocket-accept"), std::string::npos) << answer.fields;
    from.send_body(id, "ping", false);
    scene->network().run_for(100ms);
    EXPECT_EQ(answer.body, "<ping>");
    ASSERT_EQ(upstream.exchanges.size(), 1U);
    EXPECT_NE(upstream.at(0).fields.find("sec-websocket-key="), std::string::npos) << upstream.at(0).fields;
    EXPECT_TRUE(upstream.at(0).line.starts_with("GET ")) << upstream.at(0).line;
    from.reset(id);

    Peer h1(scene->outside(), at);
    h1.write("GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
             "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    scene->network().run_for(100ms);
    EXPECT_TRUE(h1.received().starts_with("HTTP/1.1 101 ")) << h1.received();
    EXPECT_NE(h1.received().find("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos) << h1.received();
    h1.take();
    h1.write("pong");
    scene->network().run_for(100ms);
    EXPECT_EQ(h1.take(), "<pong>");
  }
}

}  // namespace
}  // namespace lateen::proxy
