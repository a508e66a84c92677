// Outlier detection that cannot eject, or that ejects the only endpoint.
#include <map>
#include <optional>

#include "analyze/findings.h"

namespace lateen::analyze {

namespace {

constexpr std::int32_t kDefaultMaxEjectionPercent = 10;
constexpr std::uint32_t kDefaultConsecutive5xx = 5;

std::int32_t max_percent(const model::OutlierDetection& outlier) {
  return outlier.max_ejection_percent == 0 ? kDefaultMaxEjectionPercent : outlier.max_ejection_percent;
}

bool may_eject(const model::OutlierDetection& outlier) {
  return outlier.consecutive_5xx_errors.value_or(kDefaultConsecutive5xx) > 0 || outlier.consecutive_gateway_errors.value_or(0) > 0 || outlier.consecutive_errors > 0 ||
         outlier.consecutive_local_origin_failures.value_or(0) > 0;
}

// One policy and the endpoints that it holds for.
struct Held {
  const model::OutlierDetection* outlier;
  std::string path;                    // of outlierDetection
  const model::Subset* subset;         // null: the whole service
};

class EjectionCheck {
 public:
  EjectionCheck(Findings& findings, const model::Object& object, const translate::Service& service) : findings_(findings), object_(object), service_(service) {}

  void check(const Held& held) {
    const std::size_t count = endpoint_count(service_, held.subset == nullptr ? nullptr : &held.subset->labels);
    if (count == 0 || !may_eject(*held.outlier)) return;
    const std::string name = findings_.short_name(service_.host);
    const std::string whom = held.subset == nullptr ? name : "subset " + held.subset->name;
    const auto percent = static_cast<std::size_t>(max_percent(*held.outlier));
    // The limit of Envoy is strict: one ejection more must not take it above the percentage (measured, ISTIO_FACTS 1).
    const bool possible = percent * count >= 100;
    if (!possible && findings_.as_istio()) {
      const std::size_t needed = (100 + count - 1) / count;
      findings_.add(Finding::kNeverEjected, object_, held.path + ".maxEjectionPercent",
                    {std::to_string(percent), "the " + count_text(count, "endpoint") + " of " + whom, std::to_string(needed)});
    }
    if (count == 1 && (possible || !findings_.as_istio())) only_[held.path].push_back(held.subset == nullptr ? "" : held.subset->name);
  }

  // Several subsets may take over one policy: they are named together.
  void report_only_endpoints() {
    const std::string name = findings_.short_name(service_.host);
    for (const auto& [path, subsets] : only_) {
      const bool whole = subsets.front().empty();  // then the service has one endpoint, and no subset has more
      std::string whom = whole ? name : std::string(subsets.size() == 1 ? "subset " : "each of the subsets ") + subsets.front();
      for (std::size_t i = 1; i < subsets.size() && !whole; ++i) whom += (i + 1 == subsets.size() ? " and " : ", ") + subsets[i];
      findings_.add(Finding::kOnlyHostEjected, object_, path, {whom + " has only one endpoint", name, whole ? "v1" : subsets.front()});
    }
  }

 private:
  std::map<std::string, std::vector<std::string>> only_;  // by path of the policy: subsets with one endpoint, "" for the service
  Findings& findings_;
  const model::Object& object_;
  const translate::Service& service_;
};

void check_idle_gateway_errors(Findings& findings, const model::Object& object, const Held& held) {
  const std::uint32_t gateway = held.outlier->consecutive_gateway_errors.value_or(0);
  const std::uint32_t all = held.outlier->consecutive_5xx_errors.value_or(kDefaultConsecutive5xx);
  if (gateway == 0 || all == 0 || gateway < all) return;
  const std::string all_text = std::to_string(all) + (held.outlier->consecutive_5xx_errors ? "" : " (the default)");
  findings.add(Finding::kGatewayErrorsIdle, object, held.path + ".consecutiveGatewayErrors", {std::to_string(gateway), all_text});
}

std::vector<Held> policies_of(const model::DestinationRule& rule) {
  std::vector<Held> held;
  const auto add = [&](const model::TrafficPolicy& policy, const std::string& path, const model::Subset* subset) {
    if (policy.outlier_detection) held.push_back({&*policy.outlier_detection, path + ".outlierDetection", subset});
    for (std::size_t i = 0; i < policy.port_level_settings.size(); ++i)
      if (const auto& outlier = policy.port_level_settings[i].outlier_detection) held.push_back({&*outlier, path + "." + item("portLevelSettings", i) + ".outlierDetection", subset});
  };
  if (rule.traffic_policy) add(*rule.traffic_policy, "spec.trafficPolicy", nullptr);
  for (std::size_t i = 0; i < rule.subsets.size(); ++i) {
    const model::Subset& subset = rule.subsets[i];
    if (subset.traffic_policy) add(*subset.traffic_policy, item("spec.subsets", i) + ".trafficPolicy", &subset);
    // A subset without a policy of its own takes over the rule's: its cluster ejects among its own endpoints.
    const bool own = subset.traffic_policy && subset.traffic_policy->outlier_detection;
    if (!own && rule.traffic_policy && rule.traffic_policy->outlier_detection)
      held.push_back({&*rule.traffic_policy->outlier_detection, "spec.trafficPolicy.outlierDetection", &subset});
  }
  return held;
}

}  // namespace

void find_ejections(Findings& findings) {
  for (const auto& [object, rule] : findings.all<model::DestinationRule>(model::Kind::kDestinationRule)) {
    const translate::Service* service = findings.service(rule->host, *object);
    const std::vector<Held> policies = policies_of(*rule);
    for (const Held& held : policies) {
      const bool inherited = held.subset != nullptr && held.path.starts_with("spec.trafficPolicy");
      if (!inherited) check_idle_gateway_errors(findings, *object, held);
    }
    if (service == nullptr) continue;
    EjectionCheck check(findings, *object, *service);
    for (const Held& held : policies) check.check(held);
    check.report_only_endpoints();
  }
}

}  // namespace lateen::analyze
