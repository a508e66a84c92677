// WorkerCluster, WorkerHost: one worker's side of a cluster: its connection pools, its load balancer, its counters.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/loop.h"
#include "proxy/cluster.h"
#include "proxy/load_balancer.h"
#include "proxy/random.h"
#include "proxy/tls_connector.h"
#include "stream/client_pool.h"

namespace lateen::proxy {

class WorkerCluster;

// A host as one worker uses it. Counted by hand (one thread): the cluster holds one reference while the host is in its
// set, each try one; without references and connections it goes away.
class WorkerHost final : private stream::ConnectionAdmission {
 public:
  // Above it, pools of single wishes that hold only idle connections are closed.
  static constexpr std::size_t kWishedPoolsMax = 256;

  WorkerHost(WorkerCluster& cluster, const Member& member);

  const Host& host() const { return *host_; }
  const std::shared_ptr<const runtime::Endpoint>& endpoint() const { return endpoint_; }
  WorkerCluster& cluster() { return cluster_; }
  HostSlot& slot() const { return slot_; }

  // Made at the first use, with the options of the cluster's policy of then.
  // `downstream`: the version of the request, which decides for clusters with same_protocol_as_downstream.
  // `wish`: for transports that differ from one request to the other.
  stream::ClientPool& pool(http::Version downstream, const ConnectionWish& wish = {});
  // What connections beside the pool are to be made with; null: plain TCP.
  // `alpn`: what a server is offered where the transport's settings say nothing.
  std::shared_ptr<const stream::Connector> connector(const ConnectionWish& wish, std::vector<std::string> alpn = {}) const;
  // How connections beside the pool are made, as the pool would.
  stream::PoolOptions tcp_options(const ConnectionWish& wish) const;
  // For connections beside the pool (TCP proxying): the same limits and counters; false: the limit is reached.
  bool acquire_connection() { return try_acquire_connection(false); }
  void count_connected() { on_connected(); }
  void count_connect_failed(stream::ResetReason reason) { on_connect_failed(reason); }
  void drop_connection() { release_connection(); }

  void retain() { ++references_; }
  void release();

 private:
  friend class WorkerCluster;
  bool try_acquire_connection(bool must) override;
  void release_connection() override;
  void on_connected() override;
  void on_connect_failed(stream::ResetReason reason) override;

  void leave();                    // no longer in the set
  bool unused() const;
  void take_options();             // of the cluster, where pools exist
  stream::PoolOptions options(stream::PoolProtocol protocol, const ConnectionWish& wish) const;
  const runtime::Transport& transport() const;
  stream::ClientPool& wished_pool(std::string key, stream::PoolProtocol protocol, const ConnectionWish& wish);
  void trim_wished_pools();        // those that are not used, where there are too many
  template <class F>
  void each_pool(F&& use) const;

  WorkerCluster& cluster_;
  std::shared_ptr<const Host> host_;
  std::shared_ptr<const runtime::Endpoint> endpoint_;
  HostSlot& slot_;
  std::vector<Permit> permits_;    // one for each connection
  std::unique_ptr<stream::ClientPool> pool_, http2_pool_;   // of HTTP/1.1 or ALPN; of HTTP/2 alone
  // For wishes that ask for connections of their own, by connection_key().
  struct WishedPool {
    std::string key, authority;
    net::Address source, destination;
    stream::PoolProtocol protocol = stream::PoolProtocol::kHttp1;
    std::unique_ptr<stream::ClientPool> pool;
    ConnectionWish wish() const { return {.authority = authority, .source = &source, .destination = &destination}; }
  };
  std::vector<std::unique_ptr<WishedPool>> wished_pools_;
  std::uint32_t references_ = 0;
  bool left_ = false;
};

// A retained host.
class HostPin {
 public:
  HostPin() = default;
  explicit HostPin(WorkerHost* retained) : host_(retained) {}
  HostPin(HostPin&& other) noexcept : host_(std::exchange(other.host_, nullptr)) {}
  HostPin& operator=(HostPin&& other) noexcept {
    std::swap(host_, other.host_);
    return *this;
  }
  HostPin(const HostPin&) = delete;
  HostPin& operator=(const HostPin&) = delete;
  ~HostPin() { reset(); }

  void reset() {
    if (host_ != nullptr) std::exchange(host_, nullptr)->release();
  }
  WorkerHost* get() const { return host_; }
  WorkerHost* operator->() const { return host_; }
  explicit operator bool() const { return host_ != nullptr; }

