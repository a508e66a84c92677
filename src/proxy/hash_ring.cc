#include "proxy/hash_ring.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/hash.h"

namespace lateen::proxy {
namespace {

constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();

double scale_for(std::span<const HashedHost> hosts, const HashRing::Settings& settings) {
  if (settings.size > 0) return static_cast<double>(std::min(settings.size, settings.size_max));
  double lightest = 1;
  for (const HashedHost& host : hosts) lightest = std::min(lightest, host.weight);
  const double whole = std::ceil(lightest * static_cast<double>(settings.size_min)) / lightest;
  return std::min(whole, static_cast<double>(settings.size_max));
}

struct Point {
  std::uint64_t hash;
  std::uint32_t member;
};

// Points of one host, the hashes of "KEY_0", "KEY_1" ..., until there are `wanted` points in all. How many it added.
std::uint64_t add_points(const HashedHost& host, double wanted, runtime::Cluster::HashFunction function,
                         std::vector<Point>& points) {
  std::string key = host.key + "_";
  const std::size_t key_size = key.size();
  std::uint64_t added = 0;
  while (static_cast<double>(points.size()) < wanted) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, added++).ptr;
    key.resize(key_size);
    key.append(digits, end);
    const bool murmur = function == runtime::Cluster::HashFunction::kMurmur2;
    points.push_back({murmur ? murmur_hash2(key) : xxhash64(key), host.member});
  }
  return added;
}

}  // namespace

std::uint64_t HashRing::size_for(std::span<const HashedHost> hosts, const Settings& settings) {
  return hosts.empty() ? 0 : static_cast<std::uint64_t>(std::ceil(scale_for(hosts, settings)));
}

HashRing::HashRing(std::span<const HashedHost> hosts, const Settings& settings) {
  if (hosts.empty()) return;
  const double scale = scale_for(hosts, settings);
  std::vector<Point> points;
  points.reserve(static_cast<std::size_t>(std::ceil(scale)));
  spread_.entries_min = std::numeric_limits<std::uint64_t>::max();
  // Shares are not whole numbers of points: what one host is given too much the next ones have less.
  double wanted = 0;
  for (const HashedHost& host : hosts) {
    wanted += scale * host.weight;
    const std::uint64_t count = add_points(host, wanted, settings.function, points);
    spread_.entries_min = std::min(spread_.entries_min, count);
    spread_.entries_max = std::max(spread_.entries_max, count);
  }
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.hash < b.hash; });
  spread_.size = points.size();
  hashes_.reserve(points.size());
  members_.reserve(points.size());
  for (const Point& point : points) {
    hashes_.push_back(point.hash);
    members_.push_back(point.member);
  }
}

std::uint32_t HashRing::pick(std::uint64_t hash, std::uint32_t attempt) const {
  const auto at = static_cast<std::size_t>(std::lower_bound(hashes_.begin(), hashes_.end(), hash) - hashes_.begin());
  return members_[((at == hashes_.size() ? 0 : at) + attempt) % members_.size()];
}

namespace {

struct Turn {
  const HashedHost* host;
  std::uint64_t offset, skip;
  std::uint64_t next = 0;        // how far it has come in its own order of entries
  double target = 0;             // takes a turn in the rounds in which its weights add up to this
  std::uint64_t entries = 0;
};

std::vector<Turn> turns_of(std::span<const HashedHost> hosts, std::uint64_t size) {
  std::vector<Turn> turns;
  for (const HashedHost& host : hosts) {
    turns.push_back({&host, xxhash64(host.key) % size, xxhash64(host.key, 1) % (size - 1) + 1});
  }
  // The order in which hosts are listed must not matter.
  std::sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) { return a.host->key < b.host->key; });
  return turns;
}

}  // namespace

MaglevTable::MaglevTable(std::span<const HashedHost> hosts, std::uint64_t size) : members_(size, kFree) {
  std::vector<Turn> turns = turns_of(hosts, size);
  double heaviest = 0;
  for (const HashedHost& host : hosts) heaviest = std::max(heaviest, host.weight);
  const auto place = [size](const Turn& turn) { return (turn.offset + turn.skip * turn.next) % size; };
  std::uint64_t filled = 0;
  for (std::uint32_t round = 1; filled < size; ++round) {
    for (Turn& turn : turns) {
      if (filled == size) break;
      if (round * turn.host->weight < turn.target) continue;
      turn.target += heaviest;
      std::uint64_t at = place(turn);
      while (members_[at] != kFree) {
        ++turn.next;
        at = place(turn);
      }
      members_[at] = turn.host->member;
      ++turn.next;
      ++turn.entries;
      ++filled;
    }
  }
  const auto [least, most] = std::minmax_element(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) { return a.entries < b.entries; });
  spread_ = {size, least->entries, most->entries};
}

std::uint32_t MaglevTable::pick(std::uint64_t hash, std::uint32_t attempt) const {
  // Most bits change with each attempt, so that retries of one host go to many others.
  if (attempt > 0) hash ^= ~std::uint64_t{0} - attempt + 1;
  return members_[hash % members_.size()];
}

}  // namespace lateen::proxy
