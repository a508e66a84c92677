// networking.istio.io EnvoyFilter as the user wrote it. The values of its patches stay documents: which message of Envoy
// they are is known only where they are merged.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"

namespace lateen::model {

enum class ApplyTo : std::uint8_t {
  kInvalid, kListener, kFilterChain, kNetworkFilter, kHttpFilter, kRouteConfiguration, kVirtualHost, kHttpRoute,
  kCluster, kExtensionConfig, kBootstrap, kListenerFilter,
};
enum class PatchContext : std::uint8_t { kAny, kSidecarInbound, kSidecarOutbound, kGateway, kWaypoint };
enum class PatchOperation : std::uint8_t {
  kInvalid, kMerge, kAdd, kRemove, kInsertBefore, kInsertAfter, kInsertFirst, kReplace, kMergeAndReplaceList,
};

// EnvoyFilter.EnvoyConfigObjectMatch. Absent parts match everything; port 0: not given.
struct EnvoyFilterMatch {
  PatchContext context = PatchContext::kAny;
  struct Proxy {
    std::string proxy_version;                 // a regular expression
    std::map<std::string, std::string> metadata;
    bool operator==(const Proxy&) const = default;
  };
  struct Filter {
    std::string name, sub_filter;
    bool operator==(const Filter&) const = default;
  };
  struct FilterChain {
    std::string name, sni, transport_protocol, application_protocols;
    std::optional<Filter> filter;
    std::uint32_t destination_port = 0;
    bool operator==(const FilterChain&) const = default;
  };
  struct Listener {
    std::uint32_t port_number = 0;
    std::string port_name;                     // deprecated in Istio, without effect there
    std::optional<FilterChain> filter_chain;
    std::string listener_filter;
    std::string name;
    bool operator==(const Listener&) const = default;
  };
  struct Route {
    std::string name;
    enum class Action : std::uint8_t { kAny, kRoute, kRedirect, kDirectResponse } action = Action::kAny;
    bool operator==(const Route&) const = default;
  };
  struct VirtualHost {
    std::string name, domain_name;
    std::optional<Route> route;
    bool operator==(const VirtualHost&) const = default;
  };
  struct RouteConfiguration {
    std::uint32_t port_number = 0;
    std::string port_name, gateway, name;
    std::optional<VirtualHost> vhost;
    bool operator==(const RouteConfiguration&) const = default;
  };
  struct Cluster {
    std::uint32_t port_number = 0;
    std::string service, subset, name;
    bool operator==(const Cluster&) const = default;
  };
  std::optional<Proxy> proxy;
  std::optional<Listener> listener;
  std::optional<RouteConfiguration> route_configuration;
  std::optional<Cluster> cluster;
  bool operator==(const EnvoyFilterMatch&) const = default;
};

struct EnvoyFilterPatch {
  ApplyTo apply_to = ApplyTo::kInvalid;
  std::optional<EnvoyFilterMatch> match;
  PatchOperation operation = PatchOperation::kInvalid;
  enum class FilterClass : std::uint8_t { kUnspecified, kAuthn, kAuthz, kStats } filter_class = FilterClass::kUnspecified;
  std::string value_json;                      // patch.value as JSON; "" if not given
  bool operator==(const EnvoyFilterPatch&) const = default;
};

struct EnvoyFilter {
  std::map<std::string, std::string> workload_selector;  // labels; only with `has_workload_selector`
  bool has_workload_selector = false;
  struct TargetRef {
    std::string group, kind, name, namespace_;
    bool operator==(const TargetRef&) const = default;
  };
  std::vector<TargetRef> target_refs;
  std::vector<EnvoyFilterPatch> config_patches;
  std::int32_t priority = 0;
  bool operator==(const EnvoyFilter&) const = default;
};

}  // namespace lateen::model
