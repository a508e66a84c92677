// SnapshotBuilder: snapshots by hand, for tests of the traffic code without xDS.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "runtime/snapshot.h"

namespace lateen::testing {

// Successive build()s are successive snapshots of one view: what was not touched is shared by pointer.
class SnapshotBuilder {
 public:
  SnapshotBuilder();

  // Adds a cluster or replaces it. Its id and name are set here.
  runtime::ClusterId cluster(const std::string& name, runtime::Cluster policy = {});
  void remove_cluster(const std::string& name);
  void endpoints(const std::string& name, const std::vector<net::Address>& addresses);
  void endpoints(const std::string& name, std::vector<runtime::Endpoint> list,
                 std::vector<std::map<std::string, std::string>> transport_metadata = {});
  // The whole set, where localities or drops matter.
  void endpoint_set(const std::string& name, runtime::EndpointSet set);

  // A route for all requests to `clusters` with equal weights. To be changed and given to route().
  runtime::Route forward(const std::vector<std::string>& clusters);
  static runtime::Forward& forward_of(runtime::Route& route) { return std::get<runtime::Forward>(route.action); }
  // The table "routes": one virtual host for everything, with these routes.
  void routes(std::vector<runtime::Route> routes);
  // Called on the virtual host of the last routes().
  runtime::VirtualHost& virtual_host() { return virtual_host_; }

  // The listener "in" with one HTTP chain that uses the table "routes".
  runtime::HttpConnectionSettings& http() { return http_; }
  // Called on the listener "in" by every build(); may be empty.
  std::function<void(runtime::Listener&)> change_listener;
  void secret(runtime::Secret secret);
  // More listeners.
  void listener(runtime::Listener listener);

  std::shared_ptr<const runtime::Snapshot> build();

 private:
  runtime::ClusterNames names_;
  runtime::VirtualHost virtual_host_;
  bool routes_changed_ = true;
  runtime::HttpConnectionSettings http_;
  runtime::Snapshot next_;
};

}  // namespace lateen::testing
