// HashRing and MaglevTable: consistent hashing as Envoy does it, so that both send a key to the same host. Immutable once
// built; shared by all workers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/snapshot.h"

namespace lateen::proxy {

// A host as consistent hashing sees it.
struct HashedHost {
  std::string key;            // "10.0.0.1:80", or its name
  double weight = 0;          // its share of the whole; all together at most 1
  std::uint32_t member = 0;   // index into the host set
};

// How many entries of a table the hosts have, for Envoy's gauges.
struct TableSpread {
  std::uint64_t size = 0, entries_min = 0, entries_max = 0;
};

// Ketama (envoy.config.cluster.v3.Cluster.RingHashLbConfig): each host has points on a ring in proportion to its weight;
// a key belongs to the next point clockwise.
class HashRing {
 public:
  struct Settings {
    std::uint64_t size_min = 1024, size_max = 8 * 1024 * 1024;
    runtime::Cluster::HashFunction function = runtime::Cluster::HashFunction::kXxHash;
    std::uint64_t size = 0;   // zero: from size_min and the lightest host
  };
  static constexpr std::size_t kEntryBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);

  // As many points as the lightest host needs to have whole ones, at least size_min, at most size_max; or `size`.
  static std::uint64_t size_for(std::span<const HashedHost> hosts, const Settings& settings);

  HashRing(std::span<const HashedHost> hosts, const Settings& settings);

  // The member for `hash`. Attempts after the first go to the points that follow. The ring must not be empty.
  std::uint32_t pick(std::uint64_t hash, std::uint32_t attempt) const;
  const TableSpread& spread() const { return spread_; }

 private:
  // Apart, so that a look-up touches only the hashes.
  std::vector<std::uint64_t> hashes_;    // ascending
  std::vector<std::uint32_t> members_;   // of hashes_
  TableSpread spread_;
};

// Maglev (Eisenbud et al., NSDI 2016, listing 1; weights as in Envoy): every host fills entries of a table of prime size in
// an order of its own, in turns.
class MaglevTable {
 public:
  static constexpr std::size_t kEntryBytes = sizeof(std::uint32_t);

  // `size` is a prime number; `hosts` is not empty.
  MaglevTable(std::span<const HashedHost> hosts, std::uint64_t size);

  std::uint32_t pick(std::uint64_t hash, std::uint32_t attempt) const;
  const TableSpread& spread() const { return spread_; }

 private:
  std::vector<std::uint32_t> members_;
  TableSpread spread_;
};

}  // namespace lateen::proxy
