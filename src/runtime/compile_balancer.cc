// How a cluster chooses an endpoint: lb_policy with its lb_configs, or the extensions of load_balancing_policy.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/load_balancing_policies/common/v3/common.pb.h>
#include <envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb.h>
#include <envoy/extensions/load_balancing_policies/maglev/v3/maglev.pb.h>
#include <envoy/extensions/load_balancing_policies/random/v3/random.pb.h>
#include <envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.pb.h>
#include <envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.pb.h>
#include <envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.pb.h>
#include <google/protobuf/struct.pb.h>

#include <cmath>

#include "runtime/compile_cluster.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace policies = envoy::extensions::load_balancing_policies;
using Old = cluster::Cluster;
using Balancer = Cluster::Balancer;

// Envoy's bounds.
constexpr std::uint64_t kRingSizeMax = 8 * 1024 * 1024, kMaglevTableSizeMax = 5'000'011;
constexpr std::uint32_t kBalanceFactorMin = 100;
constexpr int kPolicyNestingMax = 4;

double percent(const envoy::type::v3::Percent& proto, std::string_view name, Fields& fields) {
  const Fields::At at(fields, name);
  fields.only(proto, {proto.kValueFieldNumber});
  if (!(proto.value() >= 0 && proto.value() <= 100)) fields.refuse("must be 0 to 100");
  return proto.value();
}

// There is no runtime layer here: the default holds.
double runtime_default(const envoy::config::core::v3::RuntimeDouble& proto, Fields& fields) {
  fields.only(proto, {proto.kDefaultValueFieldNumber, proto.kRuntimeKeyFieldNumber});
  return proto.default_value();
}

// ---- both spellings have these parts, in messages of different names -------------------------------------------------

template <class Proto>
void read_slow_start(const Proto& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "slow_start_config");
  fields.only(proto, {proto.kSlowStartWindowFieldNumber, proto.kAggressionFieldNumber, proto.kMinWeightPercentFieldNumber});
  Cluster::SlowStart slow;
  slow.window = fields.duration(proto.slow_start_window());
  if (proto.has_aggression()) slow.aggression = runtime_default(proto.aggression(), fields);
  if (!(slow.aggression > 0)) fields.refuse("aggression must be more than 0");
  if (proto.has_min_weight_percent()) slow.weight_percent_min = percent(proto.min_weight_percent(), "min_weight_percent", fields);
  if (slow.window > Duration::zero()) out.slow_start = slow;
}

template <class Proto>
void read_zone_aware(const Proto& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "zone_aware_lb_config");
  fields.only(proto, {proto.kRoutingEnabledFieldNumber, proto.kMinClusterSizeFieldNumber, proto.kFailTrafficOnPanicFieldNumber});
  Cluster::ZoneAware zone;
  if (proto.has_routing_enabled()) zone.routing_percent = percent(proto.routing_enabled(), "routing_enabled", fields);
  if (proto.has_min_cluster_size()) zone.cluster_size_min = proto.min_cluster_size().value();
  zone.fail_traffic_on_panic = proto.fail_traffic_on_panic();
  out.zone_aware = zone;
}

template <class Proto>
void read_consistent_hashing(const Proto& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "consistent_hashing_lb_config");
  fields.only(proto, {proto.kUseHostnameForHashingFieldNumber, proto.kHashBalanceFactorFieldNumber});
  out.hashes_hostname = proto.use_hostname_for_hashing();
  out.hash_balance_percent = proto.hash_balance_factor().value();
  if (proto.has_hash_balance_factor() && out.hash_balance_percent < kBalanceFactorMin) fields.refuse("hash_balance_factor must be at least 100");
}

template <class Proto>
void read_ring_sizes(const Proto& proto, Cluster& out, Fields& fields) {
  if (proto.has_minimum_ring_size()) out.ring_size_min = proto.minimum_ring_size().value();
  if (proto.has_maximum_ring_size()) out.ring_size_max = proto.maximum_ring_size().value();
  if (out.ring_size_min > kRingSizeMax || out.ring_size_max > kRingSizeMax) fields.refuse("a ring has at most 8388608 entries");
  if (out.ring_size_min > out.ring_size_max) fields.refuse("minimum_ring_size is above maximum_ring_size");
}

