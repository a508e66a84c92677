// For tests and benchmarks: xDS resources out of protobuf JSON, an array of resources each, as istiod's debug pages and
// Envoy's config dump write them.
#pragma once

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <string>
#include <type_traits>

#include "base/result.h"
#include "xds/messages.h"
#include "xds/types.h"

namespace lateen::runtime {

// Stops the test on bad JSON.
template <class Proto>
Proto from_json(const std::string& json) {
  Proto proto;
  if constexpr (std::is_same_v<Proto, google::protobuf::ListValue> || std::is_same_v<Proto, google::protobuf::Struct>) {
    const auto status = google::protobuf::util::JsonStringToMessage(json, &proto);
    if (!status.ok()) check_failed(status.ToString().c_str(), json.c_str(), 0);
  } else {
    const Result<void> read = xds::from_json(json, proto, xds::UnknownFields::kRefuse);
    if (!read) check_failed(read.error().message.c_str(), json.c_str(), 0);
  }
  return proto;
}

template <class Proto, class Visit>
void for_each_in_json(const std::string& array, Visit visit) {
  const auto list = from_json<google::protobuf::ListValue>(array);
  for (const google::protobuf::Value& value : list.values()) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) check_failed("prints", __FILE__, __LINE__);
    visit(from_json<Proto>(json));
  }
}

inline void add_route_configuration(envoy::config::route::v3::RouteConfiguration proto, xds::Resources& out) {
  xds::RouteConfigurationParts parts;
  for (const auto& host : proto.virtual_hosts()) parts.virtual_hosts.push_back(xds::make_resource(host.name(), host));
  proto.clear_virtual_hosts();
  parts.shell = xds::make_resource(proto.name(), proto);
  out.routes[proto.name()] = std::move(parts);
}

inline void add_routes(const std::string& array, xds::Resources& out) {
  for_each_in_json<envoy::config::route::v3::RouteConfiguration>(
      array, [&](const auto& proto) { add_route_configuration(proto, out); });
}
inline void add_clusters(const std::string& array, xds::Resources& out) {
  for_each_in_json<envoy::config::cluster::v3::Cluster>(
      array, [&](const auto& proto) { out.clusters[proto.name()] = xds::make_resource(proto.name(), proto); });
}
inline void add_endpoints(const std::string& array, xds::Resources& out) {
  for_each_in_json<envoy::config::endpoint::v3::ClusterLoadAssignment>(array, [&](const auto& proto) {
    out.endpoints[proto.cluster_name()] = xds::make_resource(proto.cluster_name(), proto);
  });
}
inline void add_listeners(const std::string& array, xds::Resources& out) {
  for_each_in_json<envoy::config::listener::v3::Listener>(
      array, [&](const auto& proto) { out.listeners[proto.name()] = xds::make_resource(proto.name(), proto); });
}

// One a line.
inline std::string messages(const std::vector<Error>& errors) {
  std::string out;
  for (const Error& error : errors) out += error.message + '\n';
  return out;
}

}  // namespace lateen::runtime
