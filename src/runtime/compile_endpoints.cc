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
  fields.only(proto, {proto.kSocketAddressFieldNumber, proto.kPipeFieldNumber, proto.kEnvoyInternalAddressFieldNumber});
  switch (proto.address_case()) {
    case core::Address::kSocketAddress: {
      const core::SocketAddress& address = proto.socket_address();
      fields.only(address, {address.kAddressFieldNumber, address.kPortValueFieldNumber, address.kProtocolFieldNumber});
      if (address.protocol() != core::SocketAddress::TCP) fields.unsupported("protocol: only TCP is supported");
      if (address.port_value() > 65535) fields.refuse("port_value is not a port");
      if (address.address().empty()) fields.refuse("address must not be empty");
      out.host = address.address();
      out.port = static_cast<std::uint16_t>(address.port_value());
      return;
    }
    case core::Address::kPipe:
      fields.only(proto.pipe(), {proto.pipe().kPathFieldNumber});
      out.host = "unix:" + proto.pipe().path();
      return;
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

// The values that transport_socket_matches look at. Only text can be asked for there.
TransportMetadata transport_values(const core::Metadata& metadata) {
  TransportMetadata out;
  const auto section = metadata.filter_metadata().find("envoy.transport_socket_match");
  if (section == metadata.filter_metadata().end()) return out;
  for (const auto& [name, value] : section->second.fields())
    if (value.kind_case() == google::protobuf::Value::kStringValue) out.emplace(name, value.string_value());
  return out;
}

std::uint32_t place_of(TransportMetadata values, EndpointSet& set, SharedParts& parts) {
  auto& all = set.transport_metadata;
  for (std::uint32_t i = 0; i < all.size(); ++i)
    if (set.metadata_of(i) == values) return i;
  all.push_back(parts.transport_metadata(std::move(values)));
  return static_cast<std::uint32_t>(all.size() - 1);
}

// Metadata of an endpoint comes before that of its locality.
void compile_metadata(const core::Metadata& metadata, const core::Metadata& of_locality, Endpoint& out, EndpointSet& set, SharedParts& parts) {
  const auto& sections = metadata.filter_metadata();
  if (const auto istio = sections.find("istio"); istio != sections.end())
    if (const auto it = istio->second.fields().find("workload"); it != istio->second.fields().end())
      out.workload = parts.text(it->second.string_value());
  TransportMetadata values = transport_values(metadata);
  for (auto& value : transport_values(of_locality)) values.insert(std::move(value));
  out.transport_metadata = place_of(std::move(values), set, parts);
}

void compile_endpoint(const endpoint::LbEndpoint& proto, const endpoint::LocalityLbEndpoints& locality, EndpointSet& set, Fields& fields) {
  fields.only(proto, {proto.kEndpointFieldNumber, proto.kHealthStatusFieldNumber, proto.kMetadataFieldNumber, proto.kLoadBalancingWeightFieldNumber});
  const endpoint::Endpoint& entry = proto.endpoint();
  // Active health checks are refused at the cluster: what they would ask does not matter.
  fields.only(entry, {entry.kAddressFieldNumber, entry.kHostnameFieldNumber, entry.kHealthCheckConfigFieldNumber});
  Endpoint added;
  compile_address(entry.address(), added, fields);
  added.hostname = entry.hostname();
  added.weight = proto.has_load_balancing_weight() ? proto.load_balancing_weight().value() : 1;
  if (added.weight == 0) fields.refuse("load_balancing_weight must be at least 1");
  added.health = compile_health(proto);
  added.locality = static_cast<std::uint32_t>(set.localities.size() - 1);
  const Locality& place = set.localities.back();
  added.priority = place.priority;
  added.region = place.region;
  added.zone = place.zone;
  added.sub_zone = place.sub_zone;
  compile_metadata(proto.metadata(), locality.metadata(), added, set, fields.parts());
  set.endpoints.push_back(std::move(added));
}

void compile_locality(const endpoint::LocalityLbEndpoints& proto, EndpointSet& out, Fields& fields) {
  // Envoy does not obey proximity either.
  fields.only(proto, {proto.kLocalityFieldNumber, proto.kLbEndpointsFieldNumber, proto.kLoadBalancingWeightFieldNumber,
                      proto.kPriorityFieldNumber, proto.kProximityFieldNumber, proto.kMetadataFieldNumber});
  fields.only(proto.locality(), {proto.locality().kRegionFieldNumber, proto.locality().kZoneFieldNumber, proto.locality().kSubZoneFieldNumber});
  if (proto.priority() > kPriorityMax) fields.refuse("priority must not be more than 128");
  SharedParts& parts = fields.parts();
  Locality locality{parts.text(proto.locality().region()), parts.text(proto.locality().zone()), parts.text(proto.locality().sub_zone()),
                    proto.priority(), std::nullopt};
  if (proto.has_load_balancing_weight()) {
    locality.weight = proto.load_balancing_weight().value();
    if (*locality.weight == 0) fields.refuse("load_balancing_weight must be at least 1");
  }
  out.localities.push_back(std::move(locality));
  for (int i = 0; i < proto.lb_endpoints_size(); ++i) {
    const Fields::At at(fields, "lb_endpoints", i);
    compile_endpoint(proto.lb_endpoints(i), proto, out, fields);
  }
}

void compile_policy(const endpoint::ClusterLoadAssignment::Policy& proto, EndpointSet& out, Fields& fields) {
  const Fields::At at(fields, "policy");
  fields.only(proto, {proto.kDropOverloadsFieldNumber, proto.kOverprovisioningFactorFieldNumber, proto.kWeightedPriorityHealthFieldNumber});
  if (proto.has_overprovisioning_factor()) out.overprovisioning_percent = proto.overprovisioning_factor().value();
  if (out.overprovisioning_percent == 0) fields.refuse("overprovisioning_factor must be more than 0");
  out.weighted_priority_health = proto.weighted_priority_health();
  // Each drops its share of what the ones before it left over.
  std::uint64_t kept = Fraction::kMillion;
  for (const auto& drop : proto.drop_overloads()) {
    fields.only(drop, {drop.kCategoryFieldNumber, drop.kDropPercentageFieldNumber});
    kept = kept * (Fraction::kMillion - fields.per_million(drop.drop_percentage())) / Fraction::kMillion;
  }
  out.drop_per_million = static_cast<std::uint32_t>(Fraction::kMillion - kept);
}

}  // namespace

std::shared_ptr<const EndpointSet> compile_endpoints(const endpoint::ClusterLoadAssignment& proto, std::uint64_t content_hash,
                                                     Fields& fields) {
  fields.only(proto, {proto.kClusterNameFieldNumber, proto.kEndpointsFieldNumber, proto.kPolicyFieldNumber});
  auto out = std::make_shared<EndpointSet>();
  if (proto.has_policy()) compile_policy(proto.policy(), *out, fields);
  out->localities.reserve(static_cast<std::size_t>(proto.endpoints_size()));
  int endpoints = 0;
  for (const auto& locality : proto.endpoints()) endpoints += locality.lb_endpoints_size();
  out->endpoints.reserve(static_cast<std::size_t>(endpoints));
  for (int i = 0; i < proto.endpoints_size(); ++i) {
    const Fields::At at(fields, "endpoints", i);
    compile_locality(proto.endpoints(i), *out, fields);
  }
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  out->content_hash = content_hash;
  return out;
}

}  // namespace lateen::runtime
