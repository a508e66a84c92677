// HashTables: what ring hash and maglev pick hosts from, for all priorities of one host set. Built by the control thread
// when hosts, their health or the policy change; immutable; one for the process, shared by all workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/hash_ring.h"
#include "proxy/host.h"
#include "proxy/host_groups.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// The memory of all tables of a process together. Outlives the tables.
class HashTableMemory {
 public:
  // The largest ring that a configuration may ask for (8 Mi points), twice: the one in use and its successor, and room for
  // some hundred maglev tables beside it.
  static constexpr std::size_t kBytesMax = 256 * 1024 * 1024;

  explicit HashTableMemory(std::size_t bytes_max = kBytesMax) : bytes_max_(bytes_max) {}

  // A part of the memory; given back when destroyed.
  class Share {
   public:
    Share() = default;
    Share(HashTableMemory* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}
    Share(Share&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      if (memory_ != nullptr) memory_->bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    }

   private:
    HashTableMemory* memory_ = nullptr;
    std::size_t bytes_ = 0;
  };

  // Nothing where it would be too much.
  std::optional<Share> take(std::size_t bytes) {
    if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max_) return Share(this, bytes);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return std::nullopt;
  }
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> bytes_{0};
};

class HashTables {
 public:
  // `policy` says ring hash or maglev; `memory` must outlive the tables. Where a table does not fit into the memory, its
  // priority does without: then the host with the highest random weight is picked (Thaler and Ravishankar), which is as
  // stable but costs a look at every host.
  HashTables(std::shared_ptr<const HostSet> set, const runtime::Cluster& policy, HashTableMemory& memory);

  // The member for `hash`; nothing where no host may be used. `attempt`: 0, 1 ... for draws of the same try.
  // `cluster_active()`: requests under way in the whole cluster; asked for only with hash_balance_factor.
  template <class ClusterActive>
  std::optional<std::uint32_t> pick(std::uint64_t hash, std::uint32_t attempt, ClusterActive cluster_active) const {
    const Level* level = level_for(hash);
    if (level == nullptr) return std::nullopt;
    const std::uint32_t member = from_table(*level, hash, attempt);
    if (balance_percent_ == 0) return member;
    return within_bounds(*level, hash, member, cluster_active());
  }

  const std::shared_ptr<const HostSet>& set() const { return set_; }
  // Of all priorities together, for Envoy's gauges. Zero where there is no table.
  TableSpread spread() const;

 private:
  struct Level {
    std::vector<HashedHost> hosts;
    std::vector<std::uint64_t> key_hashes;   // of the hosts, where there is no table
    std::variant<std::monostate, HashRing, MaglevTable> table;
    HashTableMemory::Share memory;
  };

  void build(Level& level, const runtime::Cluster& policy, HashTableMemory& memory);
  const Level* level_for(std::uint64_t hash) const;
  static std::uint32_t from_table(const Level& level, std::uint64_t hash, std::uint32_t attempt);
  std::uint32_t within_bounds(const Level& level, std::uint64_t hash, std::uint32_t member, std::uint64_t cluster_active) const;
  double overload(const HashedHost& host, std::uint64_t cluster_active) const;

  const std::shared_ptr<const HostSet> set_;
  const std::uint32_t balance_percent_;
  PriorityLoads loads_;
  std::vector<Level> levels_;
};

}  // namespace lateen::proxy
