#include "translate/clusters.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <utility>

#include "translate/destination_rules.h"
#include "translate/endpoints.h"
#include "translate/names.h"
#include "translate/shapes.h"
#include "translate/traffic_policy.h"
#include "translate/upstream_tls.h"
#include "xds/messages.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr const char* kHttpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

// One cluster to be made: a port of a service, or a subset of it.
struct Wanted {
  const Service& service;
  const Port& port;
  const MergedRule* rule = nullptr;
  const SubsetSource* subset = nullptr;

  std::string name() const {
    return outbound_cluster(port.number, subset == nullptr ? "" : subset->subset->name, service.host);
  }
  const model::TrafficPolicy* subset_policy() const {
    return subset != nullptr && subset->subset->traffic_policy ? &*subset->subset->traffic_policy : nullptr;
  }
};

cluster_v3::Cluster::DiscoveryType type_of(const Scope& scope, const Service& service) {
  switch (service.resolution) {
    case Resolution::kEds: return cluster_v3::Cluster::EDS;
    case Resolution::kDns: return cluster_v3::Cluster::STRICT_DNS;
    case Resolution::kDnsRoundRobin: return cluster_v3::Cluster::LOGICAL_DNS;
    case Resolution::kPassthrough:
      // A gateway has no original destination to fall back on.
      return scope.view.kind == View::Kind::kRouter ? cluster_v3::Cluster::EDS : cluster_v3::Cluster::ORIGINAL_DST;
    case Resolution::kDynamicDns:
    case Resolution::kAlias: break;
  }
  return cluster_v3::Cluster::EDS;
}

void fill_service_metadata(cluster_v3::Cluster& out, const Service& service, bool subset) {
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  auto& entry = *istio["services"].mutable_list_value()->add_values()->mutable_struct_value()->mutable_fields();
  entry["host"].set_string_value(service.host);
  entry["name"].set_string_value(service.name);
  entry["namespace"].set_string_value(service.namespace_);
  if (service.external && !subset) istio["external"].set_bool_value(true);
}

void fill_rule_metadata(cluster_v3::Cluster& out, const Wanted& wanted) {
  if (wanted.rule == nullptr) return;
  set_config(*out.mutable_metadata(), *wanted.rule->first);
  if (wanted.subset == nullptr) return;
  auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["subset"].set_string_value(wanted.subset->subset->name);
}

void fill_dns(cluster_v3::Cluster& out, const Scope& scope, const Wanted& wanted) {
  constexpr auto kRefresh = std::chrono::seconds(60);
  constexpr auto kJitter = std::chrono::milliseconds(100);
  constexpr std::uint32_t kQueriesMax = 100;
  out.set_dns_lookup_family(cluster_v3::Cluster::V4_ONLY);
  set_duration(*out.mutable_dns_refresh_rate(), kRefresh);
  set_duration(*out.mutable_dns_jitter(), kJitter);
  out.set_respect_dns_ttl(true);
  envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig resolver;
  resolver.mutable_udp_max_queries()->set_value(kQueriesMax);
  out.mutable_typed_dns_resolver_config()->set_name("envoy.network.dns_resolver.cares");
  xds::pack(resolver, *out.mutable_typed_dns_resolver_config()->mutable_typed_config());
  const Labels* labels = wanted.subset == nullptr ? nullptr : &wanted.subset->subset->labels;
  fill_load_assignment(*out.mutable_load_assignment(), out.name(), wanted.service, wanted.port, labels, scope.options);
}

bool is_dns(const cluster_v3::Cluster& cluster) {
  return cluster.type() == cluster_v3::Cluster::STRICT_DNS || cluster.type() == cluster_v3::Cluster::LOGICAL_DNS;
}

model::PolicyBlocks blocks_of(const Wanted& wanted) {
  const model::TrafficPolicy* whole = wanted.rule == nullptr ? nullptr : wanted.rule->policy;
  return blocks_of_subset(blocks_on_port(whole, wanted.port.number), wanted.subset_policy(), wanted.port.number);
}

cluster_v3::Cluster outbound(const Scope& scope, const Wanted& wanted, const model::PolicyBlocks& blocks) {
  cluster_v3::Cluster out;
  out.set_name(wanted.name());
  out.set_alt_stat_name(out.name() + ";");
  out.set_type(type_of(scope, wanted.service));
  if (is_dns(out)) fill_dns(out, scope, wanted);
  fill_service_metadata(out, wanted.service, wanted.subset != nullptr);
  HttpOptions http;
  const model::TrafficPolicy* whole = wanted.rule == nullptr ? nullptr : wanted.rule->policy;
  if (const auto* own = wanted.subset_policy(); own != nullptr && own->retry_budget) whole = own;
  apply_policy(out, http, {blocks, whole, wanted.port.protocol, scope.options.compat, scope.mesh.config});
  const TlsInput tls{wanted.service, wanted.port, wanted.subset == nullptr ? std::string() : wanted.subset->subset->name,
                     blocks.tls ? &*blocks.tls : nullptr, scope};
  apply_upstream_tls(out, http, tls);
  if (out.type() == cluster_v3::Cluster::EDS) {
    out.mutable_eds_cluster_config()->set_service_name(out.name());
    set_ads(*out.mutable_eds_cluster_config()->mutable_eds_config());
  }
  // Envoy wants the upstream's protocol wherever there are options at all.
  if (http.ByteSizeLong() > 0 && http.upstream_protocol_options_case() == HttpOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET)
    http.mutable_explicit_http_config()->mutable_http_protocol_options();
  if (http.ByteSizeLong() > 0) xds::pack(http, (*out.mutable_typed_extension_protocol_options())[kHttpOptionsKey]);
  fill_rule_metadata(out, wanted);
  return out;
}

