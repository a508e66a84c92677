#include "proxy/cluster.h"

#include <algorithm>
#include <unordered_set>

namespace lateen::proxy {

namespace {

bool needs_tables(const runtime::Cluster* policy) {
  using Balancer = runtime::Cluster::Balancer;
  return policy != nullptr && (policy->balancer == Balancer::kRingHash || policy->balancer == Balancer::kMaglev);
}

// Whether tables that were made for one policy serve the other.
bool same_tables(const runtime::Cluster& a, const runtime::Cluster& b) {
  return a.balancer == b.balancer && a.hash_function == b.hash_function && a.ring_size_min == b.ring_size_min &&
         a.ring_size_max == b.ring_size_max && a.ring_points_per_host == b.ring_points_per_host && a.maglev_table_size == b.maglev_table_size &&
         a.hashes_hostname == b.hashes_hostname && a.hash_balance_percent == b.hash_balance_percent &&
         a.locality_weighted == b.locality_weighted && a.panic_threshold_percent == b.panic_threshold_percent;
}

}  // namespace

void Cluster::set_policy(std::shared_ptr<const runtime::Cluster> policy, Time now) {
  if (policy == nullptr) {
    set_endpoints(nullptr, now);
  } else {
    limits_.set(policy->limits);
  }
  bool health_changed = false;
  if (policy == nullptr || !policy->outlier) {
    interval_due_.reset();
    health_changed = outlier_.release_all();
  } else if (!interval_due_) {
    interval_due_ = now + policy->outlier->interval;
  } else {
    interval_due_ = std::min(*interval_due_, now + policy->outlier->interval);
  }
  Current next = current();
  const bool keeps_tables = !health_changed && needs_tables(policy.get()) && next.tables != nullptr && same_tables(*next.policy, *policy);
  next.policy = std::move(policy);
  if (!keeps_tables) next.tables = make_tables(next);
  put(std::move(next));
}

std::shared_ptr<const HashTables> Cluster::make_tables(const Current& of) {
  if (!needs_tables(of.policy.get())) return nullptr;
  // From here on, what changes is not in them.
  tables_stale_.store(false, std::memory_order_seq_cst);
  return std::make_shared<const HashTables>(of.hosts, *of.policy, services_.hash_tables == nullptr ? own_tables_ : *services_.hash_tables);
}

void Cluster::put(Current next) {
  {
    const std::lock_guard hold(lock_);
    std::swap(current_, next);
  }
  bump_epoch();   // `next` is now what there was; it goes without the lock
}

void Cluster::rebuild_tables() {
  Current next = current();
  if (!needs_tables(next.policy.get())) return;
  next.tables = make_tables(next);
  put(std::move(next));
}

Result<net::Address> Cluster::address_of(const runtime::Endpoint& endpoint) {
  if (endpoint.host.starts_with("unix:")) {
    return net::Address{.family = net::Address::Family::kUnix, .host = endpoint.host.substr(5), .port = 0};
  }
  const bool ipv6 = endpoint.host.find(':') != std::string::npos;
  const std::string port = std::to_string(endpoint.port);
  return net::parse_address(ipv6 ? "[" + endpoint.host + "]:" + port : endpoint.host + ":" + port);
}

std::shared_ptr<const Host> Cluster::host_for(const net::Address& address, Time now) {
  const std::string key = net::to_string(address);
  const auto found = hosts_by_address_.find(key);
  if (found != hosts_by_address_.end()) return found->second;
  return std::make_shared<const Host>(address, workers_, now);
}

void Cluster::set_endpoints(std::shared_ptr<const runtime::EndpointSet> endpoints, Time now) {
  auto set = std::make_shared<HostSet>();
  std::unordered_map<std::string, std::shared_ptr<const Host>> now_here;
  if (endpoints != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints->endpoints) {
      const Result<net::Address> address = address_of(endpoint);
      if (!address) continue;
      std::shared_ptr<const Host> host = host_for(*address, now);
      // An address that is listed twice is one host; the first entry describes it.
      if (!now_here.emplace(host->text(), host).second) continue;
      outlier_.add_host(*host);
      // The alias keeps the whole endpoint set alive as long as one of its entries is in use.
      set->members.push_back({std::move(host), std::shared_ptr<const runtime::Endpoint>(endpoints, &endpoint)});
    }
  }
  for (const auto& [key, host] : hosts_by_address_) {
    if (!now_here.contains(key)) outlier_.remove_host(*host);
  }
  hosts_by_address_ = std::move(now_here);
  Current next = current();
  note_recovered(*next.hosts, *set, now);
  set->endpoints = std::move(endpoints);
  next.hosts = std::move(set);
  next.tables = make_tables(next);
  put(std::move(next));
}

