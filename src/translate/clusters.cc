#include "translate/clusters.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.pb.h>
#include <envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <optional>
#include <utility>

#include "translate/destination_rules.h"
#include "translate/dynamic_dns.h"
#include "translate/endpoints.h"
#include "translate/gateway_servers.h"
#include "translate/names.h"
#include "translate/shapes.h"
#include "translate/stat_prefix.h"
#include "translate/traffic_policy.h"
#include "translate/upstream_tls.h"
#include "xds/messages.h"

// istiod still sends fields that Envoy calls deprecated, and equal is what we want to be.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::translate {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;
namespace dfp_v3 = envoy::extensions::clusters::dynamic_forward_proxy::v3;
using HttpOptions = envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using Type = cluster_v3::Cluster;

constexpr const char* kHttpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

// One cluster to be made: a port of a service, or a subset of it.
struct Wanted {
  const Service& service;
  const Port& port;
  const MergedRule* rule = nullptr;
  const SubsetSource* subset = nullptr;
  // For TLS that a gateway passes through: named as the SNI that asks for it, without TLS of its own.
  bool by_sni = false;

  std::string name() const {
    const std::string& of = subset == nullptr ? std::string() : subset->subset->name;
    return by_sni ? mtls_sni(port.number, of, service.host) : outbound_cluster(port.number, of, service.host);
  }
  const model::TrafficPolicy* whole_policy() const { return rule == nullptr ? nullptr : rule->policy; }
  const model::TrafficPolicy* subset_policy() const {
    return subset != nullptr && subset->subset->traffic_policy ? &*subset->subset->traffic_policy : nullptr;
  }
  EffectivePolicy policy() const {
    return policy_of_subset(policy_on_port(whole_policy(), port.number), subset_policy(), port.number);
  }
};

// What the clusters of one view share.
struct Maker {
  const Scope& scope;
  Notes notes;
  const ClientPlace& place;
  xds::Resources& out;
  std::string own_cluster;   // of workloads like the client, for zone-aware routing; "": not known, or not asked for
};

// Where the first TCP connection wins, Envoy must know all addresses of a name.
bool races(const Service& service) {
  const auto it = service.object->meta.annotations.find("istio.io/connect-strategy");
  return !service.kubernetes && it != service.object->meta.annotations.end() && lower(it->second) == "race_first_tcp_connect";
}

Type::DiscoveryType type_of(const Scope& scope, const Service& service) {
  switch (service.resolution) {
    case Resolution::kEds: return Type::EDS;
    case Resolution::kDns: return races(service) ? Type::LOGICAL_DNS : Type::STRICT_DNS;
    case Resolution::kDnsRoundRobin: return Type::LOGICAL_DNS;
    case Resolution::kPassthrough:
      // A gateway has no original destination to fall back on.
      return scope.view.kind == View::Kind::kRouter ? Type::EDS : Type::ORIGINAL_DST;
    case Resolution::kDynamicDns:
    case Resolution::kAlias: break;
  }
  return Type::EDS;
}

void fill_service_metadata(Type& out, const Service& service) {
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  auto& entry = *istio["services"].mutable_list_value()->add_values()->mutable_struct_value()->mutable_fields();
  entry["host"].set_string_value(service.host);
  entry["name"].set_string_value(service.name);
  entry["namespace"].set_string_value(service.namespace_);
}

