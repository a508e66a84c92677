#include "translate/destination_rules.h"

#include <algorithm>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

using model::DestinationRule;

bool is_private(const DestinationRule& rule, std::string_view namespace_) {
  return !rule.export_to.empty() && std::all_of(rule.export_to.begin(), rule.export_to.end(), [&](const std::string& to) {
    return to == "." || to == namespace_;
  });
}

bool can_merge(const MergedRule& into, const DestinationRule& rule) {
  const auto as_set = [](const std::vector<std::string>& list) { return std::set<std::string>(list.begin(), list.end()); };
  if (as_set(into.rule->export_to) != as_set(rule.export_to)) return false;
  if (into.rule->has_workload_selector != rule.has_workload_selector) return false;
  return into.rule->workload_selector == rule.workload_selector;
}

void add_subsets(MergedRule& into, const model::Object& object, const DestinationRule& rule) {
  for (std::size_t i = 0; i < rule.subsets.size(); ++i)
    if (into.find_subset(rule.subsets[i].name) == nullptr) into.subsets.push_back({&rule.subsets[i], &object, i});
}

bool holds_for(const MergedRule& merged, const View& client, bool only_exported) {
  if (merged.rule->has_workload_selector)
    return merged.first->meta.namespace_ == client.namespace_ && selects(merged.rule->workload_selector, client.labels);
  return !only_exported || exported(merged.rule->export_to, merged.first->meta.namespace_, client.namespace_);
}

// A rule that selects its clients goes before one for all.
const MergedRule* choose(const std::vector<MergedRule>& candidates, const View& client, bool only_exported) {
  const MergedRule* for_all = nullptr;
  for (const MergedRule& merged : candidates) {
    if (!holds_for(merged, client, only_exported)) continue;
    if (merged.rule->has_workload_selector) return &merged;
    if (for_all == nullptr) for_all = &merged;
  }
  return for_all;
}

const model::PortTrafficPolicy* port_policy(const model::TrafficPolicy* policy, std::uint32_t port) {
  if (policy == nullptr) return nullptr;
  const auto& settings = policy->port_level_settings;
  const auto it = std::find_if(settings.begin(), settings.end(), [&](const auto& entry) { return entry.port == port; });
  return it == settings.end() ? nullptr : &*it;
}

}  // namespace

const SubsetSource* MergedRule::find_subset(std::string_view name) const {
  const auto it = std::find_if(subsets.begin(), subsets.end(), [&](const auto& entry) { return entry.subset->name == name; });
  return it == subsets.end() ? nullptr : &*it;
}

DestinationRules::DestinationRules(const model::Mesh& mesh) : root_namespace_(mesh.config.root_namespace) {
  auto all = mesh.all<DestinationRule>(model::Kind::kDestinationRule);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return model::older(*a.first, *b.first); });
  for (const auto& [object, rule] : all) {
    const std::string& own = object->meta.namespace_;
    const std::string host = lower(resolve_host(rule->host, own, mesh.config.cluster_domain));
    add(local_[own], *object, *rule, host);
    if (!is_private(*rule, own)) add(exported_[own], *object, *rule, host);
    else if (own == root_namespace_) add(root_private_[own], *object, *rule, host);
  }
}

void DestinationRules::add(Rules& rules, const model::Object& object, const DestinationRule& rule,
                           const std::string& host) {
  std::vector<MergedRule>& merged = (is_wildcard(host) ? rules.wildcard : rules.exact)[host];
  const auto it = std::find_if(merged.begin(), merged.end(), [&](const auto& entry) { return can_merge(entry, rule); });
  MergedRule& into = it == merged.end() ? merged.emplace_back() : *it;
  if (into.first == nullptr) {
    into.first = &object;
    into.rule = &rule;
  }
  if (into.policy == nullptr && rule.traffic_policy) {
    into.policy = &*rule.traffic_policy;
    into.policy_object = &object;
  }
  add_subsets(into, object, rule);
}

const MergedRule* DestinationRules::find_in(const ByNamespace& index, std::string_view namespace_, const View& client,
                                            std::string_view host, bool only_exported) {
  const auto in = index.find(namespace_);
  if (in == index.end()) return nullptr;
  if (const auto it = in->second.exact.find(host); it != in->second.exact.end())
    return choose(it->second, client, only_exported);
  const std::vector<MergedRule>* best = nullptr;
  std::string_view best_host;
  for (const auto& [wildcard, merged] : in->second.wildcard) {
    if (!host_within(host, wildcard) || (best != nullptr && !more_specific(wildcard, best_host))) continue;
    best = &merged;
    best_host = wildcard;
  }
  return best == nullptr ? nullptr : choose(*best, client, only_exported);
}

const MergedRule* DestinationRules::find(const View& client, const Service& service) const {
  const ByNamespace& own = client.namespace_ == root_namespace_ ? root_private_ : local_;
  if (const MergedRule* merged = find_in(own, client.namespace_, client, service.host, false)) return merged;
  if (const MergedRule* merged = find_in(exported_, service.namespace_, client, service.host, true)) return merged;
  return find_in(exported_, root_namespace_, client, service.host, true);
}

model::PolicyBlocks blocks_on_port(const model::TrafficPolicy* policy, std::uint32_t port) {
  if (const model::PortTrafficPolicy* own = port_policy(policy, port)) return *own;
  return policy == nullptr ? model::PolicyBlocks{} : model::PolicyBlocks(*policy);
}

model::PolicyBlocks blocks_of_subset(model::PolicyBlocks base, const model::TrafficPolicy* subset, std::uint32_t port) {
  if (subset == nullptr) return base;
  if (const model::PortTrafficPolicy* own = port_policy(subset, port)) return *own;
  if (subset->connection_pool) base.connection_pool = subset->connection_pool;
  if (subset->outlier_detection) base.outlier_detection = subset->outlier_detection;
  if (subset->load_balancer) base.load_balancer = subset->load_balancer;
  if (subset->tls) base.tls = subset->tls;
  return base;
}

std::string blocks_path(const model::TrafficPolicy* policy, std::uint32_t port) {
  const model::PortTrafficPolicy* own = port_policy(policy, port);
  if (own == nullptr) return "trafficPolicy";
  return "trafficPolicy.portLevelSettings[" + std::to_string(own - policy->port_level_settings.data()) + "]";
}

}  // namespace lateen::translate
