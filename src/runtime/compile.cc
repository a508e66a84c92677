// What is shared, what is compiled anew, and what stays as it was because its successor was refused. How a resource is
// read stands in compile_cluster, compile_endpoints, compile_listener and compile_route.
#include "runtime/compile.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <google/protobuf/arena.h>

#include <iterator>
#include <unordered_map>

#include "runtime/compile_cluster.h"
#include "runtime/compile_endpoints.h"
#include "runtime/compile_listener.h"
#include "runtime/compile_route.h"
#include "runtime/compile_tls.h"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;

std::uint64_t combine(std::uint64_t a, std::uint64_t b) { return (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xff51afd7ed558ccdu; }

template <class T>
std::shared_ptr<const T> at(const std::vector<std::shared_ptr<const T>>& all, ClusterId id) {
  return id < all.size() ? all[id] : nullptr;
}

class Compiler {
 public:
  Compiler(const xds::Resources& resources, const Snapshot* previous, ClusterNames& names)
      : resources_(resources), previous_(previous == nullptr ? kNothing : *previous), names_(names) {}

  Compiled run() {
    for (const auto& [name, parts] : resources_.routes) compile_routes(name, parts);
    for (const auto& [name, resource] : resources_.listeners) compile_one_listener(*resource);
    for (const auto& [name, resource] : resources_.clusters) compile_one_cluster(*resource);
    for (const auto& [name, resource] : resources_.secrets) compile_one_secret(*resource);
    add_named_secrets();
    made_->clusters.resize(names_.size());
    made_->endpoints.resize(names_.size());
    made_->generation = previous_.generation + 1;
    out_.snapshot = std::move(made_);
    return std::move(out_);
  }

 private:
  // Parses into the arena, which is emptied from time to time: most of the time of compiling is memory.
  template <class Proto>
  const Proto* parse(const xds::Resource& resource, Fields& fields) {
    if (++parsed_ % kParsedPerArena == 0) arena_.Reset();
    auto* proto = google::protobuf::Arena::CreateMessage<Proto>(&arena_);
    if (proto->ParseFromString(resource.bytes)) return proto;
    fields.refuse("does not parse");
    return nullptr;
  }

  // Takes over what there is to tell of one resource. True if it was refused.
  bool tell(const Fields& fields) {
    const auto append = [](const std::vector<Error>& from, std::vector<Error>& to) { to.insert(to.end(), from.begin(), from.end()); };
    append(fields.refused(), out_.refused);
    append(fields.unsupported(), out_.refused);  // what nobody below the resource could answer for
    append(fields.notes(), out_.notes);
    return !fields.refused().empty() || !fields.unsupported().empty();
  }

  void compile_routes(const std::string& name, const xds::RouteConfigurationParts& parts);
  std::shared_ptr<const VirtualHost> compile_host(const std::string& table, const xds::Resource& resource, bool& refused);
  void compile_one_listener(const xds::Resource& resource);
  void compile_one_cluster(const xds::Resource& resource);
  void compile_one_secret(const xds::Resource& resource);
  void add_named_secrets();
  void add_named_secrets(const CommonTls& tls);
  void add_named_secret(const std::string& name);
  std::shared_ptr<const EndpointSet> endpoints_of(const Cluster& cluster);

  static constexpr int kParsedPerArena = 64;
  static const Snapshot kNothing;

  const xds::Resources& resources_;
  const Snapshot& previous_;
  ClusterNames& names_;
  std::unique_ptr<Snapshot> made_ = std::make_unique<Snapshot>();
  Compiled out_;
  SharedParts parts_;
  google::protobuf::Arena arena_;
  int parsed_ = 0;
  // Of the table that is being compiled: its virtual hosts in the snapshot before, by name.
  std::unordered_map<std::string_view, std::shared_ptr<const VirtualHost>> hosts_before_;
};

const Snapshot Compiler::kNothing;

std::shared_ptr<const VirtualHost> Compiler::compile_host(const std::string& table, const xds::Resource& resource, bool& refused) {
  const auto before = hosts_before_.find(resource.name);
  if (before != hosts_before_.end() && before->second->content_hash == resource.hash) return before->second;
  Fields fields("route " + table + ", virtual host " + resource.name, parts_);
  const auto* proto = parse<route::VirtualHost>(resource, fields);
  auto host = proto == nullptr ? nullptr : compile_virtual_host(*proto, resource.hash, names_, fields);
  refused = tell(fields);
  if (!refused) return host;
  if (before != hosts_before_.end()) return before->second;
  const std::vector<Error>& why = fields.refused().empty() ? fields.unsupported() : fields.refused();
  return proto == nullptr ? nullptr : refused_virtual_host(*proto, why.front().message);
}

void Compiler::compile_routes(const std::string& name, const xds::RouteConfigurationParts& parts) {
  std::uint64_t hash = combine(parts.shell->hash, parts.virtual_hosts.size());
  for (const xds::ResourcePtr& host : parts.virtual_hosts) hash = combine(hash, host->hash);
  const auto before = previous_.route_tables.find(name);
  const bool known = before != previous_.route_tables.end();
  if (known && before->second->content_hash == hash) {
    made_->route_tables.emplace(name, before->second);
    return;
  }
  hosts_before_.clear();
  if (known)
    for (const auto& host : before->second->virtual_hosts) hosts_before_.emplace(host->name, host);
  bool any_refused = false;
  std::vector<std::shared_ptr<const VirtualHost>> hosts;
  hosts.reserve(parts.virtual_hosts.size());
  for (const xds::ResourcePtr& resource : parts.virtual_hosts) {
    bool refused = false;
    if (auto host = compile_host(name, *resource, refused)) hosts.push_back(std::move(host));
    any_refused = any_refused || refused;
  }
  Fields fields("route " + name, parts_);
  const auto* shell = parse<route::RouteConfiguration>(*parts.shell, fields);
  if (shell != nullptr && shell->virtual_hosts_size() > 0) fields.refuse("virtual hosts must travel singly, not inside their RouteConfiguration");
  auto table = shell == nullptr ? nullptr : compile_route_table(*shell, std::move(hosts), known ? before->second.get() : nullptr, fields);
  any_refused = tell(fields) || any_refused;
  if (table == nullptr) {
    if (known) made_->route_tables.emplace(name, before->second);
    return;
  }
  table->content_hash = any_refused ? 0 : hash;
  made_->route_tables.emplace(name, std::move(table));
}

void Compiler::compile_one_listener(const xds::Resource& resource) {
  const auto before = previous_.listeners.find(resource.name);
  const bool known = before != previous_.listeners.end();
  const auto keep = [&] {
    made_->listeners.emplace(resource.name, before->second);
    const std::string prefix = "listener/" + resource.name + '/';
    for (auto it = previous_.route_tables.lower_bound(prefix); it != previous_.route_tables.end() && it->first.starts_with(prefix); ++it)
      made_->route_tables.emplace(*it);
  };
  if (known && before->second->content_hash == resource.hash) return keep();
  Fields fields("listener " + resource.name, parts_);
  const auto* proto = parse<envoy::config::listener::v3::Listener>(resource, fields);
  CompiledListener compiled;
  if (proto != nullptr) compiled = compile_listener(*proto, resource.hash, names_, fields);
  tell(fields);
  if (compiled.listener == nullptr) {
    if (known) keep();
    return;
  }
  made_->listeners.emplace(resource.name, std::move(compiled.listener));
  for (auto& table : compiled.inline_tables) made_->route_tables.emplace(table->name, table);
}

std::shared_ptr<const EndpointSet> Compiler::endpoints_of(const Cluster& cluster) {
  const auto it = resources_.endpoints.find(cluster.endpoints_name);
  if (it == resources_.endpoints.end()) return nullptr;
  std::shared_ptr<const EndpointSet> before = at(previous_.endpoints, cluster.id);
  if (before != nullptr && before->content_hash == it->second->hash) return before;
  Fields fields("endpoints " + cluster.endpoints_name, parts_);
  const auto* proto = parse<envoy::config::endpoint::v3::ClusterLoadAssignment>(*it->second, fields);
  auto made = proto == nullptr ? nullptr : compile_endpoints(*proto, it->second->hash, fields);
  return tell(fields) ? before : made;
}

void Compiler::compile_one_cluster(const xds::Resource& resource) {
  const ClusterId id = names_.id(resource.name);
  made_->clusters.resize(names_.size());
  made_->endpoints.resize(names_.size());
  std::shared_ptr<const Cluster> cluster = at(previous_.clusters, id);
  std::shared_ptr<const EndpointSet> endpoints = at(previous_.endpoints, id);
  if (cluster == nullptr || cluster->content_hash != resource.hash) {
    parts_.add(names_.name(id));
    Fields fields("cluster " + resource.name, parts_);
    const auto* proto = parse<envoy::config::cluster::v3::Cluster>(resource, fields);
    CompiledCluster compiled;
    if (proto != nullptr) compiled = compile_cluster(*proto, resource.hash, id, fields);
    tell(fields);
    if (compiled.cluster != nullptr) {
      cluster = std::move(compiled.cluster);
      endpoints = std::move(compiled.endpoints);
    }
  }
  if (cluster == nullptr) return;
  if (cluster->discovery == Cluster::Discovery::kEds) endpoints = endpoints_of(*cluster);
  const std::string problem = endpoints == nullptr ? "" : transport_problem(*cluster, *endpoints);
  if (cluster->unsupported_by_endpoints == problem.empty() && (cluster->unsupported_by_endpoints || cluster->unsupported.empty())) {
    auto changed = std::make_shared<Cluster>(*cluster);
    changed->unsupported_by_endpoints = !problem.empty();
    changed->unsupported = problem;
    cluster = std::move(changed);
  }
  made_->clusters_by_name.push_back(id);  // resources come in the order of their names
  made_->clusters[id] = std::move(cluster);
  made_->endpoints[id] = std::move(endpoints);
}

void Compiler::compile_one_secret(const xds::Resource& resource) {
  const auto before = previous_.secrets.find(resource.name);
  const bool known = before != previous_.secrets.end();
  std::shared_ptr<const Secret> secret;
  if (!known || before->second->content_hash != resource.hash) {
    Fields fields("secret " + resource.name, parts_);
    const auto* proto = parse<envoy::extensions::transport_sockets::tls::v3::Secret>(resource, fields);
    if (proto != nullptr) secret = compile_secret(*proto, resource.hash, fields);
    tell(fields);
  }
  if (secret == nullptr && known) secret = before->second;
  if (secret != nullptr) made_->secrets.emplace(resource.name, std::move(secret));
}

// Names that say which file they mean need nobody to send them. Of the others, one that is still asked for and no longer
// sent stays what it was: connections must not break because a Secret went first, or came back without a key.
void Compiler::add_named_secret(const std::string& name) {
  if (name.empty() || made_->secrets.contains(name)) return;
  const auto before = previous_.secrets.find(name);
  const bool known = before != previous_.secrets.end();
  std::shared_ptr<const Secret> secret = name.starts_with("file-") ? file_secret(name) : nullptr;
  // The same object while it is the same file, so that nobody thinks it changed.
  if (known && (secret == nullptr || before->second->content_hash == secret->content_hash)) secret = before->second;
  if (secret != nullptr) made_->secrets.emplace(name, std::move(secret));
}

void Compiler::add_named_secrets(const CommonTls& tls) {
  for (const std::string& name : tls.certificate_secrets) add_named_secret(name);
  add_named_secret(tls.validation_secret);
}

void Compiler::add_named_secrets() {
  for (const auto& [name, listener] : made_->listeners) {
    for (const FilterChain& chain : listener->filter_chains)
      if (chain.tls != nullptr) add_named_secrets(chain.tls->common);
    if (listener->default_chain && listener->default_chain->tls != nullptr) add_named_secrets(listener->default_chain->tls->common);
  }
  for (const auto& cluster : made_->clusters) {
    if (cluster == nullptr) continue;
    if (cluster->transport.tls != nullptr) add_named_secrets(cluster->transport.tls->common);
    for (const auto& match : cluster->transport_matches)
      if (match.transport.tls != nullptr) add_named_secrets(match.transport.tls->common);
  }
}

}  // namespace

Compiled compile(const xds::Resources& resources, const Snapshot* previous, ClusterNames& names) {
  return Compiler(resources, previous, names).run();
}

}  // namespace lateen::runtime
