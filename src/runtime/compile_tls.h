// TLS contexts, transport sockets and secrets: envoy.extensions.transport_sockets to runtime values.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/compile_fields.h"
#include "runtime/snapshot.h"

namespace envoy::config::core::v3 {
class TransportSocket;
}
namespace envoy::extensions::transport_sockets::tls::v3 {
class Secret;
}

namespace lateen::runtime {

// envoy.config.core.v3.UpstreamHttpProtocolOptions: what the requests of a cluster have to do with its TLS.
struct UpstreamNames {
  bool sni_from_request = false;   // auto_sni
  bool names_from_sni = false;     // auto_san_validation
};

// The contexts in the Any; null if it does not parse.
std::shared_ptr<const DownstreamTls> compile_downstream_tls(const google::protobuf::Any& any, Fields& fields);
std::shared_ptr<const UpstreamTls> compile_upstream_tls(const google::protobuf::Any& any, UpstreamNames names, Fields& fields);

// A whole socket. Null for plain text.
std::shared_ptr<const DownstreamTls> compile_downstream_transport(const envoy::config::core::v3::TransportSocket& proto, Fields& fields);
Transport compile_upstream_transport(const envoy::config::core::v3::TransportSocket& proto, UpstreamNames names, Fields& fields);

// Null if refused, or if it is neither a certificate nor a validation context.
std::shared_ptr<const Secret> compile_secret(const envoy::extensions::transport_sockets::tls::v3::Secret& proto,
                                             std::uint64_t content_hash, Fields& fields);

// The secret behind one of the names with which istiod asks a workload's agent for files:
// "file-cert:CHAIN~KEY", "file-root:AUTHORITY" and "file-root:system". Null for other names.
std::shared_ptr<const Secret> file_secret(const std::string& name);

}  // namespace lateen::runtime
