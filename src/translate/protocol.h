// The protocol of a service port, as Istio reads it from names and fields.
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

// Of a Kubernetes service port: appProtocol, else the prefix of the port's name ("http-admin"), else well-known ports.
Protocol kubernetes_protocol(std::uint32_t port, std::string_view name, std::string_view transport,
                             std::string_view app_protocol);

bool is_http(Protocol protocol);
bool is_http_or_sniffed(Protocol protocol);
bool is_http2(Protocol protocol);  // the upstream speaks HTTP/2: http2, grpc, grpc-web
bool is_tls(Protocol protocol);
bool is_tcp(Protocol protocol);    // opaque, TLS included

}  // namespace lateen::translate
