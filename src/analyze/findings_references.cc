// Destinations: hosts, subsets and ports that do not exist; hosts of a rule that nothing has.
#include <algorithm>
#include <optional>
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
    if (const auto fix = subset_fix(destination)) {
      // Files of rules looked at alone may have their DestinationRule elsewhere.
      const bool alone = rules_of(destination).empty() && !findings_.has_services();
      findings_.add(Finding::kUnknownSubset, alone ? Severity::kWarning : Severity::kError, object_, path + ".subset",
                    {destination.subset, destination.host, *fix});
    }
    if (service != nullptr && destination.port != 0 && service->find_port(destination.port) == nullptr)
      findings_.add(Finding::kDestinationPort, object_, path + ".port", {destination.host, std::to_string(destination.port), "its ports are " + ports_text(*service)});
  }

  // Nobody waits for the answers of a mirror: what it lacks shows nowhere else.
  void mirror(const model::Destination& destination, const std::string& path) {
    const auto lost = [&](const char* field, const std::string& what, const std::string& fix) {
      findings_.add(Finding::kLostMirror, object_, path + field, {what, fix});
    };
    const translate::Service* service = findings_.service(destination.host, object_);
    if (service == nullptr && findings_.has_services())
      return lost(".host", "no Service or ServiceEntry has the host " + destination.host, findings_.host_fix(destination.host));
    if (const auto fix = subset_fix(destination))
      return lost(".subset", "no DestinationRule defines the subset " + destination.subset + " of " + destination.host, *fix);
    if (service != nullptr && destination.port != 0 && service->find_port(destination.port) == nullptr)
      lost(".port", destination.host + " has no port " + std::to_string(destination.port), "its ports are " + ports_text(*service));
  }

 private:
  std::vector<Findings::Rule> rules_of(const model::Destination& destination) const {
    return findings_.rules_for(findings_.full(destination.host, object_));
  }

  // What to write for a subset that no DestinationRule defines; absent: it is there, or none is asked for.
  std::optional<std::string> subset_fix(const model::Destination& destination) const {
    if (destination.subset.empty()) return std::nullopt;
    std::vector<std::string_view> names;
    const std::vector<Findings::Rule> rules = rules_of(destination);
    for (const Findings::Rule& rule : rules)
      for (const model::Subset& known : rule.rule->subsets) {
        if (known.name == destination.subset) return std::nullopt;
        names.push_back(known.name);
      }
    if (rules.empty()) return "write a DestinationRule for " + destination.host + " with this subset";
    std::string list;
    for (std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
    const auto guess = text::closest(destination.subset, names);
    return (guess ? "did you mean " + std::string(*guess) + "? " : "") + object_text(*rules.front().object, "spec.subsets") +
           (names.empty() ? " has no subsets" : " defines " + list);
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

void check_mirrors(References& references, const std::vector<model::HttpRoute>& routes) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const std::string path = item("spec.http", i);
    if (routes[i].mirror) references.mirror(*routes[i].mirror, path + ".mirror");
    for (std::size_t j = 0; j < routes[i].mirrors.size(); ++j)
      references.mirror(routes[i].mirrors[j].destination, path + "." + item("mirrors", j) + ".destination");
  }
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
    check_mirrors(references, service->http);
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
