// Which protocol a port speaks, as istiod decides it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lateen::model {

// Kubernetes: appProtocol first, then the port's name or its prefix before '-', then a few well-known ports.
// "HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL"; "" means that the
// connection itself tells (sniffing).
std::string select_protocol(std::uint32_t port, std::string_view name, std::string_view transport, std::string_view app_protocol);

bool is_http_protocol(std::string_view protocol);   // HTTP, HTTP2, GRPC, GRPC-WEB
bool is_tls_protocol(std::string_view protocol);    // HTTPS, TLS

}  // namespace lateen::model
