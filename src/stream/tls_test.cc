#include "stream/tls.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>

#include "net/epoll_loop.h"
#include "testing/certificates.h"
#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::stream {
namespace {

using namespace std::chrono_literals;
using testing::CertificateWish;
using testing::MadeCertificate;
using testing::NetworkOptions;
using testing::Peer;
using testing::VirtualLoop;

struct Authority {
  MadeCertificate own = testing::make_certificate({.common_name = "test root", .authority = true});
  TlsIdentity issue(const CertificateWish& wish) const {
    const MadeCertificate made = testing::make_certificate(wish, &own);
    return {made.certificate, made.private_key, ""};
  }
};
const Authority& root() {
  static const Authority* const made = new Authority();
  return *made;
}
const TlsIdentity& web_identity() {
  static const TlsIdentity* const made = new TlsIdentity(
      root().issue({.common_name = "web", .names = {"DNS:web.example", "DNS:*.wild.example", "URI:spiffe://td/ns/a/sa/web", "IP:127.0.0.1"}}));
  return *made;
}

TlsServerSettings server_settings() {
  TlsServerSettings settings;
  settings.common.identities.push_back(web_identity());
  return settings;
}
TlsClientSettings client_settings() {
  TlsClientSettings settings;
  settings.common.trust.emplace();
  settings.common.trust->ca = root().own.certificate;
  return settings;
}
TlsName exact_name(TlsName::Kind kind, std::string text) {
  TlsName name;
  name.kind = kind;
  name.exact = std::move(text);
  return name;
}
template <class T>
T must(Result<T> result) {
  EXPECT_TRUE(result) << result.error().message;
  return *std::move(result);
}

struct NoEvents final : net::SocketEvents {
  void on_readable() override {}
  void on_writable() override {}
  void on_socket_error(int) override {}
};
NoEvents no_events;

// A server and its clients over a virtual network.
struct Scene final : net::ListenSocketEvents {
  explicit Scene(const TlsServerSettings& settings, std::uint64_t seed = 1, NetworkOptions options = {})
      : loop(seed, options), server_context(must(TlsContext::server(settings))) {
    listener = must(loop.listen({net::Address::Family::kIpv4, "127.0.0.1", 443}, {}, *this));
  }
  void on_accept(std::unique_ptr<net::Socket> socket) override {
    auto tls = accept_tls(loop, std::move(socket), server_context, no_events);
    server_socket = tls.get();
    server = std::make_unique<Peer>(std::move(tls));
  }
  void connect(const std::shared_ptr<const TlsContext>& context, const TlsConnectOptions& options = {}) {
    auto raw = loop.connect(listener->local_address(), no_events);
    auto tls = start_tls(loop, std::move(raw), false, context, options, no_events);
    client_socket = tls.get();
    client = std::make_unique<Peer>(std::move(tls));
  }
  void connect(const TlsClientSettings& settings, const TlsConnectOptions& options = {}) {
    connect(must(TlsContext::client(settings)), options);
  }
  void run() { loop.run_for(5s); }
  bool both_open() const { return server != nullptr && client_socket->established() && server_socket->established(); }

