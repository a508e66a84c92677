// Listeners: envoy.config.listener.v3.Listener to runtime values.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/compile_fields.h"
#include "runtime/snapshot.h"

namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}
namespace envoy::config::accesslog::v3 {
class AccessLog;
}
namespace envoy::config::listener::v3 {
class Listener;
}
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpFilter;
}

namespace lateen::runtime {

struct CompiledListener {
  std::shared_ptr<const Listener> listener;                         // null if refused
  // Route tables that stand inside the listener, by the name under which the snapshot and HttpConnectionSettings know them.
  std::vector<std::shared_ptr<const RouteTable>> inline_tables;
};

// A filter chain that asks for more than this data plane does gets the handler Unsupported.
CompiledListener compile_listener(const envoy::config::listener::v3::Listener& proto, std::uint64_t content_hash,
                                  ClusterNames& names, Fields& fields);

// For compile_listener: the handler of a filter chain. `inline_name` names a route table that stands inside.
HttpConnectionSettings compile_http_connection(const google::protobuf::Any& any, const std::string& inline_name,
                                               std::vector<std::shared_ptr<const RouteTable>>& inline_tables,
                                               ClusterNames& names, Fields& fields);
void compile_http_filters(
    const google::protobuf::RepeatedPtrField<envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter>& protos,
    HttpConnectionSettings& out, Fields& fields);
TcpProxySettings compile_tcp_proxy(const google::protobuf::Any& any, ClusterNames& names, Fields& fields);
// The first file log; others, and what cannot be logged, become notes.
void compile_access_log(const google::protobuf::RepeatedPtrField<envoy::config::accesslog::v3::AccessLog>& logs,
                        std::optional<std::string>& format, std::string& path, Fields& fields);

}  // namespace lateen::runtime
