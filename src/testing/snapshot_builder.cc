#include "testing/snapshot_builder.h"

#include "runtime/path_index.h"

namespace lateen::testing {

SnapshotBuilder::SnapshotBuilder() {
  virtual_host_.name = "all";
  http_.stat_prefix = "in";
  http_.route_table = "routes";
}

runtime::ClusterId SnapshotBuilder::cluster(const std::string& name, runtime::Cluster policy) {
  const runtime::ClusterId id = names_.id(name);
  if (id >= next_.clusters.size()) {
    next_.clusters.resize(id + 1);
    next_.endpoints.resize(id + 1);
  }
  policy.name = name;
  policy.id = id;
  next_.clusters[id] = std::make_shared<const runtime::Cluster>(std::move(policy));
  return id;
}

void SnapshotBuilder::remove_cluster(const std::string& name) {
  next_.clusters[names_.id(name)] = nullptr;
  next_.endpoints[names_.id(name)] = nullptr;
}

void SnapshotBuilder::endpoints(const std::string& name, const std::vector<net::Address>& addresses) {
  std::vector<runtime::Endpoint> list;
  for (const net::Address& address : addresses) {
    runtime::Endpoint endpoint;
    endpoint.host = address.host;
    endpoint.port = address.port;
    list.push_back(std::move(endpoint));
  }
  endpoints(name, std::move(list));
}

void SnapshotBuilder::endpoints(const std::string& name, std::vector<runtime::Endpoint> list,
                                std::vector<std::map<std::string, std::string>> transport_metadata) {
  runtime::EndpointSet set;
  set.endpoints = std::move(list);
  set.transport_metadata.assign(transport_metadata.begin(), transport_metadata.end());
  endpoint_set(name, std::move(set));
}

void SnapshotBuilder::endpoint_set(const std::string& name, runtime::EndpointSet set) {
  next_.endpoints[names_.id(name)] = std::make_shared<const runtime::EndpointSet>(std::move(set));
}

runtime::Route SnapshotBuilder::forward(const std::vector<std::string>& clusters) {
  runtime::Forward forward;
  for (const std::string& name : clusters) {
    runtime::WeightedCluster target;
    target.name = name;
    target.id = names_.id(name);
    target.weight = 1;
    forward.clusters.push_back(std::move(target));
    ++forward.weight_total;
  }
  runtime::Route route;
  route.name = "default";
  route.match.path = "/";
  route.action = std::move(forward);
  return route;
}

void SnapshotBuilder::routes(std::vector<runtime::Route> routes) {
  for (std::uint32_t i = 0; i < routes.size(); ++i) routes[i].index = i;
  virtual_host_.routes = {routes.begin(), routes.end()};
  routes_changed_ = true;
}

void SnapshotBuilder::secret(runtime::Secret secret) {
  const std::string name = secret.name;
  next_.secrets[name] = std::make_shared<const runtime::Secret>(std::move(secret));
}

void SnapshotBuilder::listener(runtime::Listener listener) {
  const std::string name = listener.name;
  next_.listeners[name] = std::make_shared<const runtime::Listener>(std::move(listener));
}

std::shared_ptr<const runtime::Snapshot> SnapshotBuilder::build() {
  ++next_.generation;
  if (routes_changed_) {
    auto host = std::make_shared<runtime::VirtualHost>(virtual_host_);
    host->index = runtime::PathIndex::build_if_many(host->routes);
    auto table = std::make_shared<runtime::RouteTable>();
    table->name = "routes";
    table->virtual_hosts.push_back(std::move(host));
    table->any = 0;
    next_.route_tables["routes"] = std::move(table);
    routes_changed_ = false;
  }
  runtime::Listener in;
  in.name = "in";
  runtime::FilterChain chain;
  chain.handler = http_;
  in.filter_chains.push_back(std::move(chain));
  if (change_listener) change_listener(in);
  listener(std::move(in));
  return std::make_shared<const runtime::Snapshot>(next_);
}

}  // namespace lateen::testing