bool is_prime(std::uint64_t number) {
  for (std::uint64_t divisor = 2; divisor * divisor <= number; ++divisor)
    if (number % divisor == 0) return false;
  return number > 1;
}

template <class Proto>
void read_table_size(const Proto& proto, Cluster& out, Fields& fields) {
  if (!proto.has_table_size()) return;
  const Fields::At at(fields, "table_size");
  out.maglev_table_size = proto.table_size().value();
  if (out.maglev_table_size > kMaglevTableSizeMax) fields.refuse("must not be more than 5000011");
  else if (!is_prime(out.maglev_table_size)) fields.refuse("must be a prime number");
}

template <class Proto>
void read_least_request(const Proto& proto, Cluster& out, Fields& fields) {
  if (proto.has_choice_count()) out.least_request_choices = proto.choice_count().value();
  if (out.least_request_choices < 2) fields.refuse("choice_count must be at least 2");
  // The weight of an endpoint is divided by its active requests to this power.
  if (proto.has_active_request_bias() && runtime_default(proto.active_request_bias(), fields) != 1.0)
    fields.unsupported("active_request_bias: only 1 is supported");
  if (proto.has_slow_start_config()) read_slow_start(proto.slow_start_config(), out, fields);
}

// ---- lb_policy ------------------------------------------------------------------------------------------------------

void read_old_configs(const Old& proto, Cluster& out, Fields& fields) {
  if (proto.has_least_request_lb_config()) {
    const Fields::At at(fields, "least_request_lb_config");
    const auto& config = proto.least_request_lb_config();
    fields.only(config, {config.kChoiceCountFieldNumber, config.kActiveRequestBiasFieldNumber, config.kSlowStartConfigFieldNumber});
    read_least_request(config, out, fields);
  }
  if (proto.has_round_robin_lb_config()) {
    const Fields::At at(fields, "round_robin_lb_config");
    fields.only(proto.round_robin_lb_config(), {proto.round_robin_lb_config().kSlowStartConfigFieldNumber});
    if (proto.round_robin_lb_config().has_slow_start_config()) read_slow_start(proto.round_robin_lb_config().slow_start_config(), out, fields);
  }
  if (proto.has_ring_hash_lb_config()) {
    const Fields::At at(fields, "ring_hash_lb_config");
    const auto& config = proto.ring_hash_lb_config();
    fields.only(config, {config.kMinimumRingSizeFieldNumber, config.kMaximumRingSizeFieldNumber, config.kHashFunctionFieldNumber});
    read_ring_sizes(config, out, fields);
    switch (static_cast<int>(config.hash_function())) {
      case Old::RingHashLbConfig::XX_HASH: break;
      case Old::RingHashLbConfig::MURMUR_HASH_2: out.hash_function = Cluster::HashFunction::kMurmur2; break;
      default: fields.refuse("unknown hash_function"); break;
    }
  }
  if (proto.has_maglev_lb_config()) {
    const Fields::At at(fields, "maglev_lb_config");
    fields.only(proto.maglev_lb_config(), {proto.maglev_lb_config().kTableSizeFieldNumber});
    read_table_size(proto.maglev_lb_config(), out, fields);
  }
  if (proto.has_original_dst_lb_config()) {
    const Fields::At at(fields, "original_dst_lb_config");
    fields.only(proto.original_dst_lb_config(), {});
  }
}

void read_old_policy(const Old& proto, Cluster& out, Fields& fields) {
  switch (static_cast<int>(proto.lb_policy())) {
    case Old::ROUND_ROBIN: out.balancer = Balancer::kRoundRobin; break;
    case Old::LEAST_REQUEST: out.balancer = Balancer::kLeastRequest; break;
    case Old::RANDOM: out.balancer = Balancer::kRandom; break;
    case Old::RING_HASH: out.balancer = Balancer::kRingHash; break;
    case Old::MAGLEV: out.balancer = Balancer::kMaglev; break;
    case Old::CLUSTER_PROVIDED: out.balancer = Balancer::kClusterProvided; break;
    default: {
      const Fields::At at(fields, "lb_policy");
      fields.unsupported("is not supported");
      break;
    }
  }
  read_old_configs(proto, out, fields);
  if (!proto.has_common_lb_config()) return;
  const Fields::At at(fields, "common_lb_config");
  const auto& config = proto.common_lb_config();
  if (config.has_consistent_hashing_lb_config()) read_consistent_hashing(config.consistent_hashing_lb_config(), out, fields);
  if (config.has_zone_aware_lb_config()) read_zone_aware(config.zone_aware_lb_config(), out, fields);
  if (config.has_locality_weighted_lb_config()) {
    fields.only(config.locality_weighted_lb_config(), {});
    out.locality_weighted = true;
  }
}

