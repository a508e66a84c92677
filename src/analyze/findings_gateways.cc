// Gateways that rules name and nobody wrote, and hosts that a gateway does not serve.
#include <algorithm>

#include "analyze/findings.h"
#include "text/edit_distance.h"
#include "translate/names.h"

namespace lateen::analyze {

namespace {

struct Found {
  const model::Object* object = nullptr;
  const model::Gateway* gateway = nullptr;
};

// "namespace/host" of a server: the namespace is that of the VirtualServices it takes.
bool serves(const model::GatewayServer& server, const std::string& host, const model::Object& rule, const model::Object& gateway) {
  return std::any_of(server.hosts.begin(), server.hosts.end(), [&](const std::string& served) {
    const auto slash = served.find('/');
    const std::string space = slash == std::string::npos ? "*" : served.substr(0, slash);
    const std::string name = slash == std::string::npos ? served : served.substr(slash + 1);
    if (space != "*" && (space == "." ? gateway.meta.namespace_ : space) != rule.meta.namespace_) return false;
    return translate::hosts_match(translate::lower(name), translate::lower(host));
  });
}

std::string hosts_text(const model::Gateway& gateway) {
  std::vector<std::string> hosts;
  for (const model::GatewayServer& server : gateway.servers) hosts.insert(hosts.end(), server.hosts.begin(), server.hosts.end());
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  std::string text;
  for (const std::string& host : hosts) text += (text.empty() ? "" : ", ") + host;
  return text;
}

}  // namespace

void find_gateways(Findings& findings) {
  std::map<std::string, Found> gateways;
  for (const auto& [object, gateway] : findings.all<model::Gateway>(model::Kind::kGateway)) gateways[object->meta.namespace_ + "/" + object->meta.name] = {object, gateway};
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService))
    for (std::size_t i = 0; i < service->gateways.size(); ++i) {
      const std::string& name = service->gateways[i];
      if (name == "mesh") continue;
      const auto found = gateways.find(translate::gateway_key(name, object->meta.namespace_));
      if (found == gateways.end()) {
        std::vector<std::string_view> names;
        for (const auto& [key, gateway] : gateways) names.push_back(key);
        const auto guess = text::closest(translate::gateway_key(name, object->meta.namespace_), names);
        findings.add(Finding::kNoGateway, *object, item("spec.gateways", i), {name, guess ? "did you mean " + std::string(*guess) + "?" : "write a Gateway of this name, or gateways: [mesh] for traffic inside the mesh"});
        continue;
      }
      for (std::size_t j = 0; j < service->hosts.size(); ++j)
        if (const auto& [owner, gateway] = found->second;
            std::none_of(gateway->servers.begin(), gateway->servers.end(), [&](const model::GatewayServer& server) { return serves(server, service->hosts[j], *object, *owner); }))
          findings.add(Finding::kHostNotOnGateway, *object, item("spec.hosts", j), {name, service->hosts[j], hosts_text(*gateway)});
    }
}

}  // namespace lateen::analyze
