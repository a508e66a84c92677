// TLS and PROXY headers on both sides of the proxy, over the virtual network.
#include <functional>

#include "proxy/proxy_protocol.h"
#include "proxy/proxy_scene_test.h"
#include "stream/tls.h"
#include "testing/certificates.h"

namespace lateen::proxy {
namespace {

using testing::MadeCertificate;

const MadeCertificate& root() {
  static const auto* const made = new MadeCertificate(testing::make_certificate({.common_name = "root", .authority = true}));
  return *made;
}
MadeCertificate issue(const std::string& name, std::vector<std::string> names) {
  return testing::make_certificate({.common_name = name, .names = std::move(names)}, &root());
}
runtime::TlsCertificate inlined(const MadeCertificate& made) {
  runtime::TlsCertificate certificate;
  certificate.chain.text = made.certificate;
  certificate.private_key.text = made.private_key;
  return certificate;
}
runtime::Secret certificate_secret(const std::string& name, const MadeCertificate& made) {
  return {.name = name, .value = inlined(made), .content_hash = 0};
}

struct NoEvents final : net::SocketEvents {
  void on_readable() override {}
  void on_writable() override {}
  void on_socket_error(int) override {}
};
NoEvents no_events;

std::shared_ptr<const stream::TlsContext> client_context(const std::function<void(stream::TlsClientSettings&)>& change = {}) {
  stream::TlsClientSettings settings;
  settings.common.trust.emplace().ca = root().certificate;
  if (change) change(settings);
  return *stream::TlsContext::client(settings);
}

struct TlsClient {
  TlsClient(net::Loop& loop, const net::Address& to, const std::string& sni, std::shared_ptr<const stream::TlsContext> context = client_context()) {
    auto socket = stream::start_tls(loop, loop.connect(to, no_events), false, std::move(context),
                                    {.server_name = sni, .verify_name = "", .session_key = ""}, no_events);
    tls = socket.get();
    peer = std::make_unique<Peer>(std::move(socket));
  }
  std::string subject() const { return tls->peer_certificate() == nullptr ? "" : tls->peer_certificate()->subject; }
  stream::TlsSocket* tls = nullptr;
  std::unique_ptr<Peer> peer;
};

struct TlsProxyTest : SceneTest {
  static constexpr std::string_view kGet = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";

  // The chain of "in" gets TLS.
  void serve_tls(const std::function<void(runtime::DownstreamTls&)>& change) {
    auto tls = std::make_shared<runtime::DownstreamTls>();
    change(*tls);
    scene->config().change_listener = [tls](runtime::Listener& listener) { listener.filter_chains[0].tls = tls; };
    serve({upstream.address()});
  }
  // An upstream that speaks TLS, with a certificate for those names.
  void upstream_with_tls(std::vector<std::string> names, bool mutual = false) {
    stream::TlsServerSettings settings;
    const MadeCertificate made = issue("upstream", std::move(names));
    settings.common.identities.push_back({made.certificate, made.private_key, ""});
    settings.common.alpn = {"h2", "http/1.1"};
    settings.requires_client_certificate = mutual;
    if (mutual) settings.common.trust.emplace().ca = root().certificate;
    upstream.set_transport([this, context = *stream::TlsContext::server(settings)](std::unique_ptr<net::Socket> socket) {
      auto tls = stream::accept_tls(scene->outside(), std::move(socket), context, no_events);
      upstream_socket = tls.get();
      return tls;
    });
  }
  std::uint64_t listener_stat(const std::string& name) { return scene->proxy().stats()["listener.in." + name]; }

