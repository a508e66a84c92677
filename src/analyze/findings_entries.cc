// Hosts that several ServiceEntries, or a ServiceEntry and a Service, define.
#include <map>

#include "analyze/findings.h"

namespace lateen::analyze {

void find_entries(Findings& findings) {
  std::map<std::string, const model::Object*> defined;
  for (const auto& [object, service] : findings.all<model::Service>(model::Kind::kService)) defined.emplace(findings.full(object->meta.name, *object), object);
  for (const auto& [object, entry] : findings.all<model::ServiceEntry>(model::Kind::kServiceEntry))
    for (std::size_t i = 0; i < entry->hosts.size(); ++i) {
      const auto [first, is_new] = defined.emplace(findings.full(entry->hosts[i], *object), object);
      if (is_new || first->second == object) continue;
      const bool is_service = first->second->kind == model::Kind::kService;
      findings.add(Finding::kEntryOverlap, *object, item("spec.hosts", i), {entry->hosts[i], object_text(*first->second, is_service ? "metadata.name" : "spec.hosts")});
    }
}

}  // namespace lateen::analyze
