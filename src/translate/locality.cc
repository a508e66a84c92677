#include "translate/locality.h"

#include <envoy/config/cluster/v3/cluster.pb.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

constexpr const char* kRegion = "topology.kubernetes.io/region";
constexpr const char* kZone = "topology.kubernetes.io/zone";
constexpr const char* kSubzone = "topology.istio.io/subzone";
constexpr const char* kNetwork = "topology.istio.io/network";
constexpr const char* kCluster = "topology.istio.io/cluster";
constexpr const char* kHostname = "kubernetes.io/hostname";
constexpr const char* kLocality = "topology.istio.io/locality";
constexpr const char* kOldLocality = "istio-locality";

using Parts = std::array<std::string_view, 3>;

Parts parts_of(std::string_view locality) {
  Parts out;
  const auto parts = split(locality, '/');
  for (std::size_t i = 0; i < out.size() && i < parts.size(); ++i) out[i] = parts[i];
  return out;
}

// Whether a place is within "region/zone/subzone" of a rule, where `*` and nothing stand for anything.
bool is_within(const Parts& place, std::string_view rule) {
  const Parts wanted = parts_of(rule);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] != "*" && (i == 0 || !wanted[i].empty()) && wanted[i] != place[i]) return false;
  return true;
}

void add_topology(Labels& labels, std::string_view locality, const std::string& cluster_id) {
  const Parts parts = parts_of(locality);
  constexpr std::array<const char*, 3> kKeys = {kRegion, kZone, kSubzone};
  for (std::size_t i = 0; i < kKeys.size(); ++i)
    if (!parts[i].empty()) labels[kKeys[i]] = parts[i];
  if (!cluster_id.empty()) labels[kCluster] = cluster_id;
}

std::string value_of(const Endpoint& endpoint, const std::string& key, const std::string& cluster_id) {
  const Parts parts = parts_of(endpoint.locality);
  if (key == kRegion && !parts[0].empty()) return std::string(parts[0]);
  if (key == kZone && !parts[1].empty()) return std::string(parts[1]);
  if (key == kSubzone && !parts[2].empty()) return std::string(parts[2]);
  if (key == kCluster && !cluster_id.empty()) return cluster_id;
  if (key == kHostname && !endpoint.node.empty()) return endpoint.node;
  const auto it = endpoint.labels->find(key);
  if (it != endpoint.labels->end() && !(key == kNetwork && it->second.empty())) return it->second;
  return key == kNetwork ? endpoint.network : std::string();
}

// 0, 1, 2 ... for the priorities that there are: Envoy wants no gaps.
void close_gaps(std::vector<EndpointGroup>& groups) {
  std::set<std::uint32_t> used;
  for (const EndpointGroup& group : groups) used.insert(group.priority);
  for (EndpointGroup& group : groups)
    group.priority = static_cast<std::uint32_t>(std::distance(used.begin(), used.find(group.priority)));
}

// Same subzone, zone, region, another region; the last for regions that no rule sends to.
std::uint32_t distance_of(const Parts& client, const Parts& endpoint,
                          const std::vector<model::LocalityLbSetting::Failover>& failover) {
  if (client[0] == endpoint[0]) return client[1] != endpoint[1] ? 2 : client[2] != endpoint[2] ? 1 : 0;
  constexpr std::uint32_t kElsewhere = 3, kUnwanted = 4;
  const auto it = std::find_if(failover.begin(), failover.end(), [&](const auto& rule) { return rule.from == client[0]; });
  return it != failover.end() && it->to != endpoint[0] ? kUnwanted : kElsewhere;
}

void prefer_near(std::vector<EndpointGroup>& groups, const ClientPlace& place,
                 const std::vector<model::LocalityLbSetting::Failover>& failover) {
  constexpr std::uint32_t kSteps = 5;
  const Parts client = parts_of(place.locality);
  for (EndpointGroup& group : groups)
    group.priority = group.priority * kSteps + distance_of(client, parts_of(group.locality), failover);
  close_gaps(groups);
}

// Envoy balances the zones of the client's region; the other regions wait behind.
void prefer_region(std::vector<EndpointGroup>& groups, const ClientPlace& place,
                   const std::vector<model::LocalityLbSetting::Failover>& failover) {
  constexpr std::uint32_t kSteps = 3;
  const std::string_view client = parts_of(place.locality)[0];
  const auto rule = std::find_if(failover.begin(), failover.end(), [&](const auto& entry) { return entry.from == client; });
  for (EndpointGroup& group : groups) {
    const std::string_view region = parts_of(group.locality)[0];
    const std::uint32_t step = region == client ? 0 : rule != failover.end() && rule->to == region ? 1 : 2;
    group.priority = group.priority * kSteps + step;
  }
  close_gaps(groups);
}

