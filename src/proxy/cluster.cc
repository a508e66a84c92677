#include "proxy/cluster.h"

#include <algorithm>

namespace lateen::proxy {

void Cluster::set_policy(std::shared_ptr<const runtime::Cluster> policy, Time now) {
  if (policy == nullptr) {
    set_endpoints(nullptr);
  } else {
    limits_.set(policy->limits);
  }
  if (policy == nullptr || !policy->outlier) {
    interval_due_.reset();
    outlier_.release_all();
  } else if (!interval_due_) {
    interval_due_ = now + policy->outlier->interval;
  } else {
    interval_due_ = std::min(*interval_due_, now + policy->outlier->interval);
  }
  {
    const std::lock_guard hold(lock_);
    policy_ = std::move(policy);
  }
  bump_epoch();
}

Result<net::Address> Cluster::address_of(const runtime::Endpoint& endpoint) {
  if (endpoint.host.starts_with("unix:")) {
    return net::Address{.family = net::Address::Family::kUnix, .host = endpoint.host.substr(5), .port = 0};
  }
  const bool ipv6 = endpoint.host.find(':') != std::string::npos;
  const std::string port = std::to_string(endpoint.port);
  return net::parse_address(ipv6 ? "[" + endpoint.host + "]:" + port : endpoint.host + ":" + port);
}

std::shared_ptr<const Host> Cluster::host_for(const net::Address& address) {
  const std::string key = net::to_string(address);
  const auto found = hosts_by_address_.find(key);
  if (found != hosts_by_address_.end()) return found->second;
  return std::make_shared<const Host>(address, workers_);
}

void Cluster::set_endpoints(std::shared_ptr<const runtime::EndpointSet> endpoints) {
  auto set = std::make_shared<HostSet>();
  std::unordered_map<std::string, std::shared_ptr<const Host>> now_here;
  if (endpoints != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints->endpoints) {
      const Result<net::Address> address = address_of(endpoint);
      if (!address) continue;
      std::shared_ptr<const Host> host = host_for(*address);
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
  endpoints_ = std::move(endpoints);
  {
    const std::lock_guard hold(lock_);
    hosts_ = std::move(set);
  }
  bump_epoch();
}

std::shared_ptr<const HostSet> Cluster::hosts() const {
  const std::lock_guard hold(lock_);
  return hosts_;
}

std::shared_ptr<const runtime::Cluster> Cluster::policy() const {
  const std::lock_guard hold(lock_);
  return policy_;
}

void Cluster::report(const Host& host, const runtime::Cluster& policy, TryResult result, std::uint16_t status, Time now,
                     Random& random) {
  if (!policy.outlier) return;
  if (outlier_.report(host, *policy.outlier, result, status, now, random)) bump_epoch();
}

std::optional<Time> Cluster::on_tick(Time now) {
  if (!interval_due_) return std::nullopt;
  if (*interval_due_ > now) return interval_due_;
  const std::shared_ptr<const runtime::Cluster> policy = this->policy();
  if (outlier_.on_interval(*policy->outlier, now)) bump_epoch();
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
  const OutlierCounters counters = outlier_.counters();
  out.ejections_overflow = counters.ejections_overflow;
  if (outlier != nullptr) add_outlier_counters(counters, out.counters);
  return out;
}

}  // namespace lateen::proxy