// ---- load_balancing_policy ------------------------------------------------------------------------------------------

void read_locality(const policies::common::v3::LocalityLbConfig& proto, Cluster& out, Fields& fields) {
  const Fields::At at(fields, "locality_lb_config");
  fields.only(proto, {proto.kZoneAwareLbConfigFieldNumber, proto.kLocalityWeightedLbConfigFieldNumber});
  if (proto.has_zone_aware_lb_config()) read_zone_aware(proto.zone_aware_lb_config(), out, fields);
  if (!proto.has_locality_weighted_lb_config()) return;
  fields.only(proto.locality_weighted_lb_config(), {});
  out.locality_weighted = true;
}

template <class Proto>
void read_locality_weighted(const Proto& proto, Cluster& out, Fields& fields) {
  out.locality_weighted = proto.has_locality_weighted_lb_config();
  fields.only(proto.locality_weighted_lb_config(), {});
}

void read_policies(const cluster::LoadBalancingPolicy& proto, int depth, Cluster& out, Fields& fields);

bool read(const policies::round_robin::v3::RoundRobin& proto, int, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kSlowStartConfigFieldNumber, proto.kLocalityLbConfigFieldNumber});
  out.balancer = Balancer::kRoundRobin;
  if (proto.has_slow_start_config()) read_slow_start(proto.slow_start_config(), out, fields);
  if (proto.has_locality_lb_config()) read_locality(proto.locality_lb_config(), out, fields);
  return true;
}

bool read(const policies::least_request::v3::LeastRequest& proto, int, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kChoiceCountFieldNumber, proto.kActiveRequestBiasFieldNumber, proto.kSlowStartConfigFieldNumber,
                      proto.kLocalityLbConfigFieldNumber, proto.kEnableFullScanFieldNumber, proto.kSelectionMethodFieldNumber});
  out.balancer = Balancer::kLeastRequest;
  read_least_request(proto, out, fields);
  if (proto.selection_method() != policies::least_request::v3::LeastRequest::N_CHOICES || proto.enable_full_scan().value())
    fields.unsupported("selection_method (or enable_full_scan): only N_CHOICES is supported");
  if (proto.has_locality_lb_config()) read_locality(proto.locality_lb_config(), out, fields);
  return true;
}

bool read(const policies::random::v3::Random& proto, int, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kLocalityLbConfigFieldNumber});
  out.balancer = Balancer::kRandom;
  if (proto.has_locality_lb_config()) read_locality(proto.locality_lb_config(), out, fields);
  return true;
}

bool read(const policies::ring_hash::v3::RingHash& proto, int, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kHashFunctionFieldNumber, proto.kMinimumRingSizeFieldNumber, proto.kMaximumRingSizeFieldNumber,
                      proto.kUseHostnameForHashingFieldNumber, proto.kHashBalanceFactorFieldNumber,
                      proto.kConsistentHashingLbConfigFieldNumber, proto.kLocalityWeightedLbConfigFieldNumber});
  using Hash = policies::ring_hash::v3::RingHash;
  out.balancer = Balancer::kRingHash;
  switch (static_cast<int>(proto.hash_function())) {
    case Hash::DEFAULT_HASH:
    case Hash::XX_HASH: break;
    case Hash::MURMUR_HASH_2: out.hash_function = Cluster::HashFunction::kMurmur2; break;
    default: fields.refuse("unknown hash_function"); break;
  }
  read_ring_sizes(proto, out, fields);
  out.hashes_hostname = proto.use_hostname_for_hashing();
  out.hash_balance_percent = proto.hash_balance_factor().value();
  if (proto.has_hash_balance_factor() && out.hash_balance_percent < kBalanceFactorMin) fields.refuse("hash_balance_factor must be at least 100");
  if (proto.has_consistent_hashing_lb_config()) {
    fields.overruled(proto, {proto.kUseHostnameForHashingFieldNumber, proto.kHashBalanceFactorFieldNumber}, "consistent_hashing_lb_config");
    read_consistent_hashing(proto.consistent_hashing_lb_config(), out, fields);
  }
  read_locality_weighted(proto, out, fields);
  return true;
}