// The number of labels from the first that differs; the network counts apart, before all others.
std::uint32_t label_distance(const Endpoint& endpoint, const ClientPlace& place, const std::vector<std::string>& labels,
                             const std::string& cluster_id) {
  const auto count = static_cast<std::uint32_t>(labels.size());
  std::uint32_t other_network = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto parts = split(labels[i], '=');
    const std::string key(parts[0]);
    const auto own = place.labels.find(key);
    const std::string wanted = parts.size() == 2 ? std::string(parts[1]) : own == place.labels.end() ? std::string() : own->second;
    if (wanted == value_of(endpoint, key, cluster_id)) continue;
    if (i == 0 && labels[0] == kNetwork) other_network = count;
    else return count - i + other_network;
  }
  return other_network;
}

void prefer_labels(std::vector<EndpointGroup>& groups, const ClientPlace& place, const std::vector<std::string>& labels) {
  if (place.labels.empty() || groups.empty()) return;
  const auto own_cluster = place.labels.find(kCluster);
  const std::string cluster_id = own_cluster == place.labels.end() ? std::string() : own_cluster->second;
  std::vector<EndpointGroup> out;
  for (const EndpointGroup& group : groups) {
    std::map<std::uint32_t, EndpointGroup> by_priority;
    for (const Endpoint* endpoint : group.endpoints) {
      const std::uint32_t priority = label_distance(*endpoint, place, labels, cluster_id);
      EndpointGroup& part = by_priority[priority];
      part.locality = group.locality;
      part.priority = priority;
      part.weight += endpoint->weight;
      part.endpoints.push_back(endpoint);
    }
    for (auto& [priority, part] : by_priority) out.push_back(std::move(part));
  }
  groups = std::move(out);
  close_gaps(groups);
}

// Shares for the localities that a rule names; the others get nothing.
void distribute(std::vector<EndpointGroup>& groups, const ClientPlace& place,
                const std::vector<model::LocalityLbSetting::Distribute>& rules) {
  const Parts client = parts_of(place.locality);
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& entry) { return is_within(client, entry.from); });
  if (rule == rules.end()) return;
  std::vector<bool> taken(groups.size(), false);
  for (const auto& [locality, share] : rule->to) {
    std::vector<std::size_t> matching;
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (taken[i] || !is_within(parts_of(groups[i].locality), locality)) continue;
      taken[i] = true;
      matching.push_back(i);
      total += groups[i].weight;
    }
    for (const std::size_t i : matching) {
      const double weight = static_cast<double>(groups[i].weight * share) / static_cast<double>(total);
      if (weight > 0) groups[i].weight = static_cast<std::uint32_t>(std::ceil(weight));
    }
  }
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (!taken[i]) groups[i].endpoints.clear();
}

bool is_on(const model::ZoneAwareLbSetting& setting) { return setting.enabled.value_or(true); }

std::string label_or_nothing(const Labels& labels, const char* key) {
  const auto it = labels.find(key);
  return it == labels.end() ? std::string() : it->second;
}

// What the workload's own labels say of its place.
std::string locality_of_labels(const Labels& labels) {
  const std::string region = label_or_nothing(labels, kRegion), zone = label_or_nothing(labels, kZone);
  const std::string subzone = label_or_nothing(labels, kSubzone);
  if (!region.empty() || !zone.empty() || !subzone.empty()) return region + "/" + zone + "/" + subzone;
  const std::string whole = label_or_nothing(labels, kLocality);
  return whole.empty() ? label_or_nothing(labels, kOldLocality) : whole;
}

// Of the pod that has the client's address.
std::string locality_of_pod(const model::Mesh& mesh, const View& view, const Options& options) {
  if (view.addresses.empty()) return {};
  for (const auto& [object, pod] : mesh.all<model::Pod>(model::Kind::kPod)) {
    if (pod->ip != view.addresses.front()) continue;
    const auto it = options.node_localities.find(pod->node_name);
    return it == options.node_localities.end() ? std::string() : it->second;
  }
  return {};
}

// What the annotation of a service asks for; unlike other settings it needs nobody to notice hosts that fail.
const model::LocalityLbSetting kSameZone{.distribute = {}, .failover = {}, .failover_priority = {kNetwork, kRegion, kZone}, .enabled = true};
const model::LocalityLbSetting kSameNode{
    .distribute = {}, .failover = {}, .failover_priority = {kNetwork, kRegion, kZone, kSubzone, kHostname}, .enabled = true};

std::string annotation_of(const model::Object* object) {
  if (object == nullptr) return {};
  const auto it = object->meta.annotations.find("networking.istio.io/traffic-distribution");
  return it == object->meta.annotations.end() ? std::string() : lower(it->second);
}

