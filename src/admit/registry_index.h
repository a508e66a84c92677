// What a rule can refer to: the hosts of the registry, the subsets of DestinationRules, Gateways and delegates.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"

namespace lateen::admit {

// Istio's rule for short names: a host without a dot belongs to the namespace of the object that names it.
std::string fqdn(std::string_view host, std::string_view namespace_, std::string_view cluster_domain);

// "*" and "*.example.com" cover the hosts below them (and themselves); anything else covers itself.
bool covers(std::string_view pattern, std::string_view host);

class RegistryIndex {
 public:
  RegistryIndex(const std::map<model::Key, model::ObjectPtr>& objects, const model::MeshConfig& config);

  // A Service or ServiceEntry has this host.
  bool has_host(const std::string& host) const;
  // Some DestinationRule for this host defines the subset.
  bool has_subset(const std::string& host, const std::string& subset) const;
  // Some DestinationRule is for this host (so that only its subset is missing).
  bool has_rule(const std::string& host) const;
  // `name` as in VirtualService.spec.gateways: "name" or "namespace/name".
  bool has_gateway(std::string_view name, std::string_view namespace_) const;
  bool has_virtual_service(std::string_view name, std::string_view namespace_) const;
  // Some VirtualService delegates to this one.
  bool is_delegate(const model::Key& key) const;

 private:
  void add_hosts(const model::Object& object, const model::MeshConfig& config);
  void add_rule(const model::Object& object, const model::MeshConfig& config);
  void add_delegates(const model::Object& object);

  std::set<std::string, std::less<>> hosts_;
  std::vector<std::string> wildcard_hosts_;
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> subsets_;  // by host
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> wildcard_subsets_;
  std::set<model::Key> gateways_, virtual_services_, delegates_;
};

}  // namespace lateen::admit
