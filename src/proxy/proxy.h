// Proxy: the data plane of one process. Workers (one loop, one thread each), views, listening sockets, cluster state.
//
// Everything here is called from the control thread (the one that runs `control_loop`); the proxy talks to its workers
// by mailbox. It knows nothing of Istio: it is given runtime::Snapshots and told where to listen.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/loop.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

using ViewId = std::uint32_t;

struct Options {
  unsigned concurrency = 0;            // workers; 0: one a core
  std::string access_log;              // "" off, "-" standard output, else a file; batched, drops counted
  std::uint64_t seed = 0;              // for load balancing, faults, jitter; 0: from the system
  bool reuse_port = false;             // share listening ports with another process (hot restart)
};

// How a listening socket's connections are treated.
struct ListenSpec {
  enum class Kind {
    kListener,      // by the named Listener of the view's snapshot
    kCapture,       // captured connections: the listener for the local address and port that was dialled
    kForwardProxy,  // HTTP proxy: absolute-form requests and CONNECT; the listener is chosen by the URL's port. The
                    // view is the one named by Proxy-Authorization's user, else `view`
  };
  Kind kind = Kind::kListener;
  ViewId view = 0;
  std::string listener;                // kListener
};

// A name for the metrics and logs of a view: the labels that Istio's metrics carry as source_*.
struct ViewInfo {
  std::string name;                    // "sleep"
  std::string namespace_ = "default";
  std::string app, version, service_account;
};

struct EndpointStatus {
  std::string address;                 // "10.0.0.1:9080"
  runtime::Endpoint endpoint;
  bool healthy = true;
  bool ejected = false;
  Duration ejection_left{};            // while ejected
  std::uint32_t ejections = 0;         // how often so far
  std::uint64_t requests_total = 0, requests_active = 0, requests_success = 0, requests_error = 0;
  std::uint64_t connections_total = 0, connections_active = 0, connect_failures = 0, requests_timeout = 0;
};
struct ClusterStatus {
  std::string name;
  std::shared_ptr<const runtime::Cluster> policy;
  std::vector<EndpointStatus> endpoints;
  std::uint64_t connections_active = 0, pending_active = 0, requests_active = 0, retries_active = 0;
  std::uint64_t ejections_overflow = 0;    // detections that maxEjectionPercent did not allow
  std::map<std::string, std::uint64_t> counters;   // Envoy's names: "upstream_rq_total", "upstream_rq_pending_overflow" ...
};

struct BoundListener {
  std::string name;                    // as asked for
  net::Address address;                // with the real port
};

class Proxy {
 public:
  static Result<std::unique_ptr<Proxy>> start(const Options& options, net::Loop& control_loop);
  virtual ~Proxy() = default;

  virtual ViewId add_view(const ViewInfo& info) = 0;
  // Resolves the identity of a forward proxy request ("sleep", "default/sleep"); called on the control thread, answered
  // through `done` (any later time): the view is made at its first use.
  using ResolveView = std::function<void(std::string identity, std::function<void(Result<ViewId>)> done)>;
  virtual void set_view_resolver(ResolveView resolver) = 0;

  // Makes `snapshot` the view's configuration on every worker, between two events. `done` (may be null) is called on
  // the control thread when every worker has adopted it.
  virtual void adopt(ViewId view, std::shared_ptr<const runtime::Snapshot> snapshot, std::function<void()> done) = 0;

  // Opens a listening socket on every worker. Port 0 takes a free one. Errors: kConflict (in use; says so), kSystem.
  virtual Result<BoundListener> listen(const std::string& name, const net::Address& at, const ListenSpec& spec) = 0;
  // Takes over listening sockets that another process opened (lateen exec): shared out among the workers.
  virtual Result<void> listen_on(const std::string& name, std::vector<int> sockets, const ListenSpec& spec) = 0;
  // Stops accepting (after emptying the accept queue) and closes idle connections; active ones end by themselves.
  virtual void close_listener(const std::string& name) = 0;

  // Live state. Read without stopping the workers.
  virtual std::vector<ClusterStatus> clusters(ViewId view) const = 0;
  // Prometheus text: Istio's standard metrics and Envoy's cluster/listener/server counters.
  virtual std::string prometheus() const = 0;
  // Envoy's /stats text form: name -> value.
  virtual std::map<std::string, std::uint64_t> stats() const = 0;

  // Stops accepting, lets requests end (at most `grace`), then calls `done` on the control thread.
  virtual void drain(Duration grace, std::function<void()> done) = 0;
};

}  // namespace lateen::proxy
