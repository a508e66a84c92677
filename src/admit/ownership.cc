#include "admit/ownership.h"

#include <algorithm>
#include <set>

#include "admit/registry_index.h"

namespace lateen::admit {

namespace {

std::vector<const model::Object*> by_age(const std::map<model::Key, model::ObjectPtr>& objects, model::Kind kind) {
  std::vector<const model::Object*> found;
  for (auto it = objects.lower_bound({kind, "", ""}); it != objects.end() && it->first.kind == kind; ++it)
    found.push_back(it->second.get());
  std::stable_sort(found.begin(), found.end(),
                   [](const model::Object* a, const model::Object* b) { return model::older(*a, *b); });
  return found;
}

bool is_mesh_rule(const model::VirtualService& service) {
  return service.gateways.empty() ||
         std::find(service.gateways.begin(), service.gateways.end(), "mesh") != service.gateways.end();
}

// Namespaces that see an object; {"*"}: all.
std::set<std::string> visible_in(const std::vector<std::string>& export_to, const std::string& namespace_) {
  std::set<std::string> namespaces;
  for (const std::string& name : export_to) {
    if (name == "*") return {"*"};
    namespaces.insert(name == "." ? namespace_ : name);
  }
  if (namespaces.empty()) namespaces.insert("*");
  return namespaces;
}

struct Owner {
  const model::Object* object;
  std::set<std::string> namespaces;
};

// Who owns a host for every client that sees the younger rule. An owner that only some of them see does not put the
// younger rule out of effect.
class Owners {
 public:
  const model::Object* claim(const std::string& host, const model::Object& object, std::set<std::string> namespaces) {
    std::vector<Owner>& owners = by_host_[host];
    for (const Owner& owner : owners)
      if (owner.namespaces.contains("*") || std::includes(owner.namespaces.begin(), owner.namespaces.end(),
                                                          namespaces.begin(), namespaces.end()))
        return owner.object;
    owners.push_back({&object, std::move(namespaces)});
    return nullptr;
  }

 private:
  std::map<std::string, std::vector<Owner>> by_host_;
};

std::string lost_host_text(const std::string& host, const model::Object& owner) {
  const Origin at = owner.origin("spec.hosts");
  std::string text = "host " + host + " belongs to " + model::to_string(owner.key());
  if (const std::string place = to_string(at); !place.empty()) text += " (" + place + ")";
  return text + ", which is older";
}

void settle_virtual_services(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config,
                             std::map<model::Key, Status>& status) {
  Owners owners;
  for (const model::Object* object : by_age(objects, model::Kind::kVirtualService)) {
    const auto* service = std::get_if<model::VirtualService>(&object->spec);
    if (service == nullptr || service->hosts.empty() || !is_mesh_rule(*service)) continue;
    std::size_t lost = 0;
    std::string reason;
    const model::Object* winner = nullptr;
    for (const std::string& host : service->hosts) {
      const std::string full = fqdn(host, object->meta.namespace_, config.cluster_domain);
      const model::Object* owner = owners.claim(full, *object, visible_in(service->export_to, object->meta.namespace_));
      if (owner == nullptr || owner == object) continue;
      ++lost;
      if (winner != nullptr) continue;
      winner = owner;
      reason = lost_host_text(full, *owner);
    }
    if (winner == nullptr) continue;
    Status& own = status[object->key()];
    // A gateway in the list still takes the rule: only its mesh part is lost.
    const bool lost_whole = lost == service->hosts.size() && service->gateways.size() <= 1;
    if (lost_whole && own.standing != Standing::kRefused) own.standing = Standing::kNotInEffect;
    if (lost_whole || own.standing == Standing::kInEffect) {
      own.reason = lost_whole ? reason : "in part: " + reason;
      own.because_of = winner->origin("spec.hosts");
    }
  }
}

void settle_destination_rules(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config,
                              std::map<model::Key, Status>& status) {
  struct First {
    const model::Object* object;
    std::set<std::string> subsets;
  };
  std::map<std::pair<std::string, std::string>, First> firsts;  // by host and namespace: that is how Istio looks them up
  for (const model::Object* object : by_age(objects, model::Kind::kDestinationRule)) {
    const auto* rule = std::get_if<model::DestinationRule>(&object->spec);
    if (rule == nullptr || rule->has_workload_selector) continue;
    const std::string host = fqdn(rule->host, object->meta.namespace_, config.cluster_domain);
    std::set<std::string> subsets;
    for (const model::Subset& subset : rule->subsets) subsets.insert(subset.name);
    const auto [found, is_first] = firsts.try_emplace({host, object->meta.namespace_}, First{object, subsets});
    if (is_first) continue;
    First& first = found->second;
    const bool adds = std::any_of(subsets.begin(), subsets.end(),
                                  [&](const std::string& name) { return !first.subsets.contains(name); });
    first.subsets.insert(subsets.begin(), subsets.end());
    Status& own = status[object->key()];
    if (own.standing != Standing::kInEffect) continue;
    if (!adds) own.standing = Standing::kNotInEffect;
    own.because_of = first.object->origin("spec.host");
    own.reason = "the policy of host " + host + " is that of " + model::to_string(first.object->key()) +
                 ", which is older; " + (adds ? "only the subsets that it lacks are taken from here" : "nothing is taken from here");
  }
}

}  // namespace

void settle_ownership(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config,
                      std::map<model::Key, Status>& status) {
  settle_virtual_services(objects, config, status);
  settle_destination_rules(objects, config, status);
}

}  // namespace lateen::admit