  VirtualLoop loop;
  std::shared_ptr<const TlsContext> server_context;
  std::unique_ptr<net::ListenSocket> listener;
  std::unique_ptr<Peer> server, client;
  TlsSocket* server_socket = nullptr;
  TlsSocket* client_socket = nullptr;
};

TEST(Tls, HandshakeAndFacts) {
  for (const TlsProtocolVersion version : {TlsProtocolVersion::kTls12, TlsProtocolVersion::kTls13}) {
    TlsServerSettings server = server_settings();
    server.common.alpn = {"h2", "http/1.1"};
    Scene scene(server);
    TlsClientSettings client = client_settings();
    client.common.version_min = client.common.version_max = version;
    client.common.alpn = {"http/1.1", "h2"};
    scene.connect(client, {.server_name = "web.example", .verify_name = "web.example", .session_key = ""});
    scene.client->write("hello");
    scene.run();
    ASSERT_TRUE(scene.both_open()) << scene.client_socket->failure();
    EXPECT_EQ(scene.server->received(), "hello");
    const bool is_13 = version == TlsProtocolVersion::kTls13;
    EXPECT_EQ(scene.client_socket->version(), is_13 ? "TLSv1.3" : "TLSv1.2");
    EXPECT_EQ(scene.server_socket->version(), scene.client_socket->version());
    EXPECT_EQ(scene.client_socket->application_protocol(), "h2");   // the server's preference
    EXPECT_EQ(scene.server_socket->application_protocol(), "h2");
    EXPECT_EQ(scene.server_socket->server_name(), "web.example");
    EXPECT_EQ(scene.server_socket->curve(), "X25519");
    EXPECT_FALSE(scene.server_socket->cipher().empty());
    EXPECT_FALSE(scene.server_socket->resumed());
    EXPECT_EQ(scene.server_socket->peer_certificate(), nullptr);
    EXPECT_FALSE(scene.server_socket->peer_verified());
    const TlsCertificateFacts* facts = scene.client_socket->peer_certificate();
    ASSERT_NE(facts, nullptr);
    EXPECT_EQ(facts->subject, "CN=web");
    EXPECT_EQ(facts->dns_names, (std::vector<std::string>{"web.example", "*.wild.example"}));
    EXPECT_EQ(facts->uris, std::vector<std::string>{"spiffe://td/ns/a/sa/web"});
    EXPECT_EQ(facts->addresses, std::vector<std::string>{"127.0.0.1"});
    EXPECT_EQ(facts->sha256.size(), 64U);
    EXPECT_EQ(facts->pem, web_identity().chain);
    EXPECT_TRUE(scene.client_socket->peer_verified());
  }
}

// Any cut of the bytes, any size of writes, both directions at once, orderly ends.
TEST(Tls, CarriesBytesOverAnyNetwork) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    NetworkOptions options;
    options.cut_per_million = 600'000;
    options.short_write_per_million = 300'000;
    options.pipe_bytes = seed % 2 == 0 ? 64 * 1024 : 3'000;
    Scene scene(server_settings(), seed, options);
    scene.connect(client_settings());
    std::string up, down;
    for (int i = 0; i < 40; ++i) {
      std::string piece(scene.loop.random() % (i % 10 == 0 ? 100'000 : 3'000), static_cast<char>('a' + i % 26));
      up += piece;
      scene.client->write(piece);
    }
    for (int i = 0; i < 300'000; ++i) down += static_cast<char>('a' + (i / 7) % 26);
    scene.run();
    ASSERT_TRUE(scene.both_open()) << seed;
    scene.server->write(down);
    scene.client->shutdown_write();
    scene.loop.run_for(60s);
    ASSERT_TRUE(scene.server->ended()) << seed << " error " << scene.server->error();
    EXPECT_TRUE(scene.server->received() == up) << seed;
    scene.server->shutdown_write();
    scene.loop.run_for(60s);
    EXPECT_TRUE(scene.client->ended()) << seed << " error " << scene.client->error();
    EXPECT_TRUE(scene.client->received() == down) << seed;
  }
}

TEST(Tls, CloseSaysGoodbyeAndACutIsAnError) {
  Scene scene(server_settings());
  scene.connect(client_settings());
  scene.client->write("x");
  scene.run();
  scene.server->close();
  scene.run();
  EXPECT_TRUE(scene.client->ended());
  EXPECT_EQ(scene.client->error(), 0);

  // A stream beneath that ends without close_notify.
  struct Cut final : net::ListenSocketEvents {
    void on_accept(std::unique_ptr<net::Socket> socket) override { raw = std::move(socket); }
    std::unique_ptr<net::Socket> raw;
  };
  for (const bool in_handshake : {true, false}) {
    VirtualLoop loop(1, NetworkOptions::calm());
    Cut cut;
    auto listener = must(loop.listen({net::Address::Family::kIpv4, "127.0.0.1", 443}, {}, cut));
    auto raw_client = loop.connect(listener->local_address(), no_events);
    auto tls = start_tls(loop, std::move(raw_client), false, must(TlsContext::client(client_settings())), {}, no_events);
    TlsSocket* socket = tls.get();
    Peer client(std::move(tls));
    loop.run_for(1s);
    if (in_handshake) {
      cut.raw->shutdown_write();
      loop.run_for(1s);
      EXPECT_EQ(client.error(), ECONNRESET);
      EXPECT_EQ(socket->outcome(), TlsOutcome::kConnectionError);
      continue;
    }
    auto server = accept_tls(loop, std::move(cut.raw), must(TlsContext::server(server_settings())), no_events);
    loop.run_for(1s);
    ASSERT_TRUE(socket->established());
    server->reset_on_close();   // no goodbye
    server.reset();
    loop.run_for(1s);
    EXPECT_FALSE(client.ended());
    EXPECT_EQ(client.error(), ECONNRESET);
  }
}

