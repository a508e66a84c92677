#include "admit/waits.h"

namespace lateen::admit {

namespace {

std::string indexed(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

// The questions that are asked of every destination of one VirtualService.
class DestinationCheck {
 public:
  DestinationCheck(const model::Object& object, const RegistryIndex& index, const model::MeshConfig& config)
      : object_(object), index_(index), config_(config) {}

  std::optional<Wait> check(const model::Destination& destination, const std::string& path) const {
    const std::string host = fqdn(destination.host, object_.meta.namespace_, config_.cluster_domain);
    if (!index_.has_host(host))
      return Wait{"waits for host " + host + ": no Service or ServiceEntry has it", path + ".host"};
    if (destination.subset.empty() || index_.has_subset(host, destination.subset)) return std::nullopt;
    const std::string why = index_.has_rule(host) ? "its DestinationRule does not define it" : "no DestinationRule defines it";
    return Wait{"waits for subset " + destination.subset + " of " + host + ": " + why, path + ".subset"};
  }

  // `routes` have a destination and a weight. Envoy never picks a destination of weight 0 beside others, so nothing
  // waits for it.
  template <class Routes>
  std::optional<Wait> check_all(const Routes& routes, const std::string& path) const {
    for (std::size_t i = 0; i < routes.size(); ++i) {
      if (routes.size() > 1 && routes[i].weight == 0) continue;
      if (auto wait = check(routes[i].destination, indexed(path + ".route", i) + ".destination")) return wait;
    }
    return std::nullopt;
  }

 private:
  const model::Object& object_;
  const RegistryIndex& index_;
  const model::MeshConfig& config_;
};

std::optional<Wait> wait_of_route(const model::HttpRoute& route, const std::string& path, const model::Object& object,
                                  const RegistryIndex& index, const DestinationCheck& destinations) {
  if (route.delegate) {
    const std::string& namespace_ =
        route.delegate->namespace_.empty() ? object.meta.namespace_ : route.delegate->namespace_;
    if (index.has_virtual_service(route.delegate->name, namespace_)) return std::nullopt;
    return Wait{"waits for VirtualService " + namespace_ + "/" + route.delegate->name + ", to which it delegates",
                path + ".delegate.name"};
  }
  return destinations.check_all(route.route, path);
}

std::optional<Wait> wait_of_virtual_service(const model::Object& object, const model::VirtualService& service,
                                            const RegistryIndex& index, const model::MeshConfig& config) {
  if (service.hosts.empty() && !index.is_delegate(object.key()))
    return Wait{"waits for a VirtualService that delegates to it: it has no hosts of its own", "spec", false};
  const DestinationCheck destinations(object, index, config);
  for (std::size_t i = 0; i < service.http.size(); ++i)
    if (auto wait = wait_of_route(service.http[i], indexed("spec.http", i), object, index, destinations)) return wait;
  for (std::size_t i = 0; i < service.tls.size(); ++i)
    if (auto wait = destinations.check_all(service.tls[i].route, indexed("spec.tls", i))) return wait;
  for (std::size_t i = 0; i < service.tcp.size(); ++i)
    if (auto wait = destinations.check_all(service.tcp[i].route, indexed("spec.tcp", i))) return wait;
  for (std::size_t i = 0; i < service.gateways.size(); ++i) {
    const std::string& gateway = service.gateways[i];
    if (gateway == "mesh" || index.has_gateway(gateway, object.meta.namespace_)) continue;
    return Wait{"waits for Gateway " + gateway + ": there is none of that name", indexed("spec.gateways", i)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Wait> first_wait(const model::Object& object, const RegistryIndex& index, const model::MeshConfig& config) {
  if (const auto* service = std::get_if<model::VirtualService>(&object.spec))
    return wait_of_virtual_service(object, *service, index, config);
  if (const auto* rule = std::get_if<model::DestinationRule>(&object.spec)) {
    const std::string host = fqdn(rule->host, object.meta.namespace_, config.cluster_domain);
    if (host.starts_with('*') || index.has_host(host)) return std::nullopt;
    return Wait{"waits for host " + host + ": no Service or ServiceEntry has it", "spec.host", false};
  }
  return std::nullopt;
}

}  // namespace lateen::admit