bool read(const policies::maglev::v3::Maglev& proto, int, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kTableSizeFieldNumber, proto.kConsistentHashingLbConfigFieldNumber, proto.kLocalityWeightedLbConfigFieldNumber});
  out.balancer = Balancer::kMaglev;
  read_table_size(proto, out, fields);
  if (proto.has_consistent_hashing_lb_config()) read_consistent_hashing(proto.consistent_hashing_lb_config(), out, fields);
  read_locality_weighted(proto, out, fields);
  return true;
}

bool read(const policies::wrr_locality::v3::WrrLocality& proto, int depth, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kEndpointPickingPolicyFieldNumber});
  const Fields::At at(fields, "endpoint_picking_policy");
  if (depth == kPolicyNestingMax) fields.refuse("too many policies inside each other");
  else read_policies(proto.endpoint_picking_policy(), depth + 1, out, fields);
  out.locality_weighted = true;
  return true;
}

// True if `any` is a Proto: then it was read, or what is wrong with it was told.
template <class Proto>
bool read_as(const google::protobuf::Any& any, int depth, Cluster& out, Fields& fields) {
  if (type_name(any) != Proto::descriptor()->full_name()) return false;
  Proto proto;
  return !fields.unpack(any, proto) || read(proto, depth, out, fields);
}

bool read_policy(const google::protobuf::Any& any, int depth, Cluster& out, Fields& fields) {
  if (type_name(any) == "envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided") {
    fields.empty_bytes(any);
    out.balancer = Balancer::kClusterProvided;
    return true;
  }
  return read_as<policies::round_robin::v3::RoundRobin>(any, depth, out, fields) ||
         read_as<policies::least_request::v3::LeastRequest>(any, depth, out, fields) ||
         read_as<policies::random::v3::Random>(any, depth, out, fields) ||
         read_as<policies::ring_hash::v3::RingHash>(any, depth, out, fields) ||
         read_as<policies::maglev::v3::Maglev>(any, depth, out, fields) ||
         read_as<policies::wrr_locality::v3::WrrLocality>(any, depth, out, fields);
}

// The first that is known holds, as in Envoy.
void read_policies(const cluster::LoadBalancingPolicy& proto, int depth, Cluster& out, Fields& fields) {
  fields.only(proto, {proto.kPoliciesFieldNumber});
  for (int i = 0; i < proto.policies_size(); ++i) {
    const Fields::At at(fields, "policies", i);
    const auto& entry = proto.policies(i);
    fields.only(entry, {entry.kTypedExtensionConfigFieldNumber});
    const Fields::At at_config(fields, "typed_extension_config");
    fields.only(entry.typed_extension_config(), {entry.typed_extension_config().kNameFieldNumber, entry.typed_extension_config().kTypedConfigFieldNumber});
    const google::protobuf::Any& any = entry.typed_extension_config().typed_config();
    if (read_policy(any, depth, out, fields)) return;
    fields.note("is a " + std::string(type_name(any)) + ", which is not supported here; the next policy is tried");
  }
  fields.unsupported("none of the policies is supported");
}

// filter_metadata.lateen.zones: {locality: "region/zone/subzone", local_cluster: NAME}.
void read_zones(const google::protobuf::Struct& proto, Cluster::ZoneAware& out) {
  const auto text = [&](const char* name) {
    const auto found = proto.fields().find(name);
    return found == proto.fields().end() ? std::string() : found->second.string_value();
  };
  std::string rest = text("locality");
  for (std::string* part : {&out.region, &out.zone, &out.sub_zone}) {
    const std::size_t slash = rest.find('/');
    *part = rest.substr(0, slash);
    rest = slash == std::string::npos ? std::string() : rest.substr(slash + 1);
  }
  out.local_cluster = text("local_cluster");
}