void fill_rule_metadata(Type& out, const Maker& maker, const Wanted& wanted) {
  if (wanted.service.external && wanted.subset == nullptr)
    (*(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields())["external"].set_bool_value(true);
  if (wanted.rule == nullptr) return;
  set_config(*out.mutable_metadata(), *wanted.rule->first);
  if (wanted.subset != nullptr) {
    auto& istio = (*out.mutable_metadata()->mutable_filter_metadata())["istio"];
    (*istio.mutable_fields())["subset"].set_string_value(wanted.subset->subset->name);
  }
  if (!maker.own_cluster.empty() && out.common_lb_config().has_zone_aware_lb_config()) {
    auto& zones = *(*(*out.mutable_metadata()->mutable_filter_metadata())["lateen"].mutable_fields())["zones"].mutable_struct_value();
    (*zones.mutable_fields())["locality"].set_string_value(maker.place.locality);
    (*zones.mutable_fields())["local_cluster"].set_string_value(maker.own_cluster);
  }
  const auto balancer = wanted.rule->first->meta.annotations.find(std::string(model::kLoadBalancerAnnotation));
  if (balancer == wanted.rule->first->meta.annotations.end()) return;
  if (maker.scope.options.compat == Compat::kLateen) {
    auto& lateen = (*out.mutable_metadata()->mutable_filter_metadata())["lateen"];
    (*lateen.mutable_fields())["load_balancer"].set_string_value(balancer->second);
  } else {
    maker.notes.left_out.push_back({LeftOut::Why::kOther, wanted.rule->first->origin("metadata.annotations"), {},
                                    "Istio does not know the annotation " + balancer->first + ": it is ignored",
                                    wanted.service.host});
  }
}

EndpointQuery query_of(const Maker& maker, const Wanted& wanted, const EffectivePolicy& policy) {
  const model::LoadBalancer* balancer = policy.load_balancer ? &*policy.load_balancer : nullptr;
  return {.service = wanted.service,
          .port = wanted.port,
          .labels = wanted.subset == nullptr ? nullptr : &wanted.subset->subset->labels,
          .place = maker.place,
          .locality = locality_choice(balancer, wanted.service, maker.scope.mesh),
          .failover = policy.outlier_detection.has_value(),
          // Envoy would send requests to them as well once it panics.
          .only_ready = policy.outlier_detection && policy.outlier_detection->min_health_percent > 0 &&
                        !has_traffic_distribution(wanted.service, maker.scope.mesh),
          .tls = tls_of_endpoints(wanted.whole_policy(), wanted.subset_policy(), wanted.port.number),
          .only_mtls = wanted.by_sni};
}

void fill_dns(Type& out, const Maker& maker, const Wanted& wanted, const EffectivePolicy& policy) {
  constexpr auto kJitter = std::chrono::milliseconds(100);
  constexpr std::uint32_t kQueriesMax = 100;
  out.set_dns_lookup_family(races(wanted.service) ? Type::ALL : Type::V4_ONLY);
  set_duration(*out.mutable_dns_refresh_rate(), maker.scope.mesh.config.dns_refresh_rate);
  set_duration(*out.mutable_dns_jitter(), kJitter);
  out.set_respect_dns_ttl(true);
  envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig resolver;
  resolver.mutable_udp_max_queries()->set_value(kQueriesMax);
  out.mutable_typed_dns_resolver_config()->set_name("envoy.network.dns_resolver.cares");
  xds::pack(resolver, *out.mutable_typed_dns_resolver_config()->mutable_typed_config());
  // istiod compares the labels of names for whole services alone.
  const ClientPlace unlabelled{maker.place.locality, {}, maker.place.node};
  const Maker of_subset{maker.scope, maker.notes, unlabelled, maker.out, {}};
  fill_load_assignment(*out.mutable_load_assignment(), out.name(),
                       query_of(wanted.subset == nullptr ? maker : of_subset, wanted, policy), maker.scope.options);
}

bool is_dns(const Type& cluster) { return cluster.type() == Type::STRICT_DNS || cluster.type() == Type::LOGICAL_DNS; }

bool is_passthrough(const model::TrafficPolicy* policy) {
  return policy != nullptr && policy->load_balancer && policy->load_balancer->simple == model::LoadBalancer::Simple::kPassthrough;
}

// Of a wildcard: each request's own name is resolved when it comes.
void fill_dynamic(Type& out, const Service& service, const std::optional<model::ClientTls>& tls) {
  using Mode = model::ClientTls::Mode;
  dfp_v3::ClusterConfig config;
  fill_dns_cache(*config.mutable_dns_cache_config(), service);
  // Envoy wants to be told that a fixed name for all servers, or no check of it, is meant.
  if (tls && tls->mode != Mode::kDisable)
    config.set_allow_insecure_cluster_options(tls->insecure_skip_verify.value_or(false) || !tls->sni.empty());
  out.mutable_cluster_type()->set_name("envoy.clusters.dynamic_forward_proxy");
  xds::pack(config, *out.mutable_cluster_type()->mutable_typed_config());
  out.set_lb_policy(Type::CLUSTER_PROVIDED);
}

// The mesh's defaults for the blocks that the rule of the whole service leaves open.
EffectivePolicy with_defaults(const Scope& scope, const Wanted& wanted) {
  EffectivePolicy base = policy_on_port(wanted.whole_policy(), wanted.port.number);
  if (!base.connection_pool) base.connection_pool = scope.mesh.config.default_connection_pool;
  if (!base.outlier_detection) base.outlier_detection = scope.mesh.config.default_outlier_detection;
  return policy_of_subset(std::move(base), wanted.subset_policy(), wanted.port.number);
}

void apply_rule(Type& out, const Maker& maker, const Wanted& wanted, const EffectivePolicy& policy, bool dynamic) {
  const Scope& scope = maker.scope;
  HttpOptions http;
  apply_policy(out, http, {policy, wanted.port.protocol, scope.options.compat, scope.mesh.config,
                           scope.view.kind == View::Kind::kSidecar, true,
                           locality_choice(policy.load_balancer ? &*policy.load_balancer : nullptr, wanted.service, scope.mesh),
                           has_traffic_distribution(wanted.service, scope.mesh)});
  if (!wanted.by_sni) {
    const model::TrafficPolicy* own = wanted.subset == nullptr ? wanted.whole_policy() : wanted.subset_policy();
    apply_upstream_tls(out, http,
                       {.service = wanted.service,
                        .port = wanted.port,
                        .subset = wanted.subset == nullptr ? std::string() : wanted.subset->subset->name,
                        .tls = policy.tls ? &*policy.tls : nullptr,
                        .scope = scope,
                        .selected = wanted.rule != nullptr && wanted.rule->rule->has_workload_selector,
                        .passthrough = is_passthrough(own),
                        .dynamic = dynamic});
    if (policy.proxy_protocol) apply_proxy_protocol(out, *policy.proxy_protocol);
  }
  // Envoy wants the upstream's protocol wherever there are options at all.
  if (http.ByteSizeLong() > 0 && http.upstream_protocol_options_case() == HttpOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET)
    http.mutable_explicit_http_config()->mutable_http_protocol_options();
  if (http.ByteSizeLong() > 0) xds::pack(http, (*out.mutable_typed_extension_protocol_options())[kHttpOptionsKey]);
}

std::string stat_name(const Scope& scope, const Wanted& wanted, const std::string& name) {
  const std::string& pattern = scope.mesh.config.outbound_cluster_stat_name;
  if (pattern.empty()) return name + ";";
  return stat_prefix(pattern, wanted.service, wanted.subset == nullptr ? "" : wanted.subset->subset->name, wanted.port) + ";";
}

// Nothing where DNS has no name to resolve. `inherited`: the whole service's type, which its subsets have as well.
std::optional<Type> outbound(const Maker& maker, const Wanted& wanted, std::optional<Type::DiscoveryType> inherited) {
  Type out;
  out.set_name(wanted.name());
  out.set_alt_stat_name(stat_name(maker.scope, wanted, out.name()));
  const EffectivePolicy policy = with_defaults(maker.scope, wanted);
  if (wanted.service.resolution == Resolution::kDynamicDns) {
    out.set_alt_stat_name(out.name() + ";");
    fill_dynamic(out, wanted.service, policy.tls);
    apply_rule(out, maker, wanted, policy, true);
    fill_rule_metadata(out, maker, wanted);
    return out;
  }
  out.set_type(inherited.value_or(type_of(maker.scope, wanted.service)));
  if (wanted.subset != nullptr && is_passthrough(wanted.subset_policy())) out.set_type(Type::ORIGINAL_DST);
  if (is_dns(out)) {
    fill_dns(out, maker, wanted, policy);
    if (out.load_assignment().endpoints().empty()) return std::nullopt;
  }
  if (out.type() == Type::ORIGINAL_DST && !wanted.service.kubernetes && wanted.port.target != 0 &&
      wanted.service.resolution == Resolution::kPassthrough)
    out.mutable_original_dst_lb_config()->mutable_upstream_port_override()->set_value(wanted.port.target);
  fill_service_metadata(out, wanted.service);
  apply_rule(out, maker, wanted, policy, false);
  if (out.type() == Type::EDS) {
    out.mutable_eds_cluster_config()->set_service_name(out.name());
    set_ads(*out.mutable_eds_cluster_config()->mutable_eds_config());
  }
  fill_rule_metadata(out, maker, wanted);
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
  const model::PolicyBlocks subset_blocks = policy_on_port(own, port);
  note("connection_pool", "connectionPool", blocks.connection_pool.has_value(), subset_blocks.connection_pool.has_value());
  note("outlier_detection", "outlierDetection", blocks.outlier_detection.has_value(),
       subset_blocks.outlier_detection.has_value());
  note("load_balancer", "loadBalancer", blocks.load_balancer.has_value(), subset_blocks.load_balancer.has_value());
  note("tls", "tls", blocks.tls.has_value(), subset_blocks.tls.has_value());
  // Of no port alone.
  if (own != nullptr && own->retry_budget)
    notes.came_from(resource, "retry_budget", wanted.subset->object->origin("spec.subsets[" + std::to_string(wanted.subset->index) + "].trafficPolicy.retryBudget"));
  else if (wanted.rule->policy != nullptr && wanted.rule->policy->retry_budget)
    notes.came_from(resource, "retry_budget", wanted.rule->policy_object->origin("spec.trafficPolicy.retryBudget"));
}

// The type of the cluster that was added.
std::optional<Type::DiscoveryType> add(const Maker& maker, const Wanted& wanted, std::optional<Type::DiscoveryType> inherited) {
  const std::optional<Type> cluster = outbound(maker, wanted, inherited);
  if (!cluster) return std::nullopt;
  const EffectivePolicy policy = wanted.policy();
  note_origins(maker.notes, wanted, policy);
  maker.out.clusters.insert_or_assign(cluster->name(), xds::make_resource(cluster->name(), *cluster));
  if (cluster->has_cluster_type() || cluster->type() != Type::EDS) return cluster->type();
  envoy::config::endpoint::v3::ClusterLoadAssignment endpoints;
  fill_load_assignment(endpoints, cluster->name(), query_of(maker, wanted, policy), maker.scope.options);
  maker.out.endpoints.insert_or_assign(cluster->name(), xds::make_resource(cluster->name(), endpoints));
  return cluster->type();
}

bool any_zone_aware(const model::Mesh& mesh) {
  const auto asks = [](const model::PolicyBlocks& blocks) { return blocks.load_balancer && blocks.load_balancer->zone_aware_lb_setting; };
  const auto policy_asks = [&](const std::optional<model::TrafficPolicy>& policy) {
    return policy && (asks(*policy) || std::any_of(policy->port_level_settings.begin(), policy->port_level_settings.end(), asks));
  };
  const auto rules = mesh.all<model::DestinationRule>(model::Kind::kDestinationRule);
  return std::any_of(rules.begin(), rules.end(), [&](const auto& entry) {
    const model::DestinationRule& rule = *entry.second;
    return policy_asks(rule.traffic_policy) ||
           std::any_of(rule.subsets.begin(), rule.subsets.end(), [&](const auto& subset) { return policy_asks(subset.traffic_policy); });
  });
}

// The view's own address, or where it has none, a workload with its labels (but for those that tell the place).
bool is_like(const Scope& scope, const Labels& labels, const Endpoint& endpoint) {
  const auto& own = scope.view.addresses;
  if (!own.empty()) return std::find(own.begin(), own.end(), endpoint.address) != own.end();
  return !labels.empty() && selects(labels, *endpoint.labels);
}

// Envoy has the name of the cluster that it belongs to in its bootstrap; here it is found: the first service with an
// endpoint like the client.
std::string own_cluster(const Scope& scope) {
  Labels labels;
  for (const auto& [key, value] : scope.view.labels)
    if (!key.starts_with("topology.") && key != "istio-locality" && key != "version") labels[key] = value;
  for (const auto& [host, service] : scope.services)
    for (const Port& port : service->ports)
      for (const Endpoint& endpoint : service->endpoints[service->port_index(port)])
        if (is_like(scope, labels, endpoint)) return outbound_cluster(port.number, "", service->host);
  return {};
}

void add_black_hole(const Maker& maker) {
  Type cluster;
  cluster.set_name("BlackHoleCluster");
  cluster.set_alt_stat_name("BlackHoleCluster;");
  cluster.set_type(Type::STATIC);
  set_duration(*cluster.mutable_connect_timeout(), maker.scope.mesh.config.connect_timeout);
  maker.out.clusters.insert_or_assign(cluster.name(), xds::make_resource(cluster.name(), cluster));
}

void add_service(const Maker& maker, const Service& service, bool by_sni) {
  const MergedRule* rule = maker.scope.rules.find(maker.scope.view, service);
  for (const Port& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    const bool dynamic = service.resolution == Resolution::kDynamicDns;
    if (dynamic && !can_be_dynamic(service, port)) continue;
    const auto type = add(maker, {service, port, rule, nullptr, by_sni}, std::nullopt);
    if (rule == nullptr || dynamic || !type) continue;
    for (const SubsetSource& subset : rule->subsets) add(maker, {service, port, rule, &subset, by_sni}, type);
  }
}

}  // namespace