 private:
  WorkerHost* host_ = nullptr;
};

// What a try says about itself to the load balancer.
struct PickContext {
  std::span<const HostPin> tried;              // hosts of earlier tries, which are avoided
  std::uint32_t attempts = 1;                  // draws, the last of which stands; 1: `tried` need not be avoided
  std::optional<std::uint64_t> hash;           // of the route's hash policies, for ring hash and maglev
  std::uint32_t priorities_tried_update = 0;   // RetryPolicy::previous_priorities_update; 0: all priorities
};

// The clusters of the view, as the control thread keeps them.
class ClusterDirectory {
 public:
  virtual ~ClusterDirectory() = default;
  // Null: there is none of that name.
  virtual const Cluster* find(std::string_view name) = 0;
};

class WorkerCluster {
 public:
  // Hosts that were reached by their original destination and are kept for their idle connections.
  static constexpr std::size_t kOriginalDestinationHostsMax = 1024;

  // All must outlive this object, and what `transport` points at. `clusters`: for zone-aware routing; null: there is none.
  WorkerCluster(net::Loop& loop, Cluster& shared, unsigned worker, Random& random, const TransportSource& transport = {},
                ClusterDirectory* clusters = nullptr);
  ~WorkerCluster();
  WorkerCluster(const WorkerCluster&) = delete;
  WorkerCluster& operator=(const WorkerCluster&) = delete;

  Cluster& shared() { return shared_; }
  ClusterSlot& slot() { return slot_; }
  net::Loop& loop() { return loop_; }
  unsigned worker() const { return worker_; }
  Random& random() { return random_; }

  // A host for one try, retained by the caller; null: none is healthy.
  WorkerHost* pick(const PickContext& context);
  // The host at `address`, for original-destination clusters; retained by the caller. `name`: what resolved to the address,
  // for dynamic forward proxy clusters.
  WorkerHost* original_destination(const net::Address& address, const std::string& name = {});
  // The local address that the cluster's connections come from; family kNone: any.
  net::Address bind_to() const;
  // Whether no connection at all is open: then one more may always be opened.
  bool without_connections() const { return slot_.connections_active.get() == 0; }
  // Takes over what has changed since: hosts that are no longer there drain. pick() does it by itself.
  void refresh();
  // Whether one request is to be turned away without a try (policy.drop_overloads of the endpoints).
  bool drops_overload();
  // Whether the time until an answer is to be noted in HostSlot::latency.
  bool measures_latency() const { return policy_ != nullptr && policy_->balancer == runtime::Cluster::Balancer::kPeakEwma; }
  // Tells outlier detection of a result.
  void report(WorkerHost& host, const runtime::Cluster& policy, TryResult result, std::uint16_t status);
  // No new connections to any host; idle ones close.
  void drain();

 private:
  friend class WorkerHost;
  stream::PoolOptions pool_options() const;              // without the protocol
  stream::PoolProtocol pool_protocol(http::Version downstream) const;
  std::span<const std::uint32_t> tried_priorities(const PickContext& context);
  OwnPlace take_local();                                 // of the policy's zone_aware
  void take_hosts(std::shared_ptr<const HostSet> set, std::map<const Host*, WorkerHost*>& left);
  void trim_original_destinations();
  void sweep_soon() { loop_.arm<&WorkerCluster::sweep>(sweep_, Duration::zero(), this); }
  void sweep();                                          // deletes hosts that left and are unused

  net::Loop& loop_;
  Cluster& shared_;
  const unsigned worker_;
  Random& random_;
  ClusterSlot& slot_;
  const TransportSource transport_;
  ClusterDirectory* const clusters_;
  const Cluster* local_ = nullptr;                       // of the clients like this one, where routing goes by zones
  std::shared_ptr<const HostSet> local_hosts_;
  std::uint64_t epoch_ = 0, local_epoch_ = 0;
  std::shared_ptr<const HostSet> set_;
  std::shared_ptr<const runtime::Cluster> policy_;
  std::vector<WorkerHost*> hosts_;                       // as set_->members
  std::map<const Host*, WorkerHost*> by_host_;
  std::map<std::string, WorkerHost*> by_destination_;
  std::vector<WorkerHost*> leaving_;                     // still have connections or tries
  net::Timer sweep_;
  LoadBalancer balancer_;
  std::vector<std::uint32_t> priorities_tried_;          // of the pick under way
};

}  // namespace lateen::proxy
