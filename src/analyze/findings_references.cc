// Destinations: hosts, subsets and ports that do not exist; hosts of a rule that nothing has.
#include <algorithm>
#include <set>

#include "analyze/findings.h"
#include "text/edit_distance.h"
#include "translate/names.h"

namespace lateen::analyze {

namespace {

class References {
 public:
  References(Findings& findings, const model::Object& object) : findings_(findings), object_(object) {}

  void destination(const model::Destination& destination, const std::string& path) {
    const translate::Service* service = findings_.service(destination.host, object_);
    if (service == nullptr && findings_.has_services()) {
      findings_.add(Finding::kUnknownHost, object_, path + ".host", {destination.host, findings_.host_fix(destination.host)});
      return;
    }
    if (!destination.subset.empty()) subset(destination, path);
    if (service != nullptr && destination.port != 0 && service->find_port(destination.port) == nullptr)
      findings_.add(Finding::kDestinationPort, object_, path + ".port", {destination.host, std::to_string(destination.port), "its ports are " + ports_text(*service)});
  }

 private:
  void subset(const model::Destination& destination, const std::string& path) {
    std::vector<std::string_view> names;
    const std::vector<Findings::Rule> rules = findings_.rules_for(findings_.full(destination.host, object_));
    for (const Findings::Rule& rule : rules)
      for (const model::Subset& known : rule.rule->subsets) {
        if (known.name == destination.subset) return;
        names.push_back(known.name);
      }
    std::string fix = "write a DestinationRule for " + destination.host + " with this subset";
    if (!rules.empty()) {
      std::string list;
      for (std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
      const auto guess = text::closest(destination.subset, names);
      fix = guess ? "did you mean " + std::string(*guess) + "? " : "";
      fix += object_text(*rules.front().object, "spec.subsets") + (names.empty() ? " has no subsets" : " defines " + list);
    }
    // Files of rules looked at alone may have their DestinationRule elsewhere.
    const Severity level = rules.empty() && !findings_.has_services() ? Severity::kWarning : Severity::kError;
    findings_.add(Finding::kUnknownSubset, level, object_, path + ".subset", {destination.subset, destination.host, fix});
  }

  Findings& findings_;
  const model::Object& object_;
};

template <class Routes>
void check_routes(References& references, const Routes& routes, const std::string& list) {
  for (std::size_t i = 0; i < routes.size(); ++i)
    for (std::size_t j = 0; j < routes[i].route.size(); ++j)
      references.destination(routes[i].route[j].destination, item(list, i) + "." + item("route", j) + ".destination");
}

bool in_mesh(const model::VirtualService& service) {
  return service.gateways.empty() || std::find(service.gateways.begin(), service.gateways.end(), "mesh") != service.gateways.end();
}

}  // namespace

void find_references(Findings& findings) {
  bool any = false;
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService)) {
    any = true;
    References references(findings, *object);
    check_routes(references, service->http, "spec.http");
    check_routes(references, service->tls, "spec.tls");
    check_routes(references, service->tcp, "spec.tcp");
    if (!findings.has_services() || !in_mesh(*service)) continue;
    for (std::size_t i = 0; i < service->hosts.size(); ++i)
      if (!translate::is_wildcard(service->hosts[i]) && !translate::is_ip(service->hosts[i]) && findings.service(service->hosts[i], *object) == nullptr)
        findings.add(Finding::kRuleForUnknownHost, *object, item("spec.hosts", i), {service->hosts[i], findings.host_fix(service->hosts[i])});
  }
  if (any && !findings.has_services()) findings.add(Finding::kNothingToCheck, {});
}

}  // namespace lateen::analyze
