// ProxyScene: a whole proxy in a virtual network: a control loop, some workers, one listening port. All on one thread.
#pragma once

#include <memory>
#include <vector>

#include "proxy/proxy.h"
#include "testing/names_in_memory.h"
#include "testing/snapshot_builder.h"
#include "testing/virtual_loop.h"

namespace lateen::testing {

class ProxyScene {
 public:
  struct Options {
    unsigned workers = 1;
    std::uint64_t seed = 1;
    NetworkOptions network = NetworkOptions::calm();
  };
  explicit ProxyScene(const Options& options);
  ~ProxyScene();

  VirtualNetwork& network() { return *network_; }
  VirtualLoop& outside() { return *outside_; }        // for clients and upstreams
  SnapshotBuilder& config() { return config_; }
  NamesInMemory& names() { return *names_; }          // what the proxy resolves names by
  // Makes what config() says the configuration; every worker has it when this returns.
  void apply();
  // Opens the listener "in". Port 0 takes a free one.
  net::Address listen(const proxy::ListenSpec& spec);
  net::Address listen();
  proxy::Proxy& proxy() { return *proxy_; }
  proxy::ViewId view() const { return view_; }
  // Ends the proxy; nothing of it may be left in the network then.
  void stop();

 private:
  std::unique_ptr<VirtualNetwork> network_;
  std::unique_ptr<VirtualLoop> outside_, control_;
  std::vector<std::unique_ptr<VirtualLoop>> worker_loops_;
  NamesInMemory* names_ = nullptr;                    // the proxy owns it
  SnapshotBuilder config_;
  std::unique_ptr<proxy::Proxy> proxy_;
  proxy::ViewId view_ = 0;
};

}  // namespace lateen::testing
