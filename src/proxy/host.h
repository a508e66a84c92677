// Host: what the whole process knows of one upstream address of one cluster. Outlives snapshots and endpoint updates;
// shared by workers, so every field is an atomic or constant.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "proxy/latency.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// A counter that one thread writes and others read: no locked instruction.
template <class T>
class OwnedCounter {
 public:
  void add(T by = 1) { value_.store(static_cast<T>(value_.load(std::memory_order_relaxed) + by), std::memory_order_relaxed); }
  void subtract(T by = 1) { value_.store(static_cast<T>(value_.load(std::memory_order_relaxed) - by), std::memory_order_relaxed); }
  T get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<T> value_{0};
};

// The part of a host that one worker writes. Its own cache line: workers do not disturb each other.
struct alignas(64) HostSlot {
  OwnedCounter<std::uint64_t> requests_total, requests_success, requests_error, requests_timeout;
  OwnedCounter<std::uint64_t> connections_total, connect_failures;
  OwnedCounter<std::uint32_t> requests_active, connections_active;
  PeakLatency latency;                              // only where the cluster's balancer asks for it
};

// Shared as shared_ptr<const Host>: the counters do not change what host it is, hence mutable.
class Host {
 public:
  Host(net::Address address, unsigned workers, Time now = {})
      : address_(std::move(address)), text_(net::to_string(address_)), slots_(workers), in_service_since_(now) {}

  const net::Address& address() const { return address_; }
  const std::string& text() const { return text_; }   // "10.0.0.1:9080"
  HostSlot& slot(unsigned worker) const { return slots_[worker]; }
  const std::vector<HostSlot>& slots() const { return slots_; }

  // Over all workers; a little behind where others are writing.
  std::uint32_t requests_active() const {
    std::uint32_t sum = 0;
    for (const HostSlot& slot : slots_) sum += slot.requests_active.get();
    return sum;
  }
  bool ejected() const { return ejected_.load(std::memory_order_acquire); }

  // When it joined the cluster, or was said to be healthy again: the beginning of its slow start.
  Time in_service_since() const { return in_service_since_.load(std::memory_order_relaxed); }
  void set_in_service_since(Time at) const { in_service_since_.store(at, std::memory_order_relaxed); }

  // The worst of what the workers see; nothing where none has had an answer.
  std::optional<double> peak_latency_nanoseconds(Time now) const {
    std::optional<double> worst;
    for (const HostSlot& slot : slots_) {
      if (slot.latency.known()) worst = std::max(worst.value_or(0), slot.latency.nanoseconds(now));
    }
    return worst;
  }

 private:
  friend class OutlierDetector;

  net::Address address_;
  std::string text_;
  mutable std::vector<HostSlot> slots_;
  // Written on a success only when not zero, so that a healthy host's line stays shared.
  mutable std::array<std::atomic<std::uint32_t>, 3> consecutive_{};   // by outlier_detection.cc's Detector
  mutable std::atomic<bool> ejected_{false};
  mutable std::atomic<Time> in_service_since_;
};

// One entry of a host set: the host and how the endpoints of now describe it.
struct Member {
  std::shared_ptr<const Host> host;
  std::shared_ptr<const runtime::Endpoint> endpoint;

  // What the endpoints say of it, outlier detection apart.
  bool listed_healthy() const {
    using Health = runtime::Endpoint::Health;
    return endpoint->health != Health::kUnhealthy && endpoint->health != Health::kDraining;
  }
  bool usable() const { return listed_healthy() && !host->ejected(); }
  bool degraded() const { return endpoint->health == runtime::Endpoint::Health::kDegraded; }
};

// The hosts of a cluster at one moment. Immutable; health by ejection is read through the hosts.
struct HostSet {
  std::vector<Member> members;
  std::shared_ptr<const runtime::EndpointSet> endpoints;   // what it was made of; null: none
};

}  // namespace lateen::proxy