// Which rule, and which field of it, gave each block.
void note_origins(Notes notes, const Wanted& wanted, const model::PolicyBlocks& blocks) {
  if (wanted.rule == nullptr) return;
  const std::string resource = "cluster/" + wanted.name();
  const std::uint32_t port = wanted.port.number;
  notes.came_from(resource, "", wanted.subset == nullptr
      ? wanted.rule->first->origin("spec")
      : wanted.subset->object->origin("spec.subsets[" + std::to_string(wanted.subset->index) + "]"));
  const model::TrafficPolicy* own = wanted.subset_policy();
  const auto note = [&](const char* field, const char* yaml, bool is_set, bool in_subset) {
    if (!is_set) return;
    if (in_subset) {
      const std::string path = "spec.subsets[" + std::to_string(wanted.subset->index) + "]." + blocks_path(own, port);
      notes.came_from(resource, field, wanted.subset->object->origin(path + "." + yaml));
    } else if (wanted.rule->policy != nullptr) {
      notes.came_from(resource, field,
                      wanted.rule->policy_object->origin("spec." + blocks_path(wanted.rule->policy, port) + "." + yaml));
    }
  };
  const model::PolicyBlocks subset_blocks = blocks_on_port(own, port);
  note("connection_pool", "connectionPool", blocks.connection_pool.has_value(), subset_blocks.connection_pool.has_value());
  note("outlier_detection", "outlierDetection", blocks.outlier_detection.has_value(),
       subset_blocks.outlier_detection.has_value());
  note("load_balancer", "loadBalancer", blocks.load_balancer.has_value(), subset_blocks.load_balancer.has_value());
  note("tls", "tls", blocks.tls.has_value(), subset_blocks.tls.has_value());
}

void add(const Scope& scope, Notes notes, const Wanted& wanted, xds::Resources& out) {
  const model::PolicyBlocks blocks = blocks_of(wanted);
  const cluster_v3::Cluster cluster = outbound(scope, wanted, blocks);
  note_origins(notes, wanted, blocks);
  out.clusters.insert_or_assign(cluster.name(), xds::make_resource(cluster.name(), cluster));
  if (cluster.type() != cluster_v3::Cluster::EDS) return;
  envoy::config::endpoint::v3::ClusterLoadAssignment endpoints;
  const Labels* labels = wanted.subset == nullptr ? nullptr : &wanted.subset->subset->labels;
  fill_load_assignment(endpoints, cluster.name(), wanted.service, wanted.port, labels, scope.options);
  out.endpoints.insert_or_assign(cluster.name(), xds::make_resource(cluster.name(), endpoints));
}

void add_black_hole(xds::Resources& out) {
  cluster_v3::Cluster cluster;
  cluster.set_name("BlackHoleCluster");
  cluster.set_alt_stat_name("BlackHoleCluster;");
  cluster.set_type(cluster_v3::Cluster::STATIC);
  set_duration(*cluster.mutable_connect_timeout(), std::chrono::seconds(10));
  out.clusters.insert_or_assign(cluster.name(), xds::make_resource(cluster.name(), cluster));
}

cluster_v3::Cluster passthrough(const Scope& scope, const char* name) {
  constexpr auto kIdle = std::chrono::seconds(300);
  cluster_v3::Cluster cluster;
  cluster.set_name(name);
  cluster.set_alt_stat_name("PassthroughCluster;");
  cluster.set_type(cluster_v3::Cluster::ORIGINAL_DST);
  cluster.set_lb_policy(cluster_v3::Cluster::CLUSTER_PROVIDED);
  set_duration(*cluster.mutable_connect_timeout(), scope.mesh.config.connect_timeout);
  apply_no_limits(cluster);
  HttpOptions http;
  http.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
  http.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
  set_duration(*http.mutable_common_http_protocol_options()->mutable_idle_timeout(), kIdle);
  xds::pack(http, (*cluster.mutable_typed_extension_protocol_options())[kHttpOptionsKey]);
  return cluster;
}

}  // namespace

void add_clusters(const Scope& scope, Notes notes, xds::Resources& out) {
  for (const auto& [host, service] : scope.services) {
    if (service->resolution == Resolution::kAlias || service->resolution == Resolution::kDynamicDns) continue;
    const MergedRule* rule = scope.rules.find(scope.view, *service);
    for (const Port& port : service->ports) {
      if (port.protocol == Protocol::kUdp) continue;
      add(scope, notes, {*service, port, rule, nullptr}, out);
      if (rule == nullptr) continue;
      for (const SubsetSource& subset : rule->subsets) add(scope, notes, {*service, port, rule, &subset}, out);
    }
  }
  add_black_hole(out);
  if (scope.view.kind == View::Kind::kRouter) return;
  const cluster_v3::Cluster outbound_passthrough = passthrough(scope, "PassthroughCluster");
  out.clusters.insert_or_assign(outbound_passthrough.name(),
                                xds::make_resource(outbound_passthrough.name(), outbound_passthrough));
}

}  // namespace lateen::translate