// Lateen's, beyond Envoy: filter_metadata.lateen.load_balancer and ring_points_per_host.
void read_metadata(const envoy::config::core::v3::Metadata& metadata, Cluster& out, Fields& fields) {
  const auto lateen = metadata.filter_metadata().find("lateen");
  if (lateen == metadata.filter_metadata().end()) return;
  const auto& own = lateen->second.fields();
  const Fields::At at(fields, "metadata.filter_metadata.lateen");
  if (const auto it = own.find("zones"); it != own.end() && out.zone_aware) read_zones(it->second.struct_value(), *out.zone_aware);
  if (const auto it = own.find("load_balancer"); it != own.end()) {
    if (it->second.string_value() == "PEAK_EWMA") out.balancer = Balancer::kPeakEwma;
    else fields.unsupported("load_balancer: only PEAK_EWMA is known");
  }
  if (const auto it = own.find("ring_points_per_host"); it != own.end()) {
    const double points = it->second.number_value();
    if (points >= 1 && points <= kRingSizeMax && points == std::floor(points)) out.ring_points_per_host = static_cast<std::uint64_t>(points);
    else fields.refuse("ring_points_per_host must be a whole number from 1 to 8388608");
  }
}

void read_common(const Old& proto, Cluster& out, Fields& fields) {
  if (!proto.has_common_lb_config()) return;
  const Fields::At at(fields, "common_lb_config");
  const auto& config = proto.common_lb_config();
  // Changes are taken over at once, in one piece: no window is needed to merge them. No filter here chooses a host itself,
  // so it does not matter which health would let it. There are no active health checks that a new host could wait for.
  fields.only(config, {config.kHealthyPanicThresholdFieldNumber, config.kZoneAwareLbConfigFieldNumber,
                       config.kLocalityWeightedLbConfigFieldNumber, config.kConsistentHashingLbConfigFieldNumber,
                       config.kUpdateMergeWindowFieldNumber, config.kOverrideHostStatusFieldNumber,
                       config.kIgnoreNewHostsUntilFirstHcFieldNumber});
  // Envoy compares whole percents.
  if (config.has_healthy_panic_threshold())
    out.panic_threshold_percent = static_cast<std::uint32_t>(std::floor(percent(config.healthy_panic_threshold(), "healthy_panic_threshold", fields)));
}

}  // namespace

void compile_balancer(const Old& proto, Cluster& out, Fields& fields) {
  if (proto.has_load_balancing_policy()) {
    const Fields::At at(fields, "load_balancing_policy");
    fields.overruled(proto, {proto.kLbPolicyFieldNumber, proto.kLeastRequestLbConfigFieldNumber, proto.kRoundRobinLbConfigFieldNumber,
                             proto.kRingHashLbConfigFieldNumber, proto.kMaglevLbConfigFieldNumber, proto.kOriginalDstLbConfigFieldNumber},
                     "load_balancing_policy");
    fields.overruled(proto.common_lb_config(), {Old::CommonLbConfig::kZoneAwareLbConfigFieldNumber,
                                                Old::CommonLbConfig::kLocalityWeightedLbConfigFieldNumber,
                                                Old::CommonLbConfig::kConsistentHashingLbConfigFieldNumber}, "load_balancing_policy");
    read_policies(proto.load_balancing_policy(), 0, out, fields);
  } else {
    read_old_policy(proto, out, fields);
  }
  read_common(proto, out, fields);
  const bool provides = out.discovery == Cluster::Discovery::kOriginalDestination || out.discovery == Cluster::Discovery::kDynamicForwardProxy;
  // Of a type that is not supported it is not known.
  if ((out.balancer == Balancer::kClusterProvided) != provides && fields.unsupported().empty()) {
    const Fields::At at(fields, "lb_policy");
    fields.refuse("CLUSTER_PROVIDED belongs to clusters that find their endpoints by themselves, and to nothing else");
  }
  read_metadata(proto.metadata(), out, fields);
}

}  // namespace lateen::runtime