  Upstream upstream{scene->outside(), kOk};
  stream::TlsSocket* upstream_socket = nullptr;
};

TEST_F(TlsProxyTest, ServesHttpOverTls) {
  serve_tls([](runtime::DownstreamTls& tls) {
    tls.common.certificates.push_back(inlined(issue("web", {"DNS:a.example"})));
    tls.common.alpn = {"http/1.1"};
  });
  TlsClient client(scene->outside(), at, "a.example", client_context([](auto& settings) { settings.common.alpn = {"http/1.1"}; }));
  const Answer answer = exchange(*client.peer, kGet);
  EXPECT_EQ(answer.status, 200) << client.tls->failure();
  EXPECT_EQ(client.subject(), "CN=web");
  EXPECT_EQ(client.tls->application_protocol(), "http/1.1");
  ASSERT_EQ(upstream.requests(), 1U);
  EXPECT_NE(upstream.request(0).find("x-forwarded-proto: https\r\n"), std::string::npos) << upstream.request(0);
  EXPECT_EQ(listener_stat("ssl.handshake"), 1U);
  EXPECT_EQ(listener_stat("ssl.no_certificate"), 1U);
  // Who does not speak TLS gets nothing.
  EXPECT_EQ(get().status, 0);
  EXPECT_EQ(listener_stat("ssl.connection_error"), 1U);
}

TEST_F(TlsProxyTest, SecretsComeLateAndChange) {
  serve_tls([](runtime::DownstreamTls& tls) { tls.common.certificate_secrets = {"kubernetes://web"}; });
  {
    TlsClient early(scene->outside(), at, "");
    EXPECT_EQ(exchange(*early.peer, kGet).status, 0);
    EXPECT_FALSE(early.tls->established());
    EXPECT_EQ(listener_stat("server_ssl_socket_factory.downstream_context_secrets_not_ready"), 1U);
  }
  scene->config().secret(certificate_secret("kubernetes://web", issue("first", {})));
  scene->apply();
  TlsClient first(scene->outside(), at, "");
  EXPECT_EQ(exchange(*first.peer, kGet).status, 200) << first.tls->failure();
  EXPECT_EQ(first.subject(), "CN=first");
  scene->config().secret(certificate_secret("kubernetes://web", issue("second", {})));
  scene->apply();
  TlsClient second(scene->outside(), at, "");
  EXPECT_EQ(exchange(*second.peer, kGet).status, 200);
  EXPECT_EQ(second.subject(), "CN=second");
  EXPECT_EQ(exchange(*first.peer, kGet).status, 200) << "what stands goes on";
  // A secret that cannot be used changes nothing.
  runtime::Secret bad = certificate_secret("kubernetes://web", issue("third", {}));
  std::get<runtime::TlsCertificate>(bad.value).private_key.text = root().private_key;
  scene->config().secret(bad);
  scene->apply();
  TlsClient third(scene->outside(), at, "");
  EXPECT_EQ(exchange(*third.peer, kGet).status, 200);
  EXPECT_EQ(third.subject(), "CN=second");
}

TEST_F(TlsProxyTest, ClientCertificatesAreForwarded) {
  scene->config().http().forward_client_cert = runtime::ForwardClientCert::kSanitizeSet;
  scene->config().http().client_cert_subject = scene->config().http().client_cert_uri = true;
  serve_tls([](runtime::DownstreamTls& tls) {
    tls.common.certificates.push_back(inlined(issue("web", {"URI:spiffe://td/web"})));
    tls.common.validation.emplace().trusted_ca.text = root().certificate;
    tls.requires_client_certificate = true;
  });
  const MadeCertificate made = issue("shopper", {"URI:spiffe://td/shopper"});
  TlsClient client(scene->outside(), at, "", client_context([&](auto& settings) {
                     settings.common.identities.push_back({made.certificate, made.private_key, ""});
                   }));
  EXPECT_EQ(exchange(*client.peer, "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-client-cert: Hash=forged\r\n\r\n").status, 200);
  ASSERT_EQ(upstream.requests(), 1U);
  const std::string& request = upstream.request(0);
  EXPECT_NE(request.find("x-forwarded-client-cert: By=spiffe://td/web;Hash="), std::string::npos) << request;
  EXPECT_NE(request.find(";Subject=\"CN=shopper\";URI=spiffe://td/shopper\r\n"), std::string::npos) << request;
  EXPECT_EQ(request.find("forged"), std::string::npos);

  TlsClient nobody(scene->outside(), at, "");
  EXPECT_EQ(exchange(*nobody.peer, kGet).status, 0);
  EXPECT_EQ(listener_stat("ssl.fail_verify_no_cert"), 1U);
}

TEST_F(TlsProxyTest, PlainClientsCannotClaimACertificate) {
  serve({upstream.address()});
  EXPECT_EQ(get("/", "x-forwarded-client-cert: Hash=forged\r\n").status, 200);
  EXPECT_EQ(upstream.request(0).find("forged"), std::string::npos);
}

TEST_F(TlsProxyTest, TheServerNameChoosesTheChain) {
  const auto tls_of = [](const std::string& name) {
    auto tls = std::make_shared<runtime::DownstreamTls>();
    tls->common.certificates.push_back(inlined(issue(name, {"DNS:" + name})));
    return std::shared_ptr<const runtime::DownstreamTls>(tls);
  };
  upstream_with_tls({"DNS:through.example"});
  const runtime::ClusterId id = scene->config().cluster("up");
  const auto a = tls_of("a.example"), b = tls_of("b.example");
  scene->config().change_listener = [=](runtime::Listener& listener) {
    listener.sniffs_tls = true;
    runtime::FilterChain through = listener.filter_chains[0];
    listener.filter_chains[0].server_names = {"a.example"};
    listener.filter_chains[0].tls = a;
    listener.filter_chains.push_back(listener.filter_chains[0]);
    listener.filter_chains[1].server_names = {"*.b.example", "b.example"};
    listener.filter_chains[1].tls = b;
    runtime::TcpProxySettings tcp;
    tcp.stat_prefix = "through";
    tcp.clusters.push_back({});
    tcp.clusters[0].name = "up";
    tcp.clusters[0].id = id;
    through.server_names = {"through.example"};
    through.transport_protocol = "tls";
    through.handler = tcp;
    listener.filter_chains.push_back(through);
  };
  serve({upstream.address()});
  for (const auto& [sni, subject] : {std::pair{"A.example", "CN=a.example"}, {"b.example", "CN=b.example"}, {"x.b.example", "CN=b.example"},
                                     {"through.example", "CN=upstream"}, {"c.example", ""}}) {
    TlsClient client(scene->outside(), at, sni);
    scene->network().run_for(1s);
    EXPECT_EQ(client.subject(), subject) << sni;
    EXPECT_EQ(client.tls->established(), *subject != '\0') << sni;
  }
  EXPECT_EQ(listener_stat("no_filter_chain_match"), 1U);
  TlsClient through(scene->outside(), at, "through.example");
  EXPECT_EQ(exchange(*through.peer, kGet).status, 200);
  EXPECT_EQ(upstream.request(0), kGet);
}

TEST_F(TlsProxyTest, UpstreamTlsIsVerified) {
  upstream_with_tls({"DNS:reviews", "URI:spiffe://td/reviews"});
  const auto cluster = [&](const std::string& san, const std::function<void(runtime::UpstreamTls&)>& change = {}) {
    auto tls = std::make_shared<runtime::UpstreamTls>();
    tls->sni = "outbound_.9080_._.reviews";
    tls->common.validation.emplace().trusted_ca.text = root().certificate;
    if (!san.empty()) {
      runtime::SubjectAltName name;
      name.kind = runtime::SubjectAltName::Kind::kUri;
      name.name.text = san;
      tls->common.validation->names.push_back(name);
    }
    if (change) change(*tls);
    runtime::Cluster policy;
    policy.transport.tls = tls;
    return policy;
  };
  serve({upstream.address()}, cluster("spiffe://td/reviews"));
  EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstream_socket->server_name(), "outbound_.9080_._.reviews");
  EXPECT_EQ(upstream_socket->application_protocol(), "http/1.1") << "offered by default";
  // A new policy holds for new connections; the pool's old one is closed with the upstream's.
  upstream.peer(0).close();
  scene->network().run_for(1s);
  scene->config().cluster("up", cluster("spiffe://td/ratings"));
  scene->apply();
  Answer answer = get();
  EXPECT_EQ(answer.status, 503);
  // Why stands in the log; the client is not told (Envoy 1.40).
  EXPECT_TRUE(answer.body.ends_with("reset reason: remote connection failure")) << answer.body;
  // The request's name is the SNI, and what the certificate must be for.
  scene->config().cluster("up", cluster("", [](runtime::UpstreamTls& tls) { tls.sni_from_request = tls.names_from_sni = true; }));
  scene->apply();
  EXPECT_EQ(get().status, 200);
  EXPECT_EQ(upstream_socket->server_name(), "reviews");
  Peer shouting(scene->outside(), at);
  EXPECT_EQ(exchange(shouting, "GET / HTTP/1.1\r\nhost: REVIEWS\r\n\r\n").status, 200);
  EXPECT_EQ(upstream_socket->server_name(), "reviews");
  for (const char* wrong : {"ratings:9080", "10.9.9.9", "[::1]:80"}) {
    Peer other(scene->outside(), at);
    EXPECT_EQ(exchange(other, std::string("GET / HTTP/1.1\r\nhost: ") + wrong + "\r\n\r\n").status, 503) << wrong;
  }
  // A name is worth nothing where nobody vouches for it.
  for (std::size_t i = 0; i < upstream.connections(); ++i) upstream.peer(i).close();
  scene->network().run_for(1s);
  scene->config().cluster("up", cluster("", [](runtime::UpstreamTls& tls) {
    tls.sni_from_request = tls.names_from_sni = true;
    tls.common.validation.reset();
  }));
  scene->apply();
  EXPECT_EQ(get().status, 503);
  // A secret that is not there.
  scene->config().cluster("up", cluster("", [](runtime::UpstreamTls& tls) { tls.common.certificate_secrets = {"default"}; }));
  scene->apply();
  answer = get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.body.ends_with("reset reason: remote connection failure")) << answer.body;
}

