#include "runtime/compile_endpoints.h"

#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>

namespace lateen::runtime {
namespace {

namespace core = envoy::config::core::v3;
namespace endpoint = envoy::config::endpoint::v3;

constexpr std::uint32_t kPriorityMax = 128;  // Envoy's

void compile_address(const core::Address& proto, Endpoint& out, Fields& fields) {
  const Fields::At at(fields, "address");
  switch (proto.address_case()) {
    case core::Address::kSocketAddress: {
      const core::SocketAddress& address = proto.socket_address();
      fields.only(address, {address.kAddressFieldNumber, address.kPortValueFieldNumber, address.kProtocolFieldNumber});
      if (address.protocol() != core::SocketAddress::TCP) fields.unsupported("only TCP is supported");
      if (address.port_value() > 65535) fields.refuse("port_value is not a port");
      if (address.address().empty()) fields.refuse("address must not be empty");
      out.host = address.address();
      out.port = static_cast<std::uint16_t>(address.port_value());
      return;
    }
    case core::Address::kPipe: out.host = "unix:" + proto.pipe().path(); return;
    case core::Address::kEnvoyInternalAddress: fields.unsupported("internal listeners are not supported"); return;
    case core::Address::ADDRESS_NOT_SET: fields.refuse("is missing"); return;
  }
}

Endpoint::Health compile_health(const endpoint::LbEndpoint& proto) {
  switch (static_cast<int>(proto.health_status())) {
    case core::HEALTHY: return Endpoint::Health::kHealthy;
    case core::UNHEALTHY:
    case core::TIMEOUT: return Endpoint::Health::kUnhealthy;
    case core::DRAINING: return Endpoint::Health::kDraining;
    case core::DEGRADED: return Endpoint::Health::kDegraded;
    default: return Endpoint::Health::kUnknown;
  }
}

void compile_metadata(const core::Metadata& metadata, Endpoint& out, EndpointSet& set) {
  const auto& sections = metadata.filter_metadata();
  if (const auto istio = sections.find("istio"); istio != sections.end())
    if (const auto it = istio->second.fields().find("workload"); it != istio->second.fields().end())
      out.workload = it->second.string_value();
  std::map<std::string, std::string> values;
  if (const auto transport = sections.find("envoy.transport_socket_match"); transport != sections.end())
    for (const auto& [name, value] : transport->second.fields()) values.emplace(name, value.string_value());
  if (std::find(set.transport_metadata.begin(), set.transport_metadata.end(), values) == set.transport_metadata.end())
    set.transport_metadata.push_back(std::move(values));
}

}  // namespace

std::shared_ptr<const EndpointSet> compile_endpoints(const endpoint::ClusterLoadAssignment& proto, std::uint64_t content_hash,
                                                     Fields& fields) {
  fields.only(proto, {proto.kClusterNameFieldNumber, proto.kEndpointsFieldNumber});
  auto out = std::make_shared<EndpointSet>();
  for (int i = 0; i < proto.endpoints_size(); ++i) {
    const Fields::At at_locality(fields, "endpoints", i);
    const endpoint::LocalityLbEndpoints& locality = proto.endpoints(i);
    // The weight of a locality has a meaning only for a cluster with locality_weighted_lb_config, and that is refused there.
    fields.only(locality, {locality.kLocalityFieldNumber, locality.kLbEndpointsFieldNumber, locality.kLoadBalancingWeightFieldNumber,
                           locality.kPriorityFieldNumber, locality.kProximityFieldNumber, locality.kMetadataFieldNumber});
    if (locality.priority() > kPriorityMax) fields.refuse("priority must not be more than 128");
    for (int j = 0; j < locality.lb_endpoints_size(); ++j) {
      const Fields::At at(fields, "lb_endpoints", j);
      const endpoint::LbEndpoint& entry = locality.lb_endpoints(j);
      fields.only(entry, {entry.kEndpointFieldNumber, entry.kHealthStatusFieldNumber, entry.kMetadataFieldNumber,
                          entry.kLoadBalancingWeightFieldNumber});
      // The host name matters only to active health checks and TLS, which a cluster is refused for.
      fields.only(entry.endpoint(), {entry.endpoint().kAddressFieldNumber, entry.endpoint().kHostnameFieldNumber,
                                     entry.endpoint().kHealthCheckConfigFieldNumber});
      Endpoint added;
      compile_address(entry.endpoint().address(), added, fields);
      added.weight = entry.has_load_balancing_weight() ? entry.load_balancing_weight().value() : 1;
      if (added.weight == 0) fields.refuse("load_balancing_weight must be at least 1");
      added.priority = locality.priority();
      added.region = locality.locality().region();
      added.zone = locality.locality().zone();
      added.sub_zone = locality.locality().sub_zone();
      added.health = compile_health(entry);
      compile_metadata(entry.metadata(), added, *out);
      out->endpoints.push_back(std::move(added));
    }
  }
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  out->content_hash = content_hash;
  return out;
}

}  // namespace lateen::runtime
