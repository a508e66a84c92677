#include "translate/destination_rules.h"

#include <algorithm>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

using model::DestinationRule;

std::set<std::string> export_set(const DestinationRule& rule) {
  // A rule that selects its clients is for its own namespace.
  if (rule.has_workload_selector) return {"."};
  return {rule.export_to.begin(), rule.export_to.end()};
}

bool is_for_own(const std::set<std::string>& export_to, const std::string& own) {
  return export_to.empty() || export_to.contains("*") || export_to.contains(".") || export_to.contains(own);
}

bool is_private(const std::set<std::string>& export_to, const std::string& own, const model::MeshConfig& config) {
  if (export_to.empty()) return config.destination_rule_export_to == std::vector<std::string>{"."};
  return export_to.size() == 1 && (export_to.contains(".") || export_to.contains(own));
}

void merge_into(MergedRule& into, const model::Object& object, const DestinationRule& rule) {
  for (std::size_t i = 0; i < rule.subsets.size(); ++i)
    if (into.find_subset(rule.subsets[i].name) == nullptr) into.subsets.push_back({&rule.subsets[i], &object, i});
  if (into.policy != nullptr || !rule.traffic_policy) return;
  into.policy = &*rule.traffic_policy;
  into.policy_object = &object;
}

// A rule that selects its clients goes before one for all; of several for all the youngest holds, as in istiod.
const MergedRule* choose(const std::vector<MergedRule>& candidates, const View& client) {
  const MergedRule* for_all = nullptr;
  for (const MergedRule& merged : candidates) {
    if (!merged.rule->has_workload_selector) for_all = &merged;
    else if (merged.first->meta.namespace_ == client.namespace_ && selects(merged.rule->workload_selector, client.labels))
      return &merged;
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
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    if (a.second->has_workload_selector != b.second->has_workload_selector) return a.second->has_workload_selector;
    return model::older(*a.first, *b.first);
  });
  for (const auto& [object, rule] : all) {
    const std::string& own = object->meta.namespace_;
    const std::string host = lower(resolve_host(rule->host, own, mesh.config.cluster_domain));
    const std::set<std::string> export_to = export_set(*rule);
    if (is_for_own(export_to, own)) add(local_[own], *object, *rule, host);
    if (!is_private(export_to, own, mesh.config)) add(exported_[own], *object, *rule, host);
    else if (own == root_namespace_) add(root_private_, *object, *rule, host);
  }
}

// Rules for one host are merged where they are for the same clients. What is for more clients than an older rule
// becomes part of that one and stands for itself as well.
void DestinationRules::add(Rules& rules, const model::Object& object, const DestinationRule& rule,
                           const std::string& host) {
  std::vector<MergedRule>& list = (is_wildcard(host) ? rules.wildcard : rules.exact)[host];
  const std::set<std::string> export_to = export_set(rule);
  bool separate = true;
  for (MergedRule& merged : list) {
    const bool wider = !merged.export_to.empty() &&
                       std::includes(export_to.begin(), export_to.end(), merged.export_to.begin(), merged.export_to.end());
    separate = export_to != merged.export_to;
    if (separate && !wider) continue;
    const bool both_select = merged.rule->has_workload_selector && rule.has_workload_selector;
    const bool none_selects = !merged.rule->has_workload_selector && !rule.has_workload_selector;
    if (both_select && merged.rule->workload_selector != rule.workload_selector) {
      separate = true;
      continue;
    }
    if (both_select || none_selects) separate = false;
    merge_into(merged, object, rule);
  }
  if (!separate) return;
  MergedRule& own = list.emplace_back();
  own.first = &object;
  own.rule = &rule;
  own.export_to = export_to;
  merge_into(own, object, rule);
}

const std::vector<MergedRule>* DestinationRules::Rules::find(std::string_view host) const {
  if (const auto it = exact.find(host); it != exact.end()) return &it->second;
  const std::vector<MergedRule>* best = nullptr;
  std::string_view best_host;
  for (const auto& [pattern, merged] : wildcard) {
    if (!host_within(host, pattern) || (best != nullptr && !more_specific(pattern, best_host))) continue;
    best = &merged;
    best_host = pattern;
  }
  return best;
}

const std::vector<MergedRule>* DestinationRules::exported_from(std::string_view namespace_, std::string_view host) const {
  const auto it = exported_.find(namespace_);
  return it == exported_.end() ? nullptr : it->second.find(host);
}

const MergedRule* DestinationRules::find(const View& client, const Service& service) const {
  const Rules* own = &root_private_;
  if (client.namespace_ != root_namespace_) {
    const auto it = local_.find(client.namespace_);
    own = it == local_.end() ? nullptr : &it->second;
  }
  if (own != nullptr)
    if (const auto* list = own->find(service.host)) return choose(*list, client);
  for (const std::string_view from : {std::string_view(service.namespace_), std::string_view(root_namespace_)}) {
    const auto* list = exported_from(from, service.host);
    if (list == nullptr) continue;
    const MergedRule* last = nullptr;
    for (const MergedRule& merged : *list)
      if (merged.export_to.empty() || merged.export_to.contains("*") || merged.export_to.contains(client.namespace_)) last = &merged;
    if (last != nullptr) return last;
  }
  return nullptr;
}

EffectivePolicy policy_on_port(const model::TrafficPolicy* policy, std::uint32_t port) {
  if (const model::PortTrafficPolicy* own = port_policy(policy, port)) return {*own, {}, {}};
  return policy == nullptr ? EffectivePolicy{} : EffectivePolicy{*policy, policy->retry_budget, policy->proxy_protocol};
}

EffectivePolicy policy_of_subset(EffectivePolicy base, const model::TrafficPolicy* subset, std::uint32_t port) {
  if (subset == nullptr) return base;
  if (const model::PortTrafficPolicy* own = port_policy(subset, port)) {
    static_cast<model::PolicyBlocks&>(base) = *own;
    return base;
  }
  if (subset->connection_pool) base.connection_pool = subset->connection_pool;
  if (subset->outlier_detection) base.outlier_detection = subset->outlier_detection;
  if (subset->load_balancer) base.load_balancer = subset->load_balancer;
  if (subset->tls) base.tls = subset->tls;
  if (subset->retry_budget) base.retry_budget = subset->retry_budget;
  if (subset->proxy_protocol) base.proxy_protocol = subset->proxy_protocol;
  return base;
}

const model::ClientTls* tls_of_endpoints(const model::TrafficPolicy* whole, const model::TrafficPolicy* subset, std::uint32_t port) {
  for (const model::TrafficPolicy* policy : {subset, whole}) {
    if (policy == nullptr) continue;
    if (const model::PortTrafficPolicy* own = port_policy(policy, port); own != nullptr && own->tls) return &*own->tls;
    if (policy->tls) return &*policy->tls;
  }
  return nullptr;
}

std::string blocks_path(const model::TrafficPolicy* policy, std::uint32_t port) {
  const model::PortTrafficPolicy* own = port_policy(policy, port);
  if (own == nullptr) return "trafficPolicy";
  return "trafficPolicy.portLevelSettings[" + std::to_string(own - policy->port_level_settings.data()) + "]";
}

}  // namespace lateen::translate
