// The protocol of a service port. The model has read it from names and appProtocol already.
#pragma once

#include <cstdint>
#include <string_view>

namespace lateen::translate {

enum class Protocol : std::uint8_t {
  kUnsupported,  // not said: found out from the traffic
  kTcp, kUdp, kTls, kHttps, kHttp, kHttp2, kGrpc, kGrpcWeb, kHttpProxy, kMongo, kRedis, kMySql, kHbone,
};

// "HTTP", "http2", "GRPC-Web" ...; kUnsupported for what Istio does not know.
Protocol parse_protocol(std::string_view text);

bool is_http(Protocol protocol);
bool is_http_or_sniffed(Protocol protocol);
bool is_http2(Protocol protocol);  // the upstream speaks HTTP/2: http2, grpc, grpc-web
bool is_tls(Protocol protocol);
bool is_tcp(Protocol protocol);    // opaque, TLS included

}  // namespace lateen::translate
