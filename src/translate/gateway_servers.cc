#include "translate/gateway_servers.h"

#include <algorithm>
#include <set>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

constexpr const char* kNoTranslation = "experimental.istio.io/disable-gateway-port-translation";

// "./host" is the Gateway's own namespace, "*/host" any; "*/*" stands for the whole list.
std::vector<std::string> plain_hosts(const std::vector<std::string>& hosts, const std::string& own_namespace) {
  std::vector<std::string> out;
  for (const std::string& host : hosts) {
    const std::size_t slash = host.find('/');
    if (slash == std::string::npos) {
      out.push_back(host);
      continue;
    }
    const std::string namespace_ = host.substr(0, slash), name = host.substr(slash + 1);
    if (namespace_ == "*" && name == "*") return {"*"};
    if (namespace_ == "*") out.push_back(name);
    else out.push_back((namespace_ == "." ? own_namespace : namespace_) + "/" + name);
  }
  return out;
}

std::string without_namespace(const std::string& host) { return host.substr(host.find('/') + 1); }

// Behind a Service the workload listens on the target port, which clients reach as the Service's port.
std::uint32_t listening_port(const Scope& scope, std::uint32_t port) {
  const auto& own = scope.view.addresses;
  std::vector<const Service*> by_age;
  for (const auto& [host, service] : scope.services)
    if (!service->object->meta.labels.contains(kNoTranslation)) by_age.push_back(service);
  std::stable_sort(by_age.begin(), by_age.end(),
                   [](const Service* a, const Service* b) { return a->object->meta.created < b->object->meta.created; });
  for (const Service* service : by_age) {
    const Port* of_service = own.empty() ? nullptr : service->find_port(port);
    if (of_service == nullptr) continue;
    for (const Endpoint& endpoint : service->endpoints[service->port_index(*of_service)])
      if (std::find(own.begin(), own.end(), endpoint.address) != own.end()) return endpoint.port;
  }
  return port;
}

bool is_http_server(const GatewayServerSource& source) {
  const Protocol protocol = parse_protocol(source.server->protocol);
  return is_http(protocol) || (protocol == Protocol::kHttps && !source.is_passthrough());
}

bool is_tls_server(const GatewayServerSource& source) {
  return source.has_tls() && !is_http(parse_protocol(source.server->protocol));
}

std::string table_of(const GatewayServerSource& source, std::uint32_t port) {
  const model::GatewayServer& server = *source.server;
  const std::string bind = server.bind.empty() ? std::string() : "." + server.bind;
  const Protocol protocol = parse_protocol(server.protocol);
  if (is_http(protocol)) return "http." + std::to_string(port) + bind;
  if (protocol != Protocol::kHttps || source.is_passthrough()) return {};
  return "https." + std::to_string(server.port) + "." + server.port_name + "." + source.object->meta.name + "." +
         source.object->meta.namespace_ + bind;
}

// Puts servers together, one after the other.
class Merger {
 public:
  Merger(MergedGateway& out, Notes notes) : out_(out), notes_(notes) {}

  void add(const GatewayServerSource& source, std::uint32_t port) {
    if (source.has_tls() && !claim_names(source, port)) return;
    if (source.is_auto_passthrough()) out_.auto_passthrough = true;
    if (ports_.insert(port).second) return add_new(source, port);
    const auto plain = plain_.find(port);
    if (plain != plain_.end()) return add_beside_plain(source, port, out_.ports[plain->second]);
    if (!is_tls_server(source)) return add_new(source, port);
    if (is_http_server(source)) {
      if (out_.by_table.contains(source.route_table)) return leave_out(source, "another server has its name already", port);
      out_.by_table[source.route_table] = {&source};
    }
    append(source, port);
  }

 private:
  // Two chains of a listener may not take the same names.
  bool claim_names(const GatewayServerSource& source, std::uint32_t port) {
    auto& names = names_[port];
    for (const std::string& host : source.hosts)
      if (const auto it = names.find(host); it != names.end() && it->second == source.server->bind) {
        leave_out(source, "another server has the host " + host + " on this port already", port);
        return false;
      }
    for (const std::string& host : source.hosts) names[host] = source.server->bind;
    return true;
  }

