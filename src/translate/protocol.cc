#include "translate/protocol.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

constexpr std::array<std::pair<std::string_view, Protocol>, 15> kNames{{
    {"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}, {"grpc", Protocol::kGrpc}, {"grpc-web", Protocol::kGrpcWeb},
    {"http", Protocol::kHttp}, {"http_proxy", Protocol::kHttpProxy}, {"http2", Protocol::kHttp2},
    {"https", Protocol::kHttps}, {"tls", Protocol::kTls}, {"mongo", Protocol::kMongo}, {"redis", Protocol::kRedis},
    {"mysql", Protocol::kMySql}, {"hbone", Protocol::kHbone}, {"kubernetes.io/h2c", Protocol::kHttp2},
    {"kubernetes.io/ws", Protocol::kHttp},
}};

// Ports whose servers speak first: waiting for the client's first bytes would hang them.
Protocol well_known(std::uint32_t port) {
  switch (port) {
    case 25: case 53: return Protocol::kTcp;
    case 3306: return Protocol::kTcp;
    case 27017: return Protocol::kTcp;
    default: return Protocol::kUnsupported;
  }
}

}  // namespace

Protocol parse_protocol(std::string_view text) {
  const std::string wanted = lower(text);
  const auto it = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == wanted; });
  return it == kNames.end() ? Protocol::kUnsupported : it->second;
}

Protocol kubernetes_protocol(std::uint32_t port, std::string_view name, std::string_view transport,
                             std::string_view app_protocol) {
  if (lower(transport) == "udp") return Protocol::kUdp;
  if (!app_protocol.empty()) {
    if (const Protocol known = parse_protocol(app_protocol); known != Protocol::kUnsupported) return known;
  }
  const std::string prefix = lower(name);
  if (prefix == "grpc-web" || prefix.starts_with("grpc-web-")) return Protocol::kGrpcWeb;
  const Protocol named = parse_protocol(std::string_view(prefix).substr(0, prefix.find('-')));
  if (named == Protocol::kUdp) return Protocol::kUnsupported;  // the name lies: the port is TCP
  return named == Protocol::kUnsupported ? well_known(port) : named;
}

bool is_http(Protocol protocol) {
  return protocol == Protocol::kHttp || protocol == Protocol::kHttp2 || protocol == Protocol::kGrpc ||
         protocol == Protocol::kGrpcWeb || protocol == Protocol::kHttpProxy || protocol == Protocol::kHbone;
}
bool is_http_or_sniffed(Protocol protocol) { return is_http(protocol) || protocol == Protocol::kUnsupported; }
bool is_http2(Protocol protocol) {
  return protocol == Protocol::kHttp2 || protocol == Protocol::kGrpc || protocol == Protocol::kGrpcWeb;
}
bool is_tls(Protocol protocol) { return protocol == Protocol::kTls || protocol == Protocol::kHttps; }
bool is_tcp(Protocol protocol) {
  return is_tls(protocol) || protocol == Protocol::kTcp || protocol == Protocol::kMongo ||
         protocol == Protocol::kRedis || protocol == Protocol::kMySql;
}

}  // namespace lateen::translate
