// Cluster: what the whole process knows of one cluster of one view. It outlives snapshots: hosts are kept by address, so
// an endpoint update or a new policy forgets no connection count, no error count and no ejection.
//
// Changes come from the control thread. Workers look at epoch() before a pick and take the new host set when it moved.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "proxy/circuit_breaker.h"
#include "proxy/hash_tables.h"
#include "proxy/host.h"
#include "proxy/outlier_detection.h"
#include "proxy/proxy.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// What one worker counts of a cluster. Names are Envoy's.
struct alignas(64) ClusterSlot {
  OwnedCounter<std::uint32_t> connections_active, pending_active, requests_active, retries_active;
  OwnedCounter<std::uint64_t> upstream_cx_total, upstream_cx_connect_fail, upstream_cx_connect_timeout, upstream_cx_overflow;
  OwnedCounter<std::uint64_t> upstream_rq_total, upstream_rq_completed, upstream_rq_timeout, upstream_rq_per_try_timeout;
  OwnedCounter<std::uint64_t> upstream_rq_pending_total, upstream_rq_pending_overflow, upstream_rq_pending_failure_eject;
  OwnedCounter<std::uint64_t> upstream_rq_retry, upstream_rq_retry_success, upstream_rq_retry_overflow;
  OwnedCounter<std::uint64_t> upstream_rq_retry_limit_exceeded, upstream_rq_rx_reset, upstream_rq_tx_reset;
  OwnedCounter<std::uint64_t> upstream_cx_none_healthy;
  OwnedCounter<std::uint64_t> upstream_rq_1xx, upstream_rq_2xx, upstream_rq_3xx, upstream_rq_4xx, upstream_rq_5xx;
};

// What a cluster needs from the process around it.
struct ClusterServices {
  HashTableMemory* hash_tables = nullptr;                      // outlives the cluster
  // Asks for rebuild_tables() on the control thread. Called from any thread, once until that has happened.
  std::function<void(runtime::ClusterId)> on_tables_stale;
  // Asks for on_tick() on the control thread: there is a cluster more that wants it. Called from any thread.
  std::function<void()> on_tick_wanted;
};

class Cluster final : private ActiveRequests {
 public:
  Cluster(std::string name, runtime::ClusterId id, unsigned workers, ClusterServices services = {})
      : name_(std::move(name)), id_(id), workers_(workers), services_(std::move(services)), slots_(workers) {
    limits_.retries.count_active_in(*this);
  }

  // ---- control thread
  // Null: the cluster is gone (requests for it are answered NC by the snapshot); its hosts leave.
  void set_policy(std::shared_ptr<const runtime::Cluster> policy, Time now);
  // Resolved addresses; null: none known. Hosts that are still there keep their state.
  void set_endpoints(std::shared_ptr<const runtime::EndpointSet> endpoints, Time now);
  // The health of hosts has changed since the tables of ring hash or maglev were made.
  void rebuild_tables();
  // Endpoints whose host is not an IP address (a name that is yet to be resolved): they are left out of the set.
  static Result<net::Address> address_of(const runtime::Endpoint& endpoint);
  // Called now and then; runs the outlier interval when it is due. The next time it wants to be called, if any.
  std::optional<Time> on_tick(Time now);
  ClusterStatus status(Time now) const;

  // ---- any thread
  const std::string& name() const { return name_; }
  runtime::ClusterId id() const { return id_; }
  // Moves whenever the host set or a host's health has changed.
  std::uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  std::shared_ptr<const HostSet> hosts() const;
  std::shared_ptr<const runtime::Cluster> policy() const;
  // What goes together at one moment.
  struct Current {
    std::shared_ptr<const HostSet> hosts;
    std::shared_ptr<const runtime::Cluster> policy;
    std::shared_ptr<const HashTables> tables;                  // of `hosts`; null: the balancer needs none
  };
  Current current() const;
  // Requests that have a stream or wait for one, over all workers; a little behind where others are writing.
  std::uint32_t requests_active() const override;
  ClusterLimits& limits() { return limits_; }
  ClusterSlot& slot(unsigned worker) { return slots_[worker]; }
  // One result of a try on `host`, under the policy that the request pinned.
  void report(const Host& host, const runtime::Cluster& policy, TryResult result, std::uint16_t status, Time now,
              Random& random);

 private:
  void bump_epoch() { epoch_.fetch_add(1, std::memory_order_release); }
  std::shared_ptr<const Host> host_for(const net::Address& address, Time now);
  std::shared_ptr<const HashTables> make_tables(const Current& of);
  void put(Current next);
  static void note_recovered(const HostSet& before, const HostSet& after, Time now);

  const std::string name_;
  const runtime::ClusterId id_;
  const unsigned workers_;
  const ClusterServices services_;
  std::vector<ClusterSlot> slots_;
  ClusterLimits limits_;
  OutlierDetector outlier_;
  std::atomic<std::uint64_t> epoch_{1};
  std::atomic<bool> tables_stale_{false};

  HashTableMemory own_tables_;                             // where the process gives none; outlives current_
  mutable std::mutex lock_;                                // guards the pointers, not what they point at
  Current current_{.hosts = std::make_shared<const HostSet>(), .policy = {}, .tables = {}};

  // Control thread only.
  std::unordered_map<std::string, std::shared_ptr<const Host>> hosts_by_address_;
  std::optional<Time> interval_due_;
};

}  // namespace lateen::proxy
