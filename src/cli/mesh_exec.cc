#include "cli/mesh_exec.h"

#include <algorithm>
#include <cctype>
#include <unistd.h>

#include "translate/names.h"

namespace lateen::cli {

namespace {

constexpr std::uint32_t kVirtualAddressesMax = 65'000;

std::uint64_t name_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

std::string listener_name(ExecServer::SessionId id, const std::pair<std::uint16_t, int>& captured) {
  return "exec-" + std::to_string(id) + "-" + std::to_string(captured.first) + "-" + std::to_string(captured.second);
}

// IPv4 before IPv6; ranges are not addresses that a name can resolve to.
std::vector<std::string> usable_addresses(const std::vector<std::string>& given) {
  std::vector<std::string> addresses;
  for (const std::string& address : given)
    if (translate::is_ip(address)) addresses.push_back(address);
  std::stable_partition(addresses.begin(), addresses.end(),
                        [](const std::string& address) { return address.find(':') == std::string::npos; });
  return addresses;
}

void add_ports(const std::vector<model::ServicePort>& ports, ExecService& service) {
  for (const model::ServicePort& port : ports)
    if (port.number > 0 && port.number <= 65'535) service.ports.push_back(static_cast<std::uint16_t>(port.number));
}

ExecService of_service(const model::Object& object, const model::Service& spec, const std::string& domain,
                       const std::string& client_namespace, VirtualAddresses& addresses) {
  ExecService service;
  const std::string& name = object.meta.name;
  const std::string in_namespace = name + "." + object.meta.namespace_;
  service.name = name;
  if (object.meta.namespace_ == client_namespace) service.hosts.push_back(translate::lower(name));
  for (const std::string& host : {in_namespace, in_namespace + ".svc", in_namespace + ".svc." + domain})
    service.hosts.push_back(translate::lower(host));
  std::vector<std::string> given = spec.cluster_ips;
  if (given.empty()) given.push_back(spec.cluster_ip);
  service.addresses = usable_addresses(given);
  if (service.addresses.empty()) service.addresses.push_back(addresses.address(service.hosts.back()));
  add_ports(spec.ports, service);
  return service;
}

ExecService of_entry(const std::string& host, const model::Object& object, const model::ServiceEntry& spec,
                     VirtualAddresses& addresses, const std::string& domain) {
  ExecService service;
  service.name = host;
  service.hosts.push_back(translate::lower(host));
  if (const std::string full = translate::resolve_host(host, object.meta.namespace_, domain); full != host)
    service.hosts.push_back(translate::lower(full));
  service.addresses = usable_addresses(spec.addresses);
  if (service.addresses.empty()) service.addresses.push_back(addresses.address(service.hosts.back()));
  add_ports(spec.ports, service);
  return service;
}

}  // namespace

const std::string& VirtualAddresses::address(const std::string& host) {
  std::string& address = by_host_[host];
  if (!address.empty()) return address;
  std::uint32_t slot = static_cast<std::uint32_t>(name_hash(host) % kVirtualAddressesMax);
  for (std::uint32_t tries = 0; tries < kVirtualAddressesMax; ++tries, slot = (slot + 1) % kVirtualAddressesMax) {
    const std::uint32_t number = slot + 1;  // 240.240.0.1 is the first
    address = "240.240." + std::to_string(number >> 8) + "." + std::to_string(number & 0xff);
    if (taken_.insert(address).second) break;
  }
  return address;
}

std::vector<ExecService> exec_services(const model::Mesh& mesh, const std::string& namespace_, VirtualAddresses& addresses) {
  std::vector<ExecService> services;
  for (const auto& [object, spec] : mesh.all<model::Service>(model::Kind::kService))
    services.push_back(of_service(*object, *spec, mesh.config.cluster_domain, namespace_, addresses));
  for (const auto& [object, spec] : mesh.all<model::ServiceEntry>(model::Kind::kServiceEntry)) {
    if (!translate::exported(spec->export_to, object->meta.namespace_, namespace_)) continue;
    for (const std::string& host : spec->hosts)
      services.push_back(of_entry(host, *object, *spec, addresses, mesh.config.cluster_domain));
  }
  std::erase_if(services, [](const ExecService& service) { return service.ports.empty(); });
  if (services.size() > kExecServicesMax) services.resize(kExecServicesMax);
  return services;
}

Result<std::unique_ptr<MeshExec>> MeshExec::start(net::Loop& loop, const Options& options, proxy::Proxy& proxy,
                                                  MeshViews& views, const model::Mesh& mesh) {
  std::unique_ptr<MeshExec> exec(new MeshExec(options.workers, proxy, views, mesh));
  MeshExec* self = exec.get();
  ExecServer::Events events;
  events.on_hello = [self](ExecServer::SessionId id, const ExecHello& hello) { self->on_hello(id, hello); };
  events.on_sockets = [self](ExecServer::SessionId id, const ExecSockets& sockets, std::vector<int> descriptors) {
    self->on_sockets(id, sockets, std::move(descriptors));
  };
  events.on_closed = [self](ExecServer::SessionId id) { self->on_closed(id); };
  LATEEN_TRY(exec->server_, ExecServer::start(loop, options.server, std::move(events)));
  return exec;
}

ExecServices MeshExec::services_for(const Identity& identity) {
  ExecServices services;
  services.identity = identity.namespace_ + "/" + identity.name;
  services.workers = std::min<std::uint32_t>(workers_, static_cast<std::uint32_t>(kExecDescriptorsMax));
  const std::string& domain = mesh_.config.cluster_domain;
  services.search = {identity.namespace_ + ".svc." + domain, "svc." + domain, domain};
  services.services = exec_services(mesh_, identity.namespace_, addresses_);
  return services;
}

void MeshExec::on_hello(ExecServer::SessionId id, const ExecHello& hello) {
  const auto refuse = [&](const std::string& message) {
    // A session that cannot be told has ended by itself.
    static_cast<void>(server_->post(id, ExecError{message}));
  };
  auto identity = parse_identity(hello.identity);
  if (!identity) return refuse(identity.error().message);
  identity->labels = hello.labels;
  const auto view = views_.workload(*identity, mesh_);
  if (!view) return refuse(view.error().message);
  Session& session = sessions_[id];
  session.identity = *std::move(identity);
  session.view = (*view)->id;
  tell(id, session);
}

void MeshExec::tell(ExecServer::SessionId id, Session& session) {
  ExecServices services = services_for(session.identity);
  if (services == session.told) return;
  const std::vector<Captured> captured = captured_ports(services);
  const std::set<Captured> still(captured.begin(), captured.end());
  for (auto it = session.listening.begin(); it != session.listening.end();) {
    if (still.contains(*it)) {
      ++it;
      continue;
    }
    proxy_.close_listener(listener_name(id, *it));
    it = session.listening.erase(it);
  }
  session.told = services;
  if (auto posted = server_->post(id, std::move(services)); !posted)
    static_cast<void>(server_->post(id, ExecError{posted.error().message}));
}

void MeshExec::on_sockets(ExecServer::SessionId id, const ExecSockets& sockets, std::vector<int> descriptors) {
  const Captured captured{sockets.port, sockets.family};
  const auto session = sessions_.find(id);
  const bool wanted = session != sessions_.end() && !session->second.listening.contains(captured);
  if (!wanted) {
    for (const int descriptor : descriptors) ::close(descriptor);
    return;
  }
  proxy::ListenSpec spec;
  spec.kind = proxy::ListenSpec::Kind::kCapture;
  spec.view = session->second.view;
  const auto listening = proxy_.listen_on(listener_name(id, captured), std::move(descriptors), spec);
  if (listening) {
    session->second.listening.insert(captured);
  } else {
    static_cast<void>(server_->post(id, ExecError{listening.error().message}));
  }
}

void MeshExec::on_closed(ExecServer::SessionId id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  for (const Captured& captured : session->second.listening) proxy_.close_listener(listener_name(id, captured));
  sessions_.erase(session);
}

void MeshExec::update() {
  for (auto& [id, session] : sessions_) tell(id, session);
}

}  // namespace lateen::cli