// A host that was listed as unhealthy and is no longer starts slowly again.
void Cluster::note_recovered(const HostSet& before, const HostSet& after, Time now) {
  std::unordered_set<const Host*> unhealthy;
  for (const Member& member : before.members) {
    if (!member.listed_healthy()) unhealthy.insert(member.host.get());
  }
  if (unhealthy.empty()) return;
  for (const Member& member : after.members) {
    if (member.listed_healthy() && unhealthy.contains(member.host.get())) member.host->set_in_service_since(now);
  }
}

Cluster::Current Cluster::current() const {
  const std::lock_guard hold(lock_);
  return current_;
}

std::shared_ptr<const HostSet> Cluster::hosts() const {
  const std::lock_guard hold(lock_);
  return current_.hosts;
}

std::shared_ptr<const runtime::Cluster> Cluster::policy() const {
  const std::lock_guard hold(lock_);
  return current_.policy;
}

std::uint32_t Cluster::requests_active() const {
  std::uint32_t sum = 0;
  for (const ClusterSlot& slot : slots_) sum += slot.requests_active.get() + slot.pending_active.get();
  return sum;
}

void Cluster::report(const Host& host, const runtime::Cluster& policy, TryResult result, std::uint16_t status, Time now,
                     Random& random) {
  if (!policy.outlier) return;
  if (!outlier_.report(host, *policy.outlier, result, status, now, random)) return;
  bump_epoch();
  if (!needs_tables(&policy) || !services_.on_tables_stale) return;
  if (!tables_stale_.exchange(true, std::memory_order_seq_cst)) services_.on_tables_stale(id_);
}

std::optional<Time> Cluster::on_tick(Time now) {
  if (!interval_due_) return std::nullopt;
  if (*interval_due_ > now) return interval_due_;
  const std::shared_ptr<const runtime::Cluster> policy = this->policy();
  if (outlier_.on_interval(*policy->outlier, now)) {
    bump_epoch();
    rebuild_tables();
  }
  interval_due_ = now + policy->outlier->interval;
  return interval_due_;
}

