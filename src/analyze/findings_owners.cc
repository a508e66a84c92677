// Several VirtualServices on one host of the mesh: the oldest owns it, the others have no effect there.
#include <algorithm>

#include "analyze/findings.h"
#include "translate/names.h"

namespace lateen::analyze {

namespace {

struct Rule {
  const model::Object* object;
  const model::VirtualService* service;
};

bool in_mesh(const model::VirtualService& service) {
  return service.gateways.empty() || std::find(service.gateways.begin(), service.gateways.end(), "mesh") != service.gateways.end();
}

// Whether everybody who sees the younger rule sees the older one, so that the younger has no client left.
bool hides(const Rule& older, const Rule& younger) {
  const auto& wide = older.service->export_to;
  if (wide.empty() || std::find(wide.begin(), wide.end(), "*") != wide.end()) return true;
  const auto& narrow = younger.service->export_to;
  return !narrow.empty() && std::all_of(narrow.begin(), narrow.end(), [&](const std::string& name) {
    return name != "*" && translate::exported(wide, older.object->meta.namespace_, name == "." ? younger.object->meta.namespace_ : name);
  });
}

}  // namespace

void find_owners(Findings& findings) {
  std::vector<Rule> rules;
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService))
    if (in_mesh(*service)) rules.push_back({object, service});
  std::stable_sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) { return model::older(*a.object, *b.object); });
  std::map<std::string, std::vector<Rule>> by_host;
  for (const Rule& rule : rules)
    for (std::size_t i = 0; i < rule.service->hosts.size(); ++i) {
      std::vector<Rule>& older = by_host[findings.full(rule.service->hosts[i], *rule.object)];
      const auto owner = std::find_if(older.begin(), older.end(), [&](const Rule& candidate) { return candidate.object != rule.object && hides(candidate, rule); });
      if (owner != older.end())
        findings.add(Finding::kNotInEffect, *rule.object, item("spec.hosts", i), {rule.service->hosts[i], object_text(*owner->object, "spec.hosts")});
      older.push_back(rule);
    }
}

}  // namespace lateen::analyze
