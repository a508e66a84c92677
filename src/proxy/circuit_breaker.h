// The limits of one cluster (envoy.config.cluster.v3.CircuitBreakers, default priority), counted over all workers.
//
// An atomic is touched only where a limit is finite, so an unlimited cluster shares no cache line between workers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "runtime/snapshot.h"

namespace lateen::proxy {

class Limit;

// A place under a limit; given back when destroyed. Empty where the limit was infinite when it was taken.
class Permit {
 public:
  Permit() = default;
  explicit Permit(Limit* limit) : limit_(limit) {}
  Permit(Permit&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)) {}
  Permit& operator=(Permit&& other) noexcept {
    std::swap(limit_, other.limit_);
    return *this;
  }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  ~Permit() { release(); }
  inline void release();

 private:
  Limit* limit_ = nullptr;
};

// How many requests a cluster has under way, for limits that are a share of them. Any thread may ask.
class ActiveRequests {
 public:
  virtual ~ActiveRequests() = default;
  virtual std::uint32_t requests_active() const = 0;
};

// One limit. All functions may be called from any thread; set_max and set_share from the control thread. Must outlive its
// permits.
class Limit {
 public:
  static constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();

  void set_max(std::optional<std::uint32_t> max) {
    share_percent_.store(kNoShare, std::memory_order_relaxed);
    max_.store(max.value_or(kUnlimited), std::memory_order_relaxed);
  }
  // Instead: such a share of what is under way, and at least `min` (envoy RetryBudget).
  void set_share(double percent, std::uint32_t min) {
    max_.store(min, std::memory_order_relaxed);
    share_percent_.store(percent, std::memory_order_relaxed);
  }
  // Once, before any other thread knows of the limit; `active` must outlive it.
  void count_active_in(const ActiveRequests& active) { active_ = &active; }

  std::uint32_t max() const {
    const std::uint32_t max = max_.load(std::memory_order_relaxed);
    const double percent = share_percent_.load(std::memory_order_relaxed);
    if (percent < 0 || active_ == nullptr) return max;
    return std::max(max, static_cast<std::uint32_t>(percent / 100 * active_->requests_active()));
  }

  // A place, or nothing if the limit is reached.
  std::optional<Permit> acquire() {
    const std::uint32_t max = this->max();
    if (max == kUnlimited) return Permit();
    std::uint32_t taken = taken_.load(std::memory_order_relaxed);
    do {
      if (taken >= max) return std::nullopt;
    } while (!taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed));
    return Permit(this);
  }
  // A place beyond the limit if need be: a worker without a connection may always open one, as in Envoy.
  Permit acquire_always() {
    if (max_.load(std::memory_order_relaxed) == kUnlimited) return Permit();
    taken_.fetch_add(1, std::memory_order_relaxed);
    return Permit(this);
  }
  // Places taken while the limit was finite.
  std::uint32_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  friend class Permit;
  static constexpr double kNoShare = -1;

  const ActiveRequests* active_ = nullptr;
  std::atomic<double> share_percent_{kNoShare};
  std::atomic<std::uint32_t> max_{kUnlimited};
  alignas(64) std::atomic<std::uint32_t> taken_{0};
};

inline void Permit::release() {
  if (limit_ != nullptr) std::exchange(limit_, nullptr)->taken_.fetch_sub(1, std::memory_order_relaxed);
}

// The four limits of a cluster.
struct ClusterLimits {
  Limit connections, pending_requests, requests, retries;

  void set(const runtime::CircuitBreakers& breakers) {
    connections.set_max(breakers.connections_max);
    pending_requests.set_max(breakers.pending_requests_max);
    requests.set_max(breakers.requests_max);
    if (breakers.retry_budget) retries.set_share(breakers.retry_budget->percent, breakers.retry_budget->retries_min);
    else retries.set_max(breakers.retries_max);
  }
};

}  // namespace lateen::proxy