TEST_F(TlsProxyTest, MutualTlsByTheEndpointsMetadata) {
  upstream_with_tls({}, true);
  auto tls = std::make_shared<runtime::UpstreamTls>();
  tls->common.validation.emplace().trusted_ca.text = root().certificate;
  tls->common.certificates.push_back(inlined(issue("sleep", {})));
  runtime::Cluster policy;
  runtime::Cluster::TransportMatch match;
  match.criteria = {{"tlsMode", "istio"}};
  match.transport.tls = tls;
  policy.transport_matches.push_back(match);
  scene->config().cluster("up", policy);
  runtime::Endpoint endpoint;
  endpoint.host = upstream.address().host;
  endpoint.port = upstream.address().port;
  endpoint.transport_metadata = 1;
  scene->config().endpoints("up", std::vector<runtime::Endpoint>{endpoint}, {{}, {{"tlsMode", "istio"}}});
  scene->config().routes({scene->config().forward({"up"})});
  scene->apply();
  at = scene->listen();
  EXPECT_EQ(get().status, 200);
  ASSERT_NE(upstream_socket->peer_certificate(), nullptr);
  EXPECT_EQ(upstream_socket->peer_certificate()->subject, "CN=sleep");
}

TEST_F(TlsProxyTest, ReadsAndWritesProxyHeaders) {
  scene->config().http().use_remote_address = true;
  scene->config().change_listener = [](runtime::Listener& listener) { listener.reads_proxy_protocol = true; };
  runtime::Cluster policy;
  policy.transport.proxy_protocol = 1;
  serve({upstream.address()}, policy);
  for (const unsigned version : {1U, 2U}) {
    Peer client(scene->outside(), at);
    const std::string header = write_proxy_header(version, *net::parse_address("1.2.3.4:56"), *net::parse_address("5.6.7.8:443"));
    EXPECT_EQ(exchange(client, header + std::string(kGet)).status, 200);
    const std::string& request = upstream.request(version - 1);
    EXPECT_TRUE(request.starts_with("PROXY TCP4 1.2.3.4 5.6.7.8 56 443\r\nGET / HTTP/1.1\r\n") || version == 2) << request;
    EXPECT_NE(request.find("x-forwarded-for: 1.2.3.4\r\n"), std::string::npos) << request;
  }
  EXPECT_EQ(upstream.connections(), 1U) << "one client, one destination: one connection";
  Peer without(scene->outside(), at);
  EXPECT_EQ(exchange(without, kGet).status, 0);
  EXPECT_EQ(listener_stat("proxy_proto.downstream_cx_proxy_proto_error"), 1U);
}

}  // namespace
}  // namespace lateen::proxy
