#include "translate/gateway_servers.h"

#include <algorithm>

#include "translate/names.h"

namespace lateen::translate {
namespace {

// "./host" is the Gateway's own namespace, "*/host" any.
std::string plain_host(const std::string& host, const std::string& own_namespace) {
  const std::size_t slash = host.find('/');
  if (slash == std::string::npos) return lower(host);
  const std::string namespace_ = host.substr(0, slash);
  const std::string name = lower(host.substr(slash + 1));
  if (namespace_ == "*") return name;
  return (namespace_ == "." ? own_namespace : namespace_) + "/" + name;
}

// Behind a Service the workload listens on the target port, which clients reach as the Service's port.
std::uint32_t listening_port(const Scope& scope, std::uint32_t port) {
  const auto& own = scope.view.addresses;
  for (const auto& [host, service] : scope.services) {
    const Port* of_service = own.empty() ? nullptr : service->find_port(port);
    if (of_service == nullptr) continue;
    for (const Endpoint& endpoint : service->endpoints[service->port_index(*of_service)])
      if (std::find(own.begin(), own.end(), endpoint.address) != own.end()) return endpoint.port;
  }
  return port;
}

void leave_out(const GatewayServerSource& source, std::string text, Origin because_of, Notes notes) {
  for (const std::string& host : source.hosts)
    notes.left_out.push_back({LeftOut::Why::kOther, source.origin(), because_of, text, host, source.server->port});
}

void add_server(const Scope& scope, Notes notes, GatewayServerSource source,
                std::map<std::string, GatewayListener>& out) {
  const Protocol protocol = parse_protocol(source.server->protocol);
  if (is_tls(protocol)) {
    leave_out(source, "TLS servers are not carried out yet", {}, notes);
    return;
  }
  const bool http = is_http(protocol);
  GatewayListener wanted;
  wanted.port = listening_port(scope, source.server->port);
  wanted.http = http;
  wanted.route_table = "http." + std::to_string(wanted.port);
  if (!source.server->bind.empty()) {
    wanted.bind = source.server->bind;
    wanted.route_table += "." + wanted.bind;
  }
  const auto [it, is_new] = out.try_emplace(wanted.bind + "_" + std::to_string(wanted.port), wanted);
  GatewayListener& listener = it->second;
  if (!is_new && (listener.http != http || !http)) {
    leave_out(source, "another server has this port already", listener.servers.front().origin(), notes);
    return;
  }
  listener.servers.push_back(std::move(source));
}

}  // namespace

std::vector<std::string> GatewayServerSource::hosts_for(const std::string& namespace_) const {
  std::vector<std::string> out;
  for (const std::string& host : hosts) {
    const std::size_t slash = host.find('/');
    if (slash == std::string::npos) out.push_back(host);
    else if (host.substr(0, slash) == namespace_) out.push_back(host.substr(slash + 1));
  }
  return out;
}

Origin GatewayServerSource::origin() const { return object->origin("spec.servers[" + std::to_string(index) + "]"); }

std::map<std::string, GatewayListener> gateway_listeners(const Scope& scope, Notes notes) {
  auto all = scope.mesh.all<model::Gateway>(model::Kind::kGateway);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return model::older(*a.first, *b.first); });
  std::map<std::string, GatewayListener> out;
  for (const auto& [object, gateway] : all) {
    if (!selects(gateway->selector, scope.view.labels)) continue;
    const std::string& own = object->meta.namespace_;
    for (std::size_t i = 0; i < gateway->servers.size(); ++i) {
      GatewayServerSource source{object, &gateway->servers[i], i, own + "/" + object->meta.name, {}};
      for (const std::string& host : gateway->servers[i].hosts) source.hosts.push_back(plain_host(host, own));
      add_server(scope, notes, std::move(source), out);
    }
  }
  return out;
}

std::vector<std::string> common_hosts(const std::vector<std::string>& servers, const std::vector<std::string>& rules) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& host) {
    if (std::find(out.begin(), out.end(), host) == out.end()) out.push_back(host);
  };
  for (const std::string& server : servers)
    for (const std::string& rule : rules) {
      if (host_within(server, rule)) add(server);
      else if (host_within(rule, server)) add(rule);
    }
  return out;
}

}  // namespace lateen::translate