namespace {

using Counter = OwnedCounter<std::uint64_t> ClusterSlot::*;
struct NamedCounter {
  const char* name;
  Counter counter;
};
constexpr NamedCounter kCounters[] = {
    {"upstream_cx_total", &ClusterSlot::upstream_cx_total},
    {"upstream_cx_connect_fail", &ClusterSlot::upstream_cx_connect_fail},
    {"upstream_cx_connect_timeout", &ClusterSlot::upstream_cx_connect_timeout},
    {"upstream_cx_overflow", &ClusterSlot::upstream_cx_overflow},
    {"upstream_cx_none_healthy", &ClusterSlot::upstream_cx_none_healthy},
    {"upstream_rq_total", &ClusterSlot::upstream_rq_total},
    {"upstream_rq_completed", &ClusterSlot::upstream_rq_completed},
    {"upstream_rq_timeout", &ClusterSlot::upstream_rq_timeout},
    {"upstream_rq_per_try_timeout", &ClusterSlot::upstream_rq_per_try_timeout},
    {"upstream_rq_pending_total", &ClusterSlot::upstream_rq_pending_total},
    {"upstream_rq_pending_overflow", &ClusterSlot::upstream_rq_pending_overflow},
    {"upstream_rq_pending_failure_eject", &ClusterSlot::upstream_rq_pending_failure_eject},
    {"upstream_rq_retry", &ClusterSlot::upstream_rq_retry},
    {"upstream_rq_retry_success", &ClusterSlot::upstream_rq_retry_success},
    {"upstream_rq_retry_overflow", &ClusterSlot::upstream_rq_retry_overflow},
    {"upstream_rq_retry_limit_exceeded", &ClusterSlot::upstream_rq_retry_limit_exceeded},
    {"upstream_rq_rx_reset", &ClusterSlot::upstream_rq_rx_reset},
    {"upstream_rq_tx_reset", &ClusterSlot::upstream_rq_tx_reset},
    {"upstream_rq_1xx", &ClusterSlot::upstream_rq_1xx},
    {"upstream_rq_2xx", &ClusterSlot::upstream_rq_2xx},
    {"upstream_rq_3xx", &ClusterSlot::upstream_rq_3xx},
    {"upstream_rq_4xx", &ClusterSlot::upstream_rq_4xx},
    {"upstream_rq_5xx", &ClusterSlot::upstream_rq_5xx},
};

EndpointStatus endpoint_status(const Member& member) {
  const Host& host = *member.host;
  EndpointStatus out;
  out.address = host.text();
  out.endpoint = *member.endpoint;
  for (const HostSlot& slot : host.slots()) {
    out.requests_total += slot.requests_total.get();
    out.requests_active += slot.requests_active.get();
    out.requests_success += slot.requests_success.get();
    out.requests_error += slot.requests_error.get();
    out.requests_timeout += slot.requests_timeout.get();
    out.connections_total += slot.connections_total.get();
    out.connections_active += slot.connections_active.get();
    out.connect_failures += slot.connect_failures.get();
  }
  return out;
}

void add_outlier_counters(const OutlierCounters& counters, std::map<std::string, std::uint64_t>& out) {
  const std::string prefix = "outlier_detection.ejections_";
  out[prefix + "enforced_total"] = counters.ejections_total;
  out[prefix + "active"] = counters.ejections_active;
  out[prefix + "overflow"] = counters.ejections_overflow;
  out[prefix + "detected_consecutive_5xx"] = counters.ejections_detected_consecutive_5xx;
  out[prefix + "enforced_consecutive_5xx"] = counters.ejections_enforced_consecutive_5xx;
  out[prefix + "detected_consecutive_gateway_failure"] = counters.ejections_detected_consecutive_gateway_failure;
  out[prefix + "enforced_consecutive_gateway_failure"] = counters.ejections_enforced_consecutive_gateway_failure;
  out[prefix + "detected_consecutive_local_origin_failure"] = counters.ejections_detected_consecutive_local_origin_failure;
  out[prefix + "enforced_consecutive_local_origin_failure"] = counters.ejections_enforced_consecutive_local_origin_failure;
}

}  // namespace

ClusterStatus Cluster::status(Time now) const {
  ClusterStatus out;
  out.name = name_;
  out.policy = policy();
  const runtime::OutlierDetection* outlier =
      out.policy != nullptr && out.policy->outlier ? &*out.policy->outlier : nullptr;
  for (const Member& member : hosts()->members) {
    EndpointStatus endpoint = endpoint_status(member);
    const EjectionStatus ejection = outlier_.status(*member.host, outlier, now);
    endpoint.healthy = member.usable();
    endpoint.ejected = ejection.ejected;
    endpoint.ejection_left = ejection.left;
    endpoint.ejections = ejection.ejections;
    out.endpoints.push_back(std::move(endpoint));
  }
  for (const ClusterSlot& slot : slots_) {
    out.connections_active += slot.connections_active.get();
    out.pending_active += slot.pending_active.get();
    out.requests_active += slot.requests_active.get();
    out.retries_active += slot.retries_active.get();
    for (const NamedCounter& named : kCounters) out.counters[named.name] += (slot.*named.counter).get();
  }
  if (const Current now_used = current(); now_used.tables != nullptr) {
    const bool maglev = now_used.policy->balancer == runtime::Cluster::Balancer::kMaglev;
    const TableSpread spread = now_used.tables->spread();
    if (!maglev) out.counters["ring_hash_lb.size"] = spread.size;
    out.counters[maglev ? "maglev_lb.min_entries_per_host" : "ring_hash_lb.min_hashes_per_host"] = spread.entries_min;
    out.counters[maglev ? "maglev_lb.max_entries_per_host" : "ring_hash_lb.max_hashes_per_host"] = spread.entries_max;
  }
  const OutlierCounters counters = outlier_.counters();
  out.ejections_overflow = counters.ejections_overflow;
  if (outlier != nullptr) add_outlier_counters(counters, out.counters);
  return out;
}

}  // namespace lateen::proxy
