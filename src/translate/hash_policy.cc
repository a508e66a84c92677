// Consistent hashing: which part of the request the DestinationRule hashes becomes part of the route.
#include <algorithm>

#include "translate/destination_rules.h"
#include "translate/routes.h"
#include "translate/shapes.h"

namespace lateen::translate {
namespace {

const model::ConsistentHash* hash_in(const model::PolicyBlocks* blocks) {
  return blocks != nullptr && blocks->load_balancer && blocks->load_balancer->consistent_hash
             ? &*blocks->load_balancer->consistent_hash : nullptr;
}

const model::ConsistentHash* hash_on_port(const model::TrafficPolicy* policy, std::uint32_t port) {
  if (policy == nullptr || port == 0) return nullptr;
  const auto it = std::find_if(policy->port_level_settings.begin(), policy->port_level_settings.end(),
                               [&](const auto& entry) { return entry.port == port; });
  return it == policy->port_level_settings.end() ? nullptr : hash_in(&*it);
}

}  // namespace

// The nearest that says something: the subset's port, the subset, the rule's port, the rule.
const model::ConsistentHash* hash_of(const Scope& scope, const model::Destination& destination) {
  const Service* service = scope.find_service(destination.host);
  const MergedRule* rule = service == nullptr ? nullptr : scope.rules.find(scope.view, *service);
  if (rule == nullptr) return nullptr;
  const SubsetSource* subset = rule->find_subset(destination.subset);
  const model::TrafficPolicy* own =
      subset != nullptr && subset->subset->traffic_policy ? &*subset->subset->traffic_policy : nullptr;
  if (const auto* hash = hash_on_port(own, destination.port)) return hash;
  if (const auto* hash = hash_in(own)) return hash;
  if (const auto* hash = hash_on_port(rule->policy, destination.port)) return hash;
  return hash_in(rule->policy);
}

const model::ConsistentHash* hash_of(const Scope& scope, const Service& service, std::uint32_t port) {
  const MergedRule* rule = scope.rules.find(scope.view, service);
  if (rule == nullptr) return nullptr;
  if (const auto* hash = hash_on_port(rule->policy, port)) return hash;
  return hash_in(rule->policy);
}

void add_hash_policy(envoy::config::route::v3::RouteAction& out, const model::ConsistentHash* hash) {
  if (hash == nullptr) return;
  if (!hash->http_header_name.empty()) {
    out.add_hash_policy()->mutable_header()->set_header_name(hash->http_header_name);
  } else if (hash->http_cookie) {
    auto& cookie = *out.add_hash_policy()->mutable_cookie();
    cookie.set_name(hash->http_cookie->name);
    cookie.set_path(hash->http_cookie->path);
    if (hash->http_cookie->ttl) set_duration(*cookie.mutable_ttl(), *hash->http_cookie->ttl);
    for (const auto& [name, value] : hash->http_cookie->attributes) {
      auto& attribute = *cookie.add_attributes();
      attribute.set_name(name);
      attribute.set_value(value);
    }
  } else if (hash->use_source_ip) {
    out.add_hash_policy()->mutable_connection_properties()->set_source_ip(*hash->use_source_ip);
  } else if (!hash->http_query_parameter_name.empty()) {
    out.add_hash_policy()->mutable_query_parameter()->set_name(hash->http_query_parameter_name);
  }
}

}  // namespace lateen::translate
