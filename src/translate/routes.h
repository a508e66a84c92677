// The http rules of one VirtualService -> Envoy routes, for one listening port and one set of gateways.
//
// The one private header with generated messages: only the .cc files of routes, virtual hosts and gateways include it.
#pragma once

#include <envoy/config/route/v3/route_components.pb.h>

#include <string>
#include <vector>

#include "translate/scope.h"
#include "translate/virtual_services.h"

namespace lateen::translate {

struct BuiltRoute {
  envoy::config::route::v3::Route route;
  // Field -> where it was written; "" for the whole. Joined to the side table when the route has found its place.
  std::vector<std::pair<std::string, Origin>> origins;
};

struct RouteRequest {
  const VisibleVirtualService& source;
  std::uint32_t port = 0;                      // of the listener
  std::vector<std::string> gateways;           // "mesh", or the gateway servers' names
  bool tls = false;                            // the listener ends TLS
  bool any_port = false;                       // a gateway or HTTP proxy: `port` is not the service's
  const ServicesByHost* services = nullptr;    // among which destinations are looked up: those of the port, where it says one
};

// In order, up to and with the first that takes everything. What did not become a route is said in `notes`, if
// `report` (the same VirtualService is built for many ports, and says it once).
std::vector<BuiltRoute> build_routes(const Scope& scope, const RouteRequest& request, Notes notes, bool report);

// The route of a service without a VirtualService.
envoy::config::route::v3::Route default_route(const Scope& scope, const Service& service, const Port& port);

// Whether no later route can be reached.
bool is_catch_all(const envoy::config::route::v3::Route& route);

// route_match.cc
void fill_match(envoy::config::route::v3::RouteMatch& out, const model::HttpMatchRequest* match);
// retry.cc: null policy means the mesh's default. `hashed`: a single destination with a consistent hash.
void fill_retry(envoy::config::route::v3::RouteAction& out, const model::HttpRetry* policy, bool hashed);
// fault.cc: fault and CORS as typed_per_filter_config.
void fill_filters(envoy::config::route::v3::Route& out, const model::HttpRoute& rule);
// route_action.cc
void fill_action(BuiltRoute& out, const Scope& scope, const RuleSource& rule, const RouteRequest& request);
// Whether proxies tell upstreams which host was asked for (defaultConfig.proxyHeaders.xForwardedHost).
bool forwards_host(const Scope& scope);
// 0 turns the timeout off, as Istio's default has it.
void set_timeout(envoy::config::route::v3::RouteAction& out, Duration timeout);
// hash_policy.cc: the consistent hash of the DestinationRule that holds for `destination`; null: none.
const model::ConsistentHash* hash_of(const Scope& scope, const model::Destination& destination);
const model::ConsistentHash* hash_of(const Scope& scope, const Service& service, std::uint32_t port);
void add_hash_policy(envoy::config::route::v3::RouteAction& out, const model::ConsistentHash* hash);

}  // namespace lateen::translate
