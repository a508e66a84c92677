#include "proxy/lazy_cluster.h"

namespace lateen::proxy {
namespace {

// What would be late at the first request: tables are long in the making, and hosts start slowly from when they joined.
bool is_made_at_once(const runtime::Cluster& policy) {
  using Balancer = runtime::Cluster::Balancer;
  return policy.slow_start || policy.balancer == Balancer::kRingHash || policy.balancer == Balancer::kMaglev;
}

}  // namespace

std::unique_ptr<Cluster> LazyCluster::make(Time now) const {
  auto made = std::make_unique<Cluster>(name_.str(), id_, workers_, services_);
  if (endpoints_ != nullptr) made->set_endpoints(endpoints_, endpoints_since_);
  if (policy_ != nullptr) made->set_policy(policy_, now);
  return made;
}

void LazyCluster::set_policy(std::shared_ptr<const runtime::Cluster> policy, Time now) {
  const std::lock_guard hold(lock_);
  if (cluster_ != nullptr) return cluster_->set_policy(std::move(policy), now);
  if (policy == nullptr) endpoints_ = nullptr;
  policy_ = std::move(policy);
  if (policy_ != nullptr && is_made_at_once(*policy_)) cluster_ = make(now);
}

void LazyCluster::set_endpoints(std::shared_ptr<const runtime::EndpointSet> endpoints, Time now) {
  const std::lock_guard hold(lock_);
  if (cluster_ != nullptr) return cluster_->set_endpoints(std::move(endpoints), now);
  endpoints_ = std::move(endpoints);
  endpoints_since_ = now;
}

void LazyCluster::rebuild_tables() {
  const std::lock_guard hold(lock_);
  if (cluster_ != nullptr) cluster_->rebuild_tables();
}

std::optional<Time> LazyCluster::on_tick(Time now) {
  const std::lock_guard hold(lock_);
  return cluster_ == nullptr ? std::nullopt : cluster_->on_tick(now);
}

ClusterStatus LazyCluster::status(Time now) const {
  const std::lock_guard hold(lock_);
  return cluster_ != nullptr ? cluster_->status(now) : make(now)->status(now);
}

Cluster& LazyCluster::get(Time now) {
  const std::lock_guard hold(lock_);
  if (cluster_ == nullptr) {
    cluster_ = make(now);
    const bool ticks = policy_ != nullptr && policy_->outlier;
    policy_ = nullptr;
    endpoints_ = nullptr;
    if (ticks && services_.on_tick_wanted) services_.on_tick_wanted();
  }
  return *cluster_;
}

}  // namespace lateen::proxy
