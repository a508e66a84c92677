// Virtual hosts and route configurations: envoy.config.route.v3 to runtime values.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/compile_fields.h"
#include "runtime/snapshot.h"

namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}
namespace envoy::config::route::v3 {
class RetryPolicy;
class Route;
class RouteConfiguration;
class RouteMatch;
class VirtualHost;
}  // namespace envoy::config::route::v3
namespace envoy::config::core::v3 {
class HeaderValueOption;
}

namespace lateen::runtime {

// A direct response's body; more is refused, as with the limit that istiod sends.
inline constexpr std::size_t kDirectResponseBodyBytesMax = 1 << 20;

// What comes out may be incomplete if `fields` says that something was refused.
RouteMatch compile_route_match(const envoy::config::route::v3::RouteMatch& proto, Fields& fields);
RetryPolicy compile_retry_policy(const envoy::config::route::v3::RetryPolicy& proto, Fields& fields);
// An action that asks for more than this data plane does becomes Unsupported, with the path of the field.
Route compile_route(const envoy::config::route::v3::Route& proto, ClusterNames& names, Fields& fields);

// Appends: removals first, as Envoy applies them. `Names` and `Options` are the repeated fields of any of the messages
// that have them.
void compile_header_operations(const google::protobuf::RepeatedPtrField<std::string>& remove,
                               const google::protobuf::RepeatedPtrField<envoy::config::core::v3::HeaderValueOption>& add,
                               std::vector<HeaderOperation>& out, Fields& fields);

// Null if refused.
std::shared_ptr<const VirtualHost> compile_virtual_host(const envoy::config::route::v3::VirtualHost& proto,
                                                        std::uint64_t content_hash, ClusterNames& names, Fields& fields);
// Stands in for a virtual host that was refused and has no last good version: it has its domains and answers every
// request with the reason. Otherwise its requests would fall through to another virtual host.
std::shared_ptr<const VirtualHost> refused_virtual_host(const envoy::config::route::v3::VirtualHost& proto,
                                                        const std::string& why);

// The table of a shell (a RouteConfiguration without virtual hosts) and its virtual hosts. Null if the shell is refused.
// A virtual host whose domain is taken already loses that domain, and `fields` says so. `before` (may be null) is the
// table that this one follows: while no domain changes, both share the index of domains.
std::unique_ptr<RouteTable> compile_route_table(const envoy::config::route::v3::RouteConfiguration& shell,
                                                std::vector<std::shared_ptr<const VirtualHost>> virtual_hosts,
                                                const RouteTable* before, Fields& fields);

}  // namespace lateen::runtime