TEST(Tls, HandshakeIsBounded) {
  {
    Scene scene(server_settings());
    Peer silent(scene.loop, scene.listener->local_address());
    scene.loop.run_for(kTlsHandshakeTimeout + 1s);
    EXPECT_EQ(scene.server->error(), ETIMEDOUT);
    EXPECT_EQ(scene.server_socket->outcome(), TlsOutcome::kTimeout);
  }
  Scene scene(server_settings());
  Peer plain(scene.loop, scene.listener->local_address());
  plain.write("GET / HTTP/1.1\r\n\r\n");
  scene.run();
  EXPECT_EQ(scene.server_socket->outcome(), TlsOutcome::kConnectionError);
  EXPECT_EQ(scene.server_socket->failure(), "TLS_error:|268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end");
}

struct TrustCase {
  const char* name;
  std::function<void(TlsTrust&)> change;
  const char* verify_name;
  TlsOutcome outcome;
  const char* text;   // of failure()
};

TEST(Tls, ClientVerification) {
  const MadeCertificate other_root = testing::make_certificate({.common_name = "other root", .authority = true});
  const auto names = [](TlsName::Kind kind, const char* text) {
    return [=](TlsTrust& trust) { trust.names.push_back(exact_name(kind, text)); };
  };
  const std::vector<TrustCase> cases = {
      {"as it is", [](TlsTrust&) {}, "", TlsOutcome::kOpen, ""},
      {"other root", [&](TlsTrust& trust) { trust.ca = other_root.certificate; }, "", TlsOutcome::kVerifyError,
       "unable to get local issuer certificate"},
      {"untrusted is good enough",
       [&](TlsTrust& trust) { trust.ca = other_root.certificate, trust.accepts_untrusted = true; }, "", TlsOutcome::kOpen, ""},
      {"uri", names(TlsName::Kind::kUri, "spiffe://td/ns/a/sa/web"), "", TlsOutcome::kOpen, ""},
      {"other uri", names(TlsName::Kind::kUri, "spiffe://td/ns/a/sa/other"), "", TlsOutcome::kVerifyName,
       "verify cert failed: SAN matcher, certificate SANs are [web.example, *.wild.example, spiffe://td/ns/a/sa/web, 127.0.0.1]"},
      {"uri as dns", names(TlsName::Kind::kDns, "spiffe://td/ns/a/sa/web"), "", TlsOutcome::kVerifyName, "SAN matcher"},
      {"any kind", names(TlsName::Kind::kAny, "127.0.0.1"), "", TlsOutcome::kOpen, ""},
      {"wildcard", names(TlsName::Kind::kDns, "a.wild.example"), "", TlsOutcome::kOpen, ""},
      {"two labels", names(TlsName::Kind::kDns, "a.b.wild.example"), "", TlsOutcome::kVerifyName, "SAN matcher"},
      {"pattern",
       [](TlsTrust& trust) {
         TlsName name;
         name.matches = [](std::string_view text) { return text.starts_with("spiffe://td/"); };
         trust.names.push_back(name);
       },
       "", TlsOutcome::kOpen, ""},
      {"name of sni", [](TlsTrust&) {}, "web.example", TlsOutcome::kOpen, ""},
      {"other name of sni", [](TlsTrust&) {}, "b.example", TlsOutcome::kVerifyName, "verify cert failed: verify SAN list"},
      {"other hash", [](TlsTrust& trust) { trust.certificate_sha256.emplace_back(32, 'x'); }, "", TlsOutcome::kVerifyHash,
       "verify cert failed: cert hash and spki"},
  };
  for (const TrustCase& one : cases) {
    Scene scene(server_settings());
    TlsClientSettings settings = client_settings();
    one.change(*settings.common.trust);
    scene.connect(settings, {.server_name = "web.example", .verify_name = one.verify_name, .session_key = ""});
    scene.run();
    EXPECT_EQ(scene.client_socket->outcome(), one.outcome) << one.name << ": " << scene.client_socket->failure();
    EXPECT_EQ(scene.client_socket->established(), one.outcome == TlsOutcome::kOpen) << one.name;
    EXPECT_NE(scene.client_socket->failure().find(one.text), std::string_view::npos) << one.name << ": " << scene.client_socket->failure();
    if (one.outcome == TlsOutcome::kOpen) continue;
    EXPECT_TRUE(scene.client_socket->failure().starts_with("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:"));
    EXPECT_TRUE(scene.client_socket->failure().ends_with(":TLS_error_end"));
    EXPECT_NE(scene.server_socket->failure().find("ALERT"), std::string_view::npos) << scene.server_socket->failure();
  }
}

