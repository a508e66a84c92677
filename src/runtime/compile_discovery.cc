// Where the endpoints of a cluster come from: its type, DNS and EDS.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.pb.h>
#include <envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>

#include "runtime/compile_cluster.h"
#include "runtime/loose_message.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
using Discovery = Cluster::Discovery;
using ForwardProxy = envoy::extensions::clusters::dynamic_forward_proxy::v3::ClusterConfig;
using Cares = envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig;

constexpr std::string_view kForwardProxy = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
constexpr std::string_view kDnsCluster = "envoy.extensions.clusters.dns.v3.DnsCluster";
constexpr Duration kForwardProxyRefresh = std::chrono::seconds(60);  // Envoy's

void read_family(int value, Cluster& out, Fields& fields) {
  using Family = Cluster::Dns::Family;
  switch (value) {
    case cluster::Cluster::AUTO: out.dns.family = Family::kAuto; break;
    case cluster::Cluster::V4_ONLY: out.dns.family = Family::kV4Only; break;
    case cluster::Cluster::V6_ONLY: out.dns.family = Family::kV6Only; break;
    case cluster::Cluster::V4_PREFERRED: out.dns.family = Family::kV4Preferred; break;
    case cluster::Cluster::ALL: out.dns.family = Family::kAll; break;
    default: fields.refuse("unknown dns_lookup_family"); break;
  }
}

void read_refresh(const google::protobuf::Duration& value, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "dns_refresh_rate");
  out.dns.refresh = fields.duration(value);
  if (out.dns.refresh < std::chrono::milliseconds(1)) fields.refuse("must be at least 1 ms");
}

void read_jitter(const google::protobuf::Duration& value, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "dns_jitter");
  out.dns.jitter = fields.duration(value);
}

void read_resolver(const core::TypedExtensionConfig& proto, Fields& fields) {
  const Fields::At at(fields, "typed_dns_resolver_config");
  fields.only(proto, {proto.kNameFieldNumber, proto.kTypedConfigFieldNumber});
  Cares cares;
  if (!fields.unpack(proto.typed_config(), cares)) return;
  // How often and how long the servers are asked is c-ares' matter; which servers are asked is not.
  fields.only(cares, {cares.kUdpMaxQueriesFieldNumber, cares.kQueryTimeoutSecondsFieldNumber, cares.kQueryTriesFieldNumber,
                      cares.kRotateNameserversFieldNumber, cares.kEdns0MaxPayloadSizeFieldNumber,
                      cares.kMaxUdpChannelDurationFieldNumber, cares.kReinitChannelOnTimeoutFieldNumber,
                      cares.kFilterUnroutableFamiliesFieldNumber});
}

void read_forward_proxy(const google::protobuf::Any& any, Cluster& out, Fields& fields) {
  ForwardProxy proto;
  out.discovery = Discovery::kDynamicForwardProxy;
  if (!fields.unpack(any, proto)) return;
  // A cluster without TLS is allowed in any case, and whether connections of several names may be shared is left to us.
  fields.only(proto, {proto.kDnsCacheConfigFieldNumber, proto.kAllowInsecureClusterOptionsFieldNumber,
                      proto.kAllowCoalescedConnectionsFieldNumber});
  const Fields::At at(fields, "dns_cache_config");
  const auto& cache = proto.dns_cache_config();
  // The cache's name would let a filter share it; how long unused names are kept, how many, and how soon a failure is
  // repeated are bounds of the resolver's own.
  fields.only(cache, {cache.kNameFieldNumber, cache.kDnsLookupFamilyFieldNumber, cache.kDnsRefreshRateFieldNumber,
                      cache.kDnsMinRefreshRateFieldNumber, cache.kHostTtlFieldNumber, cache.kMaxHostsFieldNumber,
                      cache.kDnsFailureRefreshRateFieldNumber, cache.kDnsCacheCircuitBreakerFieldNumber,
                      cache.kTypedDnsResolverConfigFieldNumber, cache.kDnsQueryTimeoutFieldNumber});
  if (cache.name().empty()) fields.refuse("needs a name");
  read_family(cache.dns_lookup_family(), out, fields);
  out.dns.refresh = kForwardProxyRefresh;
  if (cache.has_dns_refresh_rate()) read_refresh(cache.dns_refresh_rate(), out, fields);
  if (cache.has_typed_dns_resolver_config()) read_resolver(cache.typed_dns_resolver_config(), fields);
}

