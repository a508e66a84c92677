#include "translate/protocol.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

constexpr std::array<std::pair<std::string_view, Protocol>, 13> kNames{{
    {"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}, {"grpc", Protocol::kGrpc}, {"grpc-web", Protocol::kGrpcWeb},
    {"http", Protocol::kHttp}, {"http_proxy", Protocol::kHttpProxy}, {"http2", Protocol::kHttp2},
    {"https", Protocol::kHttps}, {"tls", Protocol::kTls}, {"mongo", Protocol::kMongo}, {"redis", Protocol::kRedis},
    {"mysql", Protocol::kMySql}, {"hbone", Protocol::kHbone},
}};

}  // namespace

Protocol parse_protocol(std::string_view text) {
  const std::string wanted = lower(text);
  const auto it = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == wanted; });
  return it == kNames.end() ? Protocol::kUnsupported : it->second;
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