TEST(Tls, ServerVerification) {
  const TlsIdentity good = root().issue({.common_name = "client", .names = {"URI:spiffe://td/ns/a/sa/c"}, .serial = 77});
  const TlsIdentity old = root().issue({.common_name = "old", .valid_from_days = -10, .valid_until_days = -1});
  const Authority stranger;
  struct Case {
    const char* name;
    const TlsIdentity* identity;
    bool required, revoked;
    TlsOutcome outcome;
  };
  const TlsIdentity strange = stranger.issue({.common_name = "client"});
  const Case cases[] = {
      {"required and there", &good, true, false, TlsOutcome::kOpen},
      {"required and missing", nullptr, true, false, TlsOutcome::kNoCertificate},
      {"optional and missing", nullptr, false, false, TlsOutcome::kOpen},
      {"optional and good", &good, false, false, TlsOutcome::kOpen},
      {"optional and strange", &strange, false, false, TlsOutcome::kVerifyError},
      {"out of date", &old, true, false, TlsOutcome::kVerifyError},
      {"revoked", &good, true, true, TlsOutcome::kVerifyError},
  };
  for (const Case& one : cases) {
    for (const TlsProtocolVersion version : {TlsProtocolVersion::kTls12, TlsProtocolVersion::kTls13}) {
      TlsServerSettings server = server_settings();
      server.requires_client_certificate = one.required;
      server.common.trust.emplace();
      server.common.trust->ca = root().own.certificate;
      server.common.version_max = version;
      if (one.revoked) server.common.trust->crl = testing::make_crl(root().own, {5, 77});
      Scene scene(server);
      TlsClientSettings client = client_settings();
      if (one.identity != nullptr) client.common.identities.push_back(*one.identity);
      scene.connect(client);
      scene.run();
      ASSERT_NE(scene.server_socket, nullptr);
      EXPECT_EQ(scene.server_socket->outcome(), one.outcome) << one.name << ": " << scene.server_socket->failure();
      EXPECT_EQ(scene.server_socket->established(), one.outcome == TlsOutcome::kOpen) << one.name;
      EXPECT_EQ(scene.server_socket->peer_verified(), one.outcome == TlsOutcome::kOpen && one.identity != nullptr) << one.name;
      // With TLS 1.3 the client learns of it after its own handshake.
      EXPECT_EQ(scene.client->error() == 0, one.outcome == TlsOutcome::kOpen) << one.name;
    }
  }
}

TEST(Tls, CertificateBySniAndKind) {
  TlsServerSettings server;
  server.common.identities.push_back(root().issue({.common_name = "first", .names = {"DNS:first.example"}}));
  server.common.identities.push_back(root().issue({.common_name = "wild", .names = {"DNS:*.wild.example"}}));
  server.common.identities.push_back(root().issue({.common_name = "second", .names = {"DNS:second.example"}}));
  server.common.identities.push_back(root().issue({.common_name = "second-rsa", .names = {"DNS:second.example"}, .rsa = true}));
  server.common.identities.push_back(root().issue({.common_name = "by-name.test"}));
  const std::pair<const char*, const char*> cases[] = {
      {"", "CN=first"}, {"first.example", "CN=first"}, {"second.example", "CN=second"}, {"SECOND.example", "CN=second"},
      {"third.wild.example", "CN=wild"}, {"other.test", "CN=first"}, {"by-name.test", "CN=by-name.test"}};
  for (const auto& [sni, subject] : cases) {
    Scene scene(server);
    scene.connect(client_settings(), {.server_name = sni, .verify_name = "", .session_key = ""});
    scene.run();
    ASSERT_TRUE(scene.both_open()) << sni << scene.client_socket->failure();
    EXPECT_EQ(scene.client_socket->peer_certificate()->subject, subject) << sni;
    EXPECT_EQ(scene.server_socket->local_certificate()->subject, subject) << sni;
  }
  Scene scene(server);
  TlsClientSettings rsa = client_settings();
  rsa.common.version_max = TlsProtocolVersion::kTls12;
  rsa.common.cipher_suites = {"ECDHE-RSA-AES256-GCM-SHA384"};
  scene.connect(rsa, {.server_name = "second.example", .verify_name = "", .session_key = ""});
  scene.run();
  ASSERT_TRUE(scene.both_open()) << scene.client_socket->failure();
  EXPECT_EQ(scene.client_socket->peer_certificate()->subject, "CN=second-rsa");
  EXPECT_EQ(scene.client_socket->cipher(), "ECDHE-RSA-AES256-GCM-SHA384");
}