// The newer spelling of STRICT_DNS and LOGICAL_DNS.
void read_dns_cluster(const google::protobuf::Any& any, Cluster& out, Fields& fields) {
  out.discovery = Discovery::kStrictDns;
  const std::optional<LooseMessage> proto = LooseMessage::unpack(any, fields);
  if (!proto) return;
  // How soon a failure is repeated is the resolver's own matter.
  proto->only({"dns_refresh_rate", "dns_failure_refresh_rate", "respect_dns_ttl", "dns_jitter", "typed_dns_resolver_config",
               "dns_lookup_family", "all_addresses_in_single_endpoint"}, fields);
  if (proto->boolean("all_addresses_in_single_endpoint")) out.discovery = Discovery::kLogicalDns;
  out.dns.respect_ttl = proto->boolean("respect_dns_ttl");
  google::protobuf::Duration duration;
  if (proto->message("dns_refresh_rate", duration)) read_refresh(duration, out, fields);
  if (proto->message("dns_jitter", duration)) read_jitter(duration, out, fields);
  core::TypedExtensionConfig resolver;
  if (proto->message("typed_dns_resolver_config", resolver)) read_resolver(resolver, fields);
  // This enum has one more, "unspecified", before the others.
  const std::uint64_t family = proto->number("dns_lookup_family");
  read_family(family == 0 ? static_cast<int>(cluster::Cluster::AUTO) : static_cast<int>(family) - 1, out, fields);
}

void read_cluster_type(const cluster::Cluster::CustomClusterType& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "cluster_type");
  fields.only(proto, {proto.kNameFieldNumber, proto.kTypedConfigFieldNumber});
  const std::string_view type = type_name(proto.typed_config());
  if (type == kForwardProxy) read_forward_proxy(proto.typed_config(), out, fields);
  else if (type == kDnsCluster) read_dns_cluster(proto.typed_config(), out, fields);
  else {
    fields.unsupported(proto.name() + " is not supported");
    out.discovery = Discovery::kStatic;
  }
}

void read_type(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  switch (static_cast<int>(proto.type())) {
    case cluster::Cluster::STATIC: out.discovery = Discovery::kStatic; break;
    case cluster::Cluster::STRICT_DNS: out.discovery = Discovery::kStrictDns; break;
    case cluster::Cluster::LOGICAL_DNS: out.discovery = Discovery::kLogicalDns; break;
    case cluster::Cluster::EDS: out.discovery = Discovery::kEds; break;
    case cluster::Cluster::ORIGINAL_DST: out.discovery = Discovery::kOriginalDestination; break;
    default: fields.refuse("unknown type"); break;
  }
}

void read_dns(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  read_family(proto.dns_lookup_family(), out, fields);
  out.dns.respect_ttl = proto.respect_dns_ttl();
  if (proto.has_dns_refresh_rate()) read_refresh(proto.dns_refresh_rate(), out, fields);
  if (proto.has_dns_jitter()) read_jitter(proto.dns_jitter(), out, fields);
  if (proto.has_typed_dns_resolver_config()) read_resolver(proto.typed_dns_resolver_config(), fields);
}

}  // namespace

void compile_discovery(const cluster::Cluster& proto, Cluster& out, Fields& fields) {
  if (proto.has_cluster_type()) {
    fields.overruled(proto, {proto.kDnsLookupFamilyFieldNumber, proto.kDnsRefreshRateFieldNumber, proto.kDnsJitterFieldNumber,
                             proto.kRespectDnsTtlFieldNumber, proto.kTypedDnsResolverConfigFieldNumber}, "cluster_type");
    read_cluster_type(proto.cluster_type(), out, fields);
  } else {
    read_type(proto, out, fields);
    read_dns(proto, out, fields);
  }
  if (out.discovery == Discovery::kEds) {
    const Fields::At at(fields, "eds_cluster_config");
    const auto& eds = proto.eds_cluster_config();
    fields.only(eds, {eds.kEdsConfigFieldNumber, eds.kServiceNameFieldNumber});
    out.endpoints_name = fields.parts().text(eds.service_name().empty() ? proto.name() : eds.service_name());
    fields.source(eds.eds_config(), "eds_config");
  } else if (proto.has_eds_cluster_config()) {
    fields.refuse("eds_cluster_config does not go with this type");
  }
  const bool own_endpoints =
      out.discovery == Discovery::kStatic || out.discovery == Discovery::kStrictDns || out.discovery == Discovery::kLogicalDns;
  if (proto.has_load_assignment() && !own_endpoints) fields.refuse("load_assignment does not go with this type");
}

}  // namespace lateen::runtime