cluster_v3::Cluster passthrough_cluster(const Scope& scope, const char* name) {
  constexpr auto kIdle = std::chrono::seconds(300);
  const auto& pool = scope.mesh.config.default_connection_pool;
  Type cluster;
  cluster.set_name(name);
  cluster.set_alt_stat_name("PassthroughCluster;");
  cluster.set_type(Type::ORIGINAL_DST);
  cluster.set_lb_policy(Type::CLUSTER_PROVIDED);
  HttpOptions of_pool;   // istiod keeps those of its own
  apply_limits(cluster, of_pool, pool ? &*pool : nullptr, scope.mesh.config);
  HttpOptions http;
  http.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
  http.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
  set_duration(*http.mutable_common_http_protocol_options()->mutable_idle_timeout(), kIdle);
  xds::pack(http, (*cluster.mutable_typed_extension_protocol_options())[kHttpOptionsKey]);
  return cluster;
}

void add_clusters(const Scope& scope, Notes notes, xds::Resources& out) {
  const ClientPlace place = client_place(scope.mesh, scope.view, scope.options);
  Maker maker{scope, notes, place, out, {}};
  if (scope.options.compat == Compat::kLateen && !place.locality.empty() && any_zone_aware(scope.mesh)) maker.own_cluster = own_cluster(scope);
  const bool router = scope.view.kind == View::Kind::kRouter;
  const bool by_sni = router && has_auto_passthrough(scope);
  for (const auto& [host, service] : scope.services) {
    if (service->resolution == Resolution::kAlias) continue;
    add_service(maker, *service, false);
    if (by_sni && !service->external && service->resolution != Resolution::kDynamicDns) add_service(maker, *service, true);
  }
  add_black_hole(maker);
  if (router) return;
  const Type outbound_passthrough = passthrough_cluster(scope, "PassthroughCluster");
  out.clusters.insert_or_assign(outbound_passthrough.name(),
                                xds::make_resource(outbound_passthrough.name(), outbound_passthrough));
}

}  // namespace lateen::translate
