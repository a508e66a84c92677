#include "proxy/chain_selection.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace lateen::proxy {
namespace {

using runtime::FilterChain;
using SourceType = FilterChain::SourceType;

struct Listener {
  runtime::Listener listener;
  Listener& chain(const std::string& name, const std::function<void(FilterChain&)>& change) {
    FilterChain made;
    made.name = name;
    change(made);
    listener.filter_chains.push_back(std::move(made));
    return *this;
  }
  std::string choose(const std::function<void(ConnectionTraits&)>& change) const {
    ConnectionTraits traits;
    traits.destination = *net::parse_address("10.0.0.1:443");
    traits.source = traits.direct_source = *net::parse_address("192.168.1.2:5000");
    change(traits);
    const FilterChain* chosen = choose_chain(listener, traits);
    return chosen == nullptr ? "none" : chosen->name;
  }
};

TEST(ChainSelection, ServerNames) {
  Listener in;
  in.chain("exact", [](auto& c) { c.server_names = {"a.example.com"}; })
      .chain("near", [](auto& c) { c.server_names = {"*.example.com"}; })
      .chain("far", [](auto& c) { c.server_names = {"*.com"}; })
      .chain("any", [](auto&) {});
  const auto of = [&](const std::string& name) { return in.choose([&](auto& t) { t.server_name = name; }); };
  EXPECT_EQ(of("a.example.com"), "exact");
  EXPECT_EQ(of("b.example.com"), "near");
  EXPECT_EQ(of("c.b.example.com"), "near");
  EXPECT_EQ(of("example.com"), "far");
  EXPECT_EQ(of("example.org"), "any");
  EXPECT_EQ(of(""), "any");
}

// What an earlier step has chosen is not given up for a later one.
TEST(ChainSelection, StepsDoNotGoBack) {
  Listener in;
  in.chain("name", [](auto& c) { c.server_names = {"a.example"}, c.transport_protocol = "raw_buffer"; }).chain("tls", [](auto& c) {
    c.transport_protocol = "tls";
  });
  EXPECT_EQ(in.choose([](auto& t) { t.server_name = "a.example", t.transport = "tls"; }), "none");
  EXPECT_EQ(in.choose([](auto& t) { t.server_name = "b.example", t.transport = "tls"; }), "tls");
  in.listener.default_chain.emplace();
  in.listener.default_chain->name = "default";
  EXPECT_EQ(in.choose([](auto& t) { t.server_name = "a.example", t.transport = "tls"; }), "default");
}

TEST(ChainSelection, ProtocolsInTheClientsOrder) {
  Listener in;
  in.chain("h2", [](auto& c) { c.application_protocols = {"h2", "istio-h2"}; })
      .chain("h1", [](auto& c) { c.application_protocols = {"http/1.1", "istio"}; })
      .chain("any", [](auto&) {});
  EXPECT_EQ(in.choose([](auto& t) { t.alpn = {"http/1.1", "h2"}; }), "h1");
  EXPECT_EQ(in.choose([](auto& t) { t.alpn = {"unknown", "istio-h2", "istio"}; }), "h2");
  EXPECT_EQ(in.choose([](auto& t) { t.alpn = {"unknown"}; }), "any");
  EXPECT_EQ(in.choose([](auto& t) { t.application_protocol = "http/1.1"; }), "h1");
  EXPECT_EQ(in.choose([](auto&) {}), "any");
}

TEST(ChainSelection, DestinationsAndSources) {
  Listener in;
  in.chain("port", [](auto& c) { c.destination_port = 80; })
      .chain("wide", [](auto& c) { c.destination_prefixes = {"10.0.0.0/8"}; })
      .chain("narrow", [](auto& c) { c.destination_prefixes = {"10.0.0.0/24", "10.9.0.0/16"}, c.source_prefixes = {"192.168.0.0/16"}; })
      .chain("narrow port", [](auto& c) { c.destination_prefixes = {"10.0.0.0/24"}, c.source_prefixes = {"192.168.0.0/16"}, c.source_ports = {5001}; })
      .chain("local", [](auto& c) { c.destination_prefixes = {"10.0.0.0/24"}, c.source_type = SourceType::kSameIpOrLoopback; })
      .chain("direct", [](auto& c) { c.destination_prefixes = {"10.0.0.0/24"}, c.direct_source_prefixes = {"172.16.0.0/12"}; });
  EXPECT_EQ(in.choose([](auto& t) { t.destination.port = 80; }), "port");
  EXPECT_EQ(in.choose([](auto&) {}), "narrow");
  EXPECT_EQ(in.choose([](auto& t) { t.source.port = 5001; }), "narrow port");
  EXPECT_EQ(in.choose([](auto& t) { t.destination.host = "10.1.0.1"; }), "wide");
  EXPECT_EQ(in.choose([](auto& t) { t.destination.host = "11.1.0.1"; }), "none");
  EXPECT_EQ(in.choose([](auto& t) { t.source.host = "127.0.0.1"; }), "local");
  EXPECT_EQ(in.choose([](auto& t) { t.source.host = "10.0.0.1"; }), "local") << "the address that was dialled";
  EXPECT_EQ(in.choose([](auto& t) { t.direct_source.host = "172.20.0.1"; }), "direct");
  EXPECT_EQ(in.choose([](auto& t) { t.source.host = "9.9.9.9"; }), "none");
}

// What Envoy's http_inspector takes for HTTP, and what it leaves to TCP (measured).
TEST(Sniffing, FirstLines) {
  const struct {
    std::string_view bytes;
    Sniffed is;
  } cases[] = {
      {"GET / HTTP/1.1\r\n", Sniffed::kHttp11}, {"GET / HTTP/1.0\r\n", Sniffed::kHttp10}, {"GET1 /x HTTP/1.1\n", Sniffed::kHttp11},
      {"G!T /x HTTP/1.1\r\n", Sniffed::kHttp11}, {"GET  /x HTTP/1.1\r\n", Sniffed::kHttp11}, {" GET /x HTTP/1.1\r\n", Sniffed::kHttp11},
      {"GET\t/x HTTP/1.1\r\n", Sniffed::kHttp11}, {"GET /x HTTP/1.1 \r\n", Sniffed::kHttp11}, {"GET /x y HTTP/1.1\r\n", Sniffed::kHttp11},
      {"GET http://a@b/x HTTP/1.1\r\n", Sniffed::kHttp11}, {"OPTIONS * HTTP/1.1\r\n", Sniffed::kHttp11}, {"CONNECT a:1 HTTP/1.1\r\n", Sniffed::kHttp11},
      {"GET http://a@@b/x HTTP/1.1\r\n", Sniffed::kOther}, {"GET a HTTP/1.1\r\n", Sniffed::kOther}, {"GET a:80 HTTP/1.1\r\n", Sniffed::kOther},
      {"GET http: HTTP/1.1\r\n", Sniffed::kOther}, {"GET /caf\xe9 HTTP/1.1\r\n", Sniffed::kOther}, {" /x HTTP/1.1\r\n", Sniffed::kOther},
      {"G(T /x HTTP/1.1\r\n", Sniffed::kOther}, {"GET /x HTTP/2.0\r\n", Sniffed::kOther}, {"GET /x http/1.1\r\n", Sniffed::kOther},
      {"GET /x\r\n", Sniffed::kOther}, {"nonsense\r\n", Sniffed::kOther}, {"GET HTTP/1.1\r\n", Sniffed::kOther},
      {"GET /x HTTP/1.", Sniffed::kMore}, {"PRI * HT", Sniffed::kMore}, {"\x16\x03", Sniffed::kOther}, {"", Sniffed::kMore},
  };
  for (const auto& c : cases) EXPECT_EQ(sniff(c.bytes), c.is) << c.bytes;
}

}  // namespace
}  // namespace lateen::proxy
