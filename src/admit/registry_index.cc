#include "admit/registry_index.h"

#include <algorithm>

namespace lateen::admit {

std::string fqdn(std::string_view host, std::string_view namespace_, std::string_view cluster_domain) {
  std::string full(host);
  if (host.empty() || host.find('.') != std::string_view::npos || host.find('*') != std::string_view::npos) return full;
  full.append(".").append(namespace_).append(".svc.").append(cluster_domain);
  return full;
}

bool covers(std::string_view pattern, std::string_view host) {
  if (pattern == "*" || pattern == host) return true;
  return pattern.starts_with("*.") && host.size() > pattern.size() - 1 && host.ends_with(pattern.substr(1));
}

RegistryIndex::RegistryIndex(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config) {
  for (const auto& [key, object] : objects) {
    add_hosts(*object, config);
    if (key.kind == model::Kind::kDestinationRule) add_rule(*object, config);
    if (key.kind == model::Kind::kGateway) gateways_.insert(key);
    if (key.kind == model::Kind::kVirtualService) {
      virtual_services_.insert(key);
      add_delegates(*object);
    }
  }
}

void RegistryIndex::add_hosts(const model::Object& object, const model::MeshConfig& config) {
  if (std::holds_alternative<model::Service>(object.spec)) {
    hosts_.insert(fqdn(object.meta.name, object.meta.namespace_, config.cluster_domain));
    return;
  }
  const auto* entry = std::get_if<model::ServiceEntry>(&object.spec);
  if (entry == nullptr) return;
  for (const std::string& host : entry->hosts) {
    if (host.starts_with('*')) {
      wildcard_hosts_.push_back(host);
    } else {
      hosts_.insert(host);
    }
    // A short ServiceEntry host is served under its full name too, as a destination resolves to that.
    if (host.find('.') == std::string::npos) hosts_.insert(fqdn(host, object.meta.namespace_, config.cluster_domain));
  }
}

void RegistryIndex::add_rule(const model::Object& object, const model::MeshConfig& config) {
  const auto* rule = std::get_if<model::DestinationRule>(&object.spec);
  if (rule == nullptr) return;
  const std::string host = fqdn(rule->host, object.meta.namespace_, config.cluster_domain);
  auto& subsets = host.starts_with('*') ? wildcard_subsets_[host] : subsets_[host];
  for (const model::Subset& subset : rule->subsets) subsets.insert(subset.name);
}

void RegistryIndex::add_delegates(const model::Object& object) {
  const auto* service = std::get_if<model::VirtualService>(&object.spec);
  if (service == nullptr) return;
  for (const model::HttpRoute& route : service->http) {
    if (!route.delegate) continue;
    const std::string& namespace_ = route.delegate->namespace_;
    delegates_.insert({model::Kind::kVirtualService, namespace_.empty() ? object.meta.namespace_ : namespace_,
                       route.delegate->name});
  }
}

bool RegistryIndex::has_host(const std::string& host) const {
  if (hosts_.contains(host)) return true;
  return std::any_of(wildcard_hosts_.begin(), wildcard_hosts_.end(),
                     [&](const std::string& pattern) { return covers(pattern, host); });
}

bool RegistryIndex::has_subset(const std::string& host, const std::string& subset) const {
  if (const auto found = subsets_.find(host); found != subsets_.end()) return found->second.contains(subset);
  // As in Istio, a DestinationRule for the very host hides those for a wildcard above it.
  return std::any_of(wildcard_subsets_.begin(), wildcard_subsets_.end(), [&](const auto& rule) {
    return covers(rule.first, host) && rule.second.contains(subset);
  });
}

bool RegistryIndex::has_rule(const std::string& host) const {
  if (subsets_.contains(host)) return true;
  return std::any_of(wildcard_subsets_.begin(), wildcard_subsets_.end(),
                     [&](const auto& rule) { return covers(rule.first, host); });
}

bool RegistryIndex::has_gateway(std::string_view name, std::string_view namespace_) const {
  model::Key key{model::Kind::kGateway, std::string(namespace_), std::string(name)};
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    key.namespace_ = name.substr(0, slash);
    key.name = name.substr(slash + 1);
  }
  return gateways_.contains(key);
}

bool RegistryIndex::has_virtual_service(std::string_view name, std::string_view namespace_) const {
  return virtual_services_.contains({model::Kind::kVirtualService, std::string(namespace_), std::string(name)});
}

bool RegistryIndex::is_delegate(const model::Key& key) const { return delegates_.contains(key); }

}  // namespace lateen::admit