  void add_new(const GatewayServerSource& source, std::uint32_t port) {
    if (!is_tls_server(source)) plain_[port] = out_.ports.size();
    if (is_http_server(source)) out_.by_table[source.route_table] = {&source};
    out_.ports.push_back({source.server->bind, port, source.server->protocol, {&source}});
  }

  void append(const GatewayServerSource& source, std::uint32_t port) {
    if (GatewayPort* same = find(source, port)) same->servers.push_back(&source);
    else out_.ports.push_back({source.server->bind, port, source.server->protocol, {&source}});
  }

  void add_beside_plain(const GatewayServerSource& source, std::uint32_t port, GatewayPort& plain) {
    const Protocol own = parse_protocol(source.server->protocol);
    if (plain.bind == source.server->bind) {
      if (!is_http(own) || !is_http(parse_protocol(plain.protocol)) || source.route_table.empty())
        return leave_out(source, "another server has this port already", port);
      plain.servers.push_back(&source);
      out_.by_table[source.route_table].push_back(&source);
      return;
    }
    GatewayPort* same = find(source, port);
    if (same == nullptr) return add_new(source, port);
    same->servers.push_back(&source);
    out_.by_table[source.route_table].push_back(&source);
  }

  GatewayPort* find(const GatewayServerSource& source, std::uint32_t port) {
    const auto it = std::find_if(out_.ports.begin(), out_.ports.end(), [&](const GatewayPort& entry) {
      return entry.port == port && entry.bind == source.server->bind && entry.protocol == source.server->protocol;
    });
    return it == out_.ports.end() ? nullptr : &*it;
  }

  void leave_out(const GatewayServerSource& source, const std::string& text, std::uint32_t port) {
    Origin winner;
    for (const GatewayPort& entry : out_.ports)
      if (entry.port == port && entry.bind == source.server->bind) winner = entry.servers.front()->origin();
    for (const std::string& host : source.hosts)
      notes_.left_out.push_back({LeftOut::Why::kOther, source.origin(), winner, text, host, source.server->port});
  }

  MergedGateway& out_;
  Notes notes_;
  std::set<std::uint32_t> ports_;
  std::map<std::uint32_t, std::size_t> plain_;   // the last plain text server of a port
  std::map<std::uint32_t, std::map<std::string, std::string>> names_;
};

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

std::vector<std::string> GatewayServerSource::server_names() const {
  std::set<std::string> out;
  for (const std::string& host : hosts) out.insert(without_namespace(host));
  return {out.begin(), out.end()};
}

bool GatewayServerSource::is_passthrough() const {
  return has_tls() && (server->tls->mode.empty() || server->tls->mode == "PASSTHROUGH" || is_auto_passthrough());
}
bool GatewayServerSource::is_auto_passthrough() const { return has_tls() && server->tls->mode == "AUTO_PASSTHROUGH"; }

Origin GatewayServerSource::origin() const { return object->origin("spec.servers[" + std::to_string(index) + "]"); }

bool GatewayPort::http() const { return is_http(parse_protocol(protocol)); }

MergedGateway merged_gateway(const Scope& scope, Notes notes) {
  auto all = scope.mesh.all<model::Gateway>(model::Kind::kGateway);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return model::older(*a.first, *b.first); });
  MergedGateway out;
  Merger merger(out, notes);
  for (const auto& [object, gateway] : all) {
    if (!selects(gateway->selector, scope.view.labels)) continue;
    const std::string& own = object->meta.namespace_;
    for (std::size_t i = 0; i < gateway->servers.size(); ++i) {
      GatewayServerSource& source = out.sources.emplace_back();
      source = {object, &gateway->servers[i], i, own + "/" + object->meta.name, plain_hosts(gateway->servers[i].hosts, own), {}};
      const std::uint32_t port = listening_port(scope, gateway->servers[i].port);
      source.route_table = table_of(source, port);
      merger.add(source, port);
    }
  }
  return out;
}

bool has_auto_passthrough(const Scope& scope) {
  Provenance provenance;
  std::vector<LeftOut> left_out;   // told when the listeners are made
  return merged_gateway(scope, Notes{provenance, left_out}).auto_passthrough;
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