// Null: nothing is asked for. The namespace speaks for services that say nothing.
const model::LocalityLbSetting* traffic_distribution(const Service& service, const model::Mesh& mesh) {
  std::string word = lower(service.traffic_distribution);
  if (word == "preferclose" || word == "prefersamezone") return &kSameZone;
  if (word == "prefersamenode") return &kSameNode;
  word = annotation_of(service.object);
  if (word.empty()) {
    const auto it = mesh.objects.find({model::Kind::kNamespace, "", service.namespace_});
    if (it != mesh.objects.end()) word = annotation_of(it->second.get());
  }
  if (word == "preferclose" || word == "prefersamezone") return &kSameZone;
  return word == "prefersamenode" ? &kSameNode : nullptr;
}

bool is_forced(const model::LocalityLbSetting* setting) { return setting == &kSameZone || setting == &kSameNode; }

}  // namespace

ClientPlace client_place(const model::Mesh& mesh, const View& view, const Options& options) {
  ClientPlace out{locality_of_pod(mesh, view, options), view.labels, {}};
  if (out.locality.empty()) out.locality = locality_of_labels(view.labels);
  if (out.locality.empty()) out.locality = view.locality;
  add_topology(out.labels, out.locality, options.cluster_id);
  if (const auto node = view.metadata.find("NODE_NAME"); node != view.metadata.end() && !node->second.empty()) {
    out.node = node->second;
    out.labels[kHostname] = node->second;
  }
  return out;
}

bool has_traffic_distribution(const Service& service, const model::Mesh& mesh) { return traffic_distribution(service, mesh) != nullptr; }

LocalityChoice locality_choice(const model::LoadBalancer* rule, const Service& service, const model::Mesh& mesh) {
  if (rule != nullptr && rule->zone_aware_lb_setting) return &*rule->zone_aware_lb_setting;
  const bool of_rule = rule != nullptr && rule->locality_lb_setting.has_value();
  if (!of_rule)
    if (const model::LocalityLbSetting* annotated = traffic_distribution(service, mesh)) return annotated;
  if (!of_rule && mesh.config.zone_aware_lb_setting) return &*mesh.config.zone_aware_lb_setting;
  const model::LocalityLbSetting& setting =
      of_rule ? *rule->locality_lb_setting : mesh.config.locality_lb_setting;
  if (setting.enabled.value_or(true)) return &setting;
  return std::monostate{};
}

void apply_locality(std::vector<EndpointGroup>& groups, const LocalityChoice& choice, const ClientPlace& place,
                    bool failover) {
  if (const auto* zones = std::get_if<const model::ZoneAwareLbSetting*>(&choice)) {
    if (!is_on(**zones)) return;
    if (!(*zones)->failover_priority.empty()) prefer_labels(groups, place, (*zones)->failover_priority);
    prefer_region(groups, place, (*zones)->failover);
    return;
  }
  const auto* setting = std::get_if<const model::LocalityLbSetting*>(&choice);
  if (setting == nullptr) return;
  if (!(*setting)->distribute.empty()) return distribute(groups, place, (*setting)->distribute);
  if (!failover && !is_forced(*setting)) return;
  const bool by_label = !(*setting)->failover_priority.empty();
  if (by_label) prefer_labels(groups, place, (*setting)->failover_priority);
  if (!by_label || !(*setting)->failover.empty()) prefer_near(groups, place, (*setting)->failover);
}

void apply_locality(envoy::config::cluster::v3::Cluster& out, const LocalityChoice& choice, bool failover) {
  if (const auto* zones = std::get_if<const model::ZoneAwareLbSetting*>(&choice)) {
    auto& config = *out.mutable_common_lb_config()->mutable_zone_aware_lb_config();
    if (!is_on(**zones)) config.mutable_routing_enabled()->set_value(0);
    if ((*zones)->min_cluster_size) config.mutable_min_cluster_size()->set_value(*(*zones)->min_cluster_size);
    return;
  }
  const auto* setting = std::get_if<const model::LocalityLbSetting*>(&choice);
  if (setting == nullptr) return;
  const bool fails_over = (failover || is_forced(*setting)) && (!(*setting)->failover.empty() || !(*setting)->failover_priority.empty());
  if (fails_over || !(*setting)->distribute.empty()) out.mutable_common_lb_config()->mutable_locality_weighted_lb_config();
}

bool has_labels(const Endpoint& endpoint, const Labels& wanted, const std::string& cluster_id) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const auto& entry) { return value_of(endpoint, entry.first, cluster_id) == entry.second; });
}

}  // namespace lateen::translate
