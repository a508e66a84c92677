// DestinationRules: hosts, subsets and ports that do not exist, several rules on one host.
#include <algorithm>
#include <set>

#include "analyze/findings.h"
#include "translate/names.h"

namespace lateen::analyze {

namespace {

std::string labels_text(const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += (text.empty() ? "" : ", ") + key + "=" + value;
  return text;
}

// The values that the endpoints have for the keys of a subset: "version is v1, v2 there".
std::string values_text(const Findings& findings, const translate::Service& service, const model::Subset& subset) {
  std::string text;
  for (const auto& [key, wanted] : subset.labels) {
    std::set<std::string> values;
    for (const auto& endpoints : service.endpoints)
      for (const translate::Endpoint& endpoint : endpoints)
        if (const auto found = endpoint.labels->find(key); found != endpoint.labels->end()) values.insert(found->second);
    if (values.contains(wanted)) continue;
    std::string list;
    for (const std::string& value : values) list += (list.empty() ? "" : ", ") + value;
    text += (text.empty() ? "" : "; ") + (list.empty() ? "no endpoint has a label " + key : "their " + key + " is " + list);
  }
  const auto version = subset.labels.find("version");
  if (version != subset.labels.end()) text += (text.empty() ? "" : "; ") + ("start one: `lateen echo --service " + findings.short_name(service.host) + " --version " + version->second + "`");
  return text;
}

void check_ports(Findings& findings, const model::Object& object, const translate::Service* service, const model::TrafficPolicy& policy, const std::string& path) {
  for (std::size_t i = 0; i < policy.port_level_settings.size(); ++i) {
    const model::PortTrafficPolicy& settings = policy.port_level_settings[i];
    const std::string field = path + "." + item("portLevelSettings", i);
    if (service != nullptr && !service->ports.empty() && service->find_port(settings.port) == nullptr)
      findings.add(Finding::kPolicyPort, object, field + ".port", {findings.short_name(service->host), std::to_string(settings.port), "its ports are " + ports_text(*service)});
    std::string lost;
    const auto compare = [&](bool above, bool here, std::string_view name) {
      if (above && !here) lost += (lost.empty() ? "" : ", ") + std::string(name);
    };
    compare(policy.load_balancer.has_value(), settings.load_balancer.has_value(), "loadBalancer");
    compare(policy.connection_pool.has_value(), settings.connection_pool.has_value(), "connectionPool");
    compare(policy.outlier_detection.has_value(), settings.outlier_detection.has_value(), "outlierDetection");
    compare(policy.tls.has_value(), settings.tls.has_value(), "tls");
    if (!lost.empty()) findings.add(Finding::kPortInheritsNothing, object, field, {std::to_string(settings.port), lost});
  }
}

void check_rule(Findings& findings, const model::Object& object, const model::DestinationRule& rule) {
  const translate::Service* service = findings.service(rule.host, object);
  if (service == nullptr && findings.has_services() && !translate::is_wildcard(rule.host))
    findings.add(Finding::kPolicyForUnknownHost, object, "spec.host", {rule.host, findings.host_fix(rule.host)});
  if (rule.traffic_policy) check_ports(findings, object, service, *rule.traffic_policy, "spec.trafficPolicy");
  for (std::size_t i = 0; i < rule.subsets.size(); ++i) {
    const model::Subset& subset = rule.subsets[i];
    if (subset.traffic_policy) check_ports(findings, object, service, *subset.traffic_policy, item("spec.subsets", i) + ".trafficPolicy");
    const std::size_t all = service == nullptr ? 0 : endpoint_count(*service, nullptr);
    if (all > 0 && endpoint_count(*service, &subset.labels) == 0)
      findings.add(Finding::kSubsetEmpty, object, item("spec.subsets", i) + ".labels", {labels_text(subset.labels), count_text(all, "endpoint"), rule.host, values_text(findings, *service, subset)});
  }
}

}  // namespace

void find_policies(Findings& findings) {
  std::map<std::pair<std::string, std::string>, Findings::Rule> first_of;  // by host and namespace, as Istio looks rules up
  std::vector<Findings::Rule> rules;
  for (const auto& [object, rule] : findings.all<model::DestinationRule>(model::Kind::kDestinationRule)) {
    check_rule(findings, *object, *rule);
    if (!rule->has_workload_selector) rules.push_back({object, rule});
  }
  std::stable_sort(rules.begin(), rules.end(), [](const Findings::Rule& a, const Findings::Rule& b) { return model::older(*a.object, *b.object); });
  for (const Findings::Rule& rule : rules) {
    const auto [first, is_first] = first_of.try_emplace({findings.full(rule.rule->host, *rule.object), rule.object->meta.namespace_}, rule);
    if (is_first) continue;
    findings.add(Finding::kDuplicatePolicy, *rule.object, "spec.host",
                 {rule.rule->host, object_text(*first->second.object, "spec.host"), rule.rule->traffic_policy ? ", and its trafficPolicy holds nowhere" : ""});
  }
}

}  // namespace lateen::analyze