TEST(Tls, Resumption) {
  for (const TlsProtocolVersion version : {TlsProtocolVersion::kTls12, TlsProtocolVersion::kTls13}) {
    for (const bool tickets : {true, false}) {
      for (const bool cache : {true, false}) {
        TlsServerSettings server = server_settings();
        server.session_tickets = tickets;
        server.session_cache = cache;
        Scene scene(server);
        TlsClientSettings settings = client_settings();
        settings.common.version_max = version;
        const auto context = must(TlsContext::client(settings));
        int resumed = 0;
        for (int i = 0; i < 4; ++i) {
          // The third is for another peer: it has no session of the first one's.
          const std::string key = i == 2 ? "b" : "a";
          scene.connect(context, {.server_name = "web.example", .verify_name = "", .session_key = key});
          scene.run();
          ASSERT_TRUE(scene.both_open());
          EXPECT_EQ(scene.client_socket->resumed(), scene.server_socket->resumed());
          EXPECT_FALSE(i == 2 && scene.client_socket->resumed());
          resumed += scene.client_socket->resumed() ? 1 : 0;
          scene.client->write("x");
          scene.run();
          scene.client->close();
          scene.run();
        }
        EXPECT_EQ(resumed, tickets || cache ? 2 : 0) << static_cast<int>(version) << tickets << cache;
      }
    }
  }
}

TEST(Tls, Versions) {
  TlsServerSettings server = server_settings();
  server.common.version_min = TlsProtocolVersion::kTls13;
  Scene scene(server);
  TlsClientSettings client = client_settings();
  client.common.version_max = TlsProtocolVersion::kTls12;
  scene.connect(client);
  scene.run();
  EXPECT_EQ(scene.client_socket->outcome(), TlsOutcome::kConnectionError);
  EXPECT_NE(scene.client_socket->failure().find("TLSV1_ALERT_PROTOCOL_VERSION"), std::string_view::npos)
      << scene.client_socket->failure();
}

TEST(Tls, WhatCannotBeAContext) {
  const auto error_of = [](const std::function<void(TlsServerSettings&)>& change) {
    TlsServerSettings settings = server_settings();
    change(settings);
    const auto context = TlsContext::server(settings);
    return context ? std::string() : context.error().message;
  };
  EXPECT_EQ(error_of([](TlsServerSettings& s) { s.common.identities.clear(); }), "a TLS server needs a certificate");
  EXPECT_EQ(error_of([](TlsServerSettings& s) { s.common.identities[0].chain = "x"; }), "no certificate in the PEM text");
  EXPECT_TRUE(error_of([](TlsServerSettings& s) { s.common.identities[0].private_key = "x"; }).starts_with("the private key cannot be read"));
  EXPECT_EQ(error_of([](TlsServerSettings& s) { s.common.identities[0].private_key = root().own.private_key; }),
            "the private key does not belong to the certificate");
  EXPECT_EQ(error_of([](TlsServerSettings& s) { s.common.cipher_suites = {"NONE-SUCH"}; }), "cipher suite \"NONE-SUCH\" is not known");
  EXPECT_EQ(error_of([](TlsServerSettings& s) { s.common.curves = {"P-1"}; }), "curves \"P-1\" are not all known");
  EXPECT_EQ(error_of([](TlsServerSettings& s) {
              s.common.version_min = TlsProtocolVersion::kTls13, s.common.version_max = TlsProtocolVersion::kTls12;
            }),
            "the lowest TLS version is above the highest");
  EXPECT_EQ(error_of([](TlsServerSettings& s) {
              s.common.cipher_suites = {"[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]"};
            }), "");
}

TEST(Tls, NamesOfCertificates) {
  EXPECT_TRUE(dns_name_covers("a.example", "A.EXAMPLE"));
  EXPECT_TRUE(dns_name_covers("*.a.example", "b.a.example"));
  EXPECT_FALSE(dns_name_covers("*.a.example", "a.example"));
  EXPECT_FALSE(dns_name_covers("*.a.example", ".a.example"));
  EXPECT_FALSE(dns_name_covers("*.a.example", "c.b.a.example"));
  EXPECT_FALSE(dns_name_covers("*.com", "a.com"));
  EXPECT_FALSE(dns_name_covers("", "a"));
}

}  // namespace
}  // namespace lateen::stream
