#include "translate/discovery.h"

#include <algorithm>
#include <set>

#include "translate/names.h"

namespace lateen::translate {
namespace {

using Labels = std::map<std::string, std::string>;
using Requirement = model::DiscoverySelector::Requirement;

bool fulfils(const Labels& labels, const Requirement& requirement) {
  const auto it = labels.find(requirement.key);
  const bool there = it != labels.end();
  const auto& values = requirement.values;
  const bool listed = there && std::find(values.begin(), values.end(), it->second) != values.end();
  if (requirement.op == "In") return listed;
  if (requirement.op == "NotIn") return !listed;
  return there == (requirement.op == "Exists");
}

bool chooses(const model::DiscoverySelector& selector, const Labels& labels) {
  return selects(selector.match_labels, labels) &&
         std::all_of(selector.match_expressions.begin(), selector.match_expressions.end(),
                     [&](const Requirement& requirement) { return fulfils(labels, requirement); });
}

std::set<std::string> chosen_namespaces(const model::Mesh& mesh) {
  std::set<std::string> out;
  for (const auto& [object, spec] : mesh.all<model::Namespace>(model::Kind::kNamespace)) {
    Labels labels = object->meta.labels;
    labels.emplace("kubernetes.io/metadata.name", object->meta.name);  // which Kubernetes itself adds
    const auto& selectors = mesh.config.discovery_selectors;
    if (std::any_of(selectors.begin(), selectors.end(), [&](const auto& selector) { return chooses(selector, labels); }))
      out.insert(object->meta.name);
  }
  return out;
}

}  // namespace

model::Mesh discovered(const model::Mesh& mesh) {
  model::Mesh out = mesh;
  if (mesh.config.discovery_selectors.empty()) return out;
  const std::set<std::string> chosen = chosen_namespaces(mesh);
  std::erase_if(out.objects, [&](const auto& entry) {
    const model::Key& key = entry.first;
    const bool of_a_namespace = key.kind != model::Kind::kNamespace && !model::names(key.kind).is_istio;
    return of_a_namespace && !chosen.contains(key.namespace_);
  });
  out.config.discovery_selectors.clear();
  return out;
}

}  // namespace lateen::translate
