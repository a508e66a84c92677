// Virtual hosts and route configurations: envoy.config.route.v3 to runtime values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/compile_fields.h"
#include "runtime/snapshot.h"

namespace google::protobuf {
template <typename Key, typename T>
class Map;
template <typename Element>
class RepeatedPtrField;
}  // namespace google::protobuf
namespace envoy::config::route::v3 {
class CorsPolicy;
class HeaderMatcher;
class HedgePolicy;
class RetryPolicy;
class Route;
class RouteAction_RequestMirrorPolicy;
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
HeaderMatcher compile_header_matcher(const envoy::config::route::v3::HeaderMatcher& proto, Fields& fields);
RetryPolicy compile_retry_policy(const envoy::config::route::v3::RetryPolicy& proto, Fields& fields);
// The same object for the same bytes of a message; make() compiles it.
template <class T, class Make>
Boxed<T> shared_by_bytes(SharedParts::ByBytes<T>& all, const std::string& bytes, Fields& fields, Make make) {
  if (const auto known = all.find(bytes); known != all.end()) return known->second;
  const std::size_t told = fields.told();
  const Boxed<T> made(make());
  // What there is to tell of it is to be told of every route that has it.
  if (fields.told() == told) all.emplace(bytes, made);
  return made;
}
// The same object for equal messages.
Boxed<RetryPolicy> shared_retry_policy(const envoy::config::route::v3::RetryPolicy& proto, Fields& fields);
Hedge compile_hedge_policy(const envoy::config::route::v3::HedgePolicy& proto, Fields& fields);
RouteAction compile_route_action(const envoy::config::route::v3::Route& proto, ClusterNames& names, Fields& fields);
// Appends.
void compile_mirrors(const google::protobuf::RepeatedPtrField<envoy::config::route::v3::RouteAction_RequestMirrorPolicy>& protos,
                     CompactList<Mirror>& out, ClusterNames& names, Fields& fields);
// Appends: removals first, as Envoy applies them. `Names` and `Options` are the repeated fields of any of the messages
// that have them.
void compile_header_operations(const google::protobuf::RepeatedPtrField<std::string>& remove,
                               const google::protobuf::RepeatedPtrField<envoy::config::core::v3::HeaderValueOption>& add,
                               CompactList<HeaderOperation>& out, Fields& fields);

// What is said to the filters; absent: nothing, so that the level above holds.
struct FilterConfigs {
  std::optional<Boxed<Fault>> fault;                     // without a value: disabled here
  std::optional<Boxed<Cors>> cors;                       // without a value: disabled here
};
// `old_cors` may be null.
FilterConfigs compile_filter_configs(const google::protobuf::Map<std::string, google::protobuf::Any>& configs,
                                     const envoy::config::route::v3::CorsPolicy* old_cors, Fields& fields);

// What a route takes over from its virtual host where it has none of its own.
struct Inherited {
  Boxed<RetryPolicy> retry;
  std::optional<Hedge> hedge;
  CompactList<Mirror> mirrors;
  FilterConfigs filters;
};
// An action that asks for more than this data plane does becomes Unsupported, with the path of the field.
Route compile_route(const envoy::config::route::v3::Route& proto, const Inherited& inherited, ClusterNames& names, Fields& fields);

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
