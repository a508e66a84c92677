#include "proxy/worker_cluster.h"

#include <algorithm>

#include "base/result.h"

namespace lateen::proxy {
namespace {

// What a server is offered where the settings of TLS say nothing (observed with Envoy 1.40).
std::vector<std::string> alpn_of(stream::PoolProtocol protocol) {
  switch (protocol) {
    case stream::PoolProtocol::kHttp1: return {"http/1.1"};
    case stream::PoolProtocol::kHttp2: return {"h2"};
    case stream::PoolProtocol::kAlpn: break;
  }
  return {"h2", "http/1.1"};
}

}  // namespace

WorkerHost::WorkerHost(WorkerCluster& cluster, const Member& member)
    : cluster_(cluster),
      host_(member.host),
      endpoint_(member.endpoint),
      slot_(member.host->slot(cluster.worker())) {}

const runtime::Transport& WorkerHost::transport() const {
  static const runtime::Transport kPlain;
  if (cluster_.policy_ == nullptr) return kPlain;
  return transport_of(*cluster_.policy_, cluster_.set_ == nullptr ? nullptr : cluster_.set_->endpoints.get(), *endpoint_);
}

std::shared_ptr<const stream::Connector> WorkerHost::connector(const ConnectionWish& wish, std::vector<std::string> alpn) const {
  return make_connector(transport(), wish, endpoint_->hostname.empty() ? endpoint_->host : endpoint_->hostname, std::move(alpn),
                        cluster_.transport_);
}

stream::PoolOptions WorkerHost::tcp_options(const ConnectionWish& wish) const {
  stream::PoolOptions options = cluster_.pool_options();
  options.connector = connector(wish);
  return options;
}

stream::PoolOptions WorkerHost::options(stream::PoolProtocol protocol, const ConnectionWish& wish) const {
  stream::PoolOptions options = cluster_.pool_options();
  options.protocol = protocol;
  options.connector = connector(wish, alpn_of(protocol));
  return options;
}

stream::ClientPool& WorkerHost::pool(http::Version downstream, const ConnectionWish& wish) {
  const stream::PoolProtocol protocol = cluster_.pool_protocol(downstream);
  if (std::string key = connection_key(transport(), wish); !key.empty()) return wished_pool(std::move(key), protocol, wish);
  std::unique_ptr<stream::ClientPool>& pool = protocol == stream::PoolProtocol::kHttp2 ? http2_pool_ : pool_;
  if (pool == nullptr) {
    pool = stream::make_client_pool(cluster_.loop(), host_->address(), options(protocol, {}), *this);
    if (left_) pool->drain([this] { cluster_.sweep_soon(); });
  }
  return *pool;
}

stream::ClientPool& WorkerHost::wished_pool(std::string key, stream::PoolProtocol protocol, const ConnectionWish& wish) {
  for (const auto& known : wished_pools_) {
    if (known->protocol == protocol && known->key == key) return *known->pool;
  }
  if (wished_pools_.size() >= kWishedPoolsMax) cluster_.sweep_soon();
  auto made = std::make_unique<WishedPool>();
  made->key = std::move(key);
  made->authority = wish.authority;
  if (wish.source != nullptr) made->source = *wish.source;
  if (wish.destination != nullptr) made->destination = *wish.destination;
  made->protocol = protocol;
  made->pool = stream::make_client_pool(cluster_.loop(), host_->address(), options(protocol, made->wish()), *this);
  if (left_) made->pool->drain([this] { cluster_.sweep_soon(); });
  wished_pools_.push_back(std::move(made));
  return *wished_pools_.back()->pool;
}

void WorkerHost::trim_wished_pools() {
  if (wished_pools_.size() < kWishedPoolsMax) return;
  std::erase_if(wished_pools_, [](const std::unique_ptr<WishedPool>& wished) {
    return wished->pool->pending() == 0 && wished->pool->connections() == wished->pool->idle_connections();
  });
}

template <class F>
void WorkerHost::each_pool(F&& use) const {
  for (const auto* pool : {&pool_, &http2_pool_}) {
    if (*pool != nullptr) use(**pool);
  }
  for (const auto& wished : wished_pools_) use(*wished->pool);
}

// A change between HTTP/1.1 and ALPN is followed by the connections made from now on; HTTP/2 has a pool of its own.
void WorkerHost::take_options() {
  if (pool_ != nullptr) {
    const bool alpn = cluster_.policy_ != nullptr && cluster_.policy_->alpn_decides;
    pool_->set_options(options(alpn ? stream::PoolProtocol::kAlpn : stream::PoolProtocol::kHttp1, {}));
  }
  if (http2_pool_ != nullptr) http2_pool_->set_options(options(stream::PoolProtocol::kHttp2, {}));
  for (const auto& wished : wished_pools_) wished->pool->set_options(options(wished->protocol, wished->wish()));
}

bool WorkerHost::try_acquire_connection(bool must) {
  Limit& limit = cluster_.shared().limits().connections;
  std::optional<Permit> permit = limit.acquire();
  if (!permit) {
    cluster_.slot().upstream_cx_overflow.add();
    if (!must) return false;
    permit = limit.acquire_always();
  }
  permits_.push_back(std::move(*permit));
  slot_.connections_total.add();
  slot_.connections_active.add();
  cluster_.slot().upstream_cx_total.add();
  cluster_.slot().connections_active.add();
  return true;
}

void WorkerHost::release_connection() {
  LATEEN_CHECK(!permits_.empty());
  permits_.pop_back();
  slot_.connections_active.subtract();
  cluster_.slot().connections_active.subtract();
  if (left_ && unused()) cluster_.sweep_soon();
}

void WorkerHost::on_connected() {
  const std::shared_ptr<const runtime::Cluster>& policy = cluster_.policy_;
  if (policy != nullptr && policy->outlier) cluster_.report(*this, *policy, TryResult::kLocalConnectSuccess, 0);
}

void WorkerHost::on_connect_failed(stream::ResetReason reason) {
  slot_.connect_failures.add();
  cluster_.slot().upstream_cx_connect_fail.add();
  if (reason == stream::ResetReason::kConnectTimeout) cluster_.slot().upstream_cx_connect_timeout.add();
}

void WorkerHost::release() {
  LATEEN_CHECK(references_ > 0);
  if (--references_ == 0 && left_) cluster_.sweep_soon();
}

void WorkerHost::leave() {
  left_ = true;
  cluster_.leaving_.push_back(this);
  each_pool([this](stream::ClientPool& pool) { pool.drain([this] { cluster_.sweep_soon(); }); });
  release();
}

bool WorkerHost::unused() const {
  bool connected = false;
  each_pool([&](const stream::ClientPool& pool) { connected = connected || pool.connections() > 0; });
  return references_ == 0 && permits_.empty() && !connected;
}

WorkerCluster::WorkerCluster(net::Loop& loop, Cluster& shared, unsigned worker, Random& random, const TransportSource& transport,
                             ClusterDirectory* clusters)
    : loop_(loop), shared_(shared), worker_(worker), random_(random), slot_(shared.slot(worker)), transport_(transport), clusters_(clusters) {}

WorkerCluster::~WorkerCluster() {
  for (WorkerHost* host : hosts_) delete host;
  for (const auto& [name, host] : by_destination_) delete host;
  for (WorkerHost* host : leaving_) delete host;
}

stream::PoolOptions WorkerCluster::pool_options() const {
  stream::PoolOptions options;
  if (policy_ == nullptr) return options;
  options.connect_timeout = policy_->connect_timeout;
  options.idle_timeout = policy_->idle_timeout.value_or(std::chrono::hours(1));
  options.max_connection_duration = policy_->connection_duration_max.value_or(Duration{});
  options.max_requests_per_connection = policy_->requests_per_connection_max;
  if (policy_->keepalive) {
    options.keepalive_idle = policy_->keepalive->idle;
    options.keepalive_interval = policy_->keepalive->interval;
    options.keepalive_probes = static_cast<int>(policy_->keepalive->probes);
  }
  options.bind_to = bind_to();
  options.http2_streams_max = policy_->http2_streams_max;
  if (policy_->http2_keepalive) {
    options.http2_ping_interval = policy_->http2_keepalive->interval;
    options.http2_ping_timeout = policy_->http2_keepalive->timeout;
  }
  return options;
}

net::Address WorkerCluster::bind_to() const {
  if (policy_ == nullptr || policy_->bind_address.empty()) return {};
  const bool v6 = policy_->bind_address.view().find(':') != std::string::npos;
  return {v6 ? net::Address::Family::kIpv6 : net::Address::Family::kIpv4, policy_->bind_address.str(), 0};
}

stream::PoolProtocol WorkerCluster::pool_protocol(http::Version downstream) const {
  if (policy_ == nullptr) return stream::PoolProtocol::kHttp1;
  if (policy_->alpn_decides) return stream::PoolProtocol::kAlpn;
  const bool http2 = policy_->same_protocol_as_downstream ? downstream == http::Version::kHttp2 : policy_->http2;
  return http2 ? stream::PoolProtocol::kHttp2 : stream::PoolProtocol::kHttp1;
}

void WorkerCluster::refresh() {
  static const runtime::Cluster kNoPolicy;
  const std::uint64_t epoch = shared_.epoch();
  if (epoch == epoch_ && (local_ == nullptr || local_->epoch() == local_epoch_)) return;
  epoch_ = epoch;
  Cluster::Current current = shared_.current();
  const bool new_policy = current.policy != policy_;
  policy_ = std::move(current.policy);
  std::map<const Host*, WorkerHost*> left;
  // An endpoint's metadata may choose another transport.
  const bool new_transports = policy_ != nullptr && !policy_->transport_matches.empty() && current.hosts != set_;
  if (current.hosts != set_) take_hosts(std::move(current.hosts), left);
  if (new_policy || new_transports) {
    for (WorkerHost* host : hosts_) host->take_options();
  }
  balancer_.rebuild(*set_, policy_ == nullptr ? kNoPolicy : *policy_, std::move(current.tables), take_local(), random_, loop_.now());
  // Last: requests that wait for a host that leaves pick again from inside leave().
  for (const auto& [key, host] : left) host->leave();
}

OwnPlace WorkerCluster::take_local() {
  const bool wanted = policy_ != nullptr && policy_->zone_aware && !policy_->zone_aware->local_cluster.empty() && clusters_ != nullptr;
  local_ = wanted ? clusters_->find(policy_->zone_aware->local_cluster) : nullptr;
  if (local_ == nullptr) return {};
  local_epoch_ = local_->epoch();
  local_hosts_ = local_->hosts();
  const runtime::Cluster::ZoneAware& zones = *policy_->zone_aware;
  return {.locality = {zones.region, zones.zone, zones.sub_zone}, .local_cluster = local_hosts_.get()};
}

// Hosts that are in the set no longer come into `left`.
void WorkerCluster::take_hosts(std::shared_ptr<const HostSet> set, std::map<const Host*, WorkerHost*>& left) {
  std::vector<WorkerHost*> hosts;
  std::map<const Host*, WorkerHost*> by_host;
  for (const Member& member : set->members) {
    const auto known = by_host_.find(member.host.get());
    WorkerHost* host = nullptr;
    if (known != by_host_.end()) {
      host = known->second;
      host->endpoint_ = member.endpoint;
      by_host_.erase(known);
    } else {
      host = new WorkerHost(*this, member);
      host->retain();
    }
    hosts.push_back(host);
    by_host.emplace(member.host.get(), host);
  }
  left = std::exchange(by_host_, std::move(by_host));
  hosts_ = std::move(hosts);
  set_ = std::move(set);
}

// Out of line: the last use of a host ends in a callback of its pool, or of a stream that the pool still works on.
void WorkerCluster::sweep() {
  for (WorkerHost* host : hosts_) host->trim_wished_pools();
  std::vector<WorkerHost*> unused;
  std::erase_if(leaving_, [&](WorkerHost* host) {
    if (host->unused()) unused.push_back(host);
    return host->unused();
  });
  for (WorkerHost* host : unused) delete host;
}

WorkerHost* WorkerCluster::pick(const PickContext& context) {
  refresh();
  PickRequest request{.hash = context.hash, .attempt = 0, .priorities_tried = {}, .requests_active = 0};
  if (policy_ != nullptr && policy_->hash_balance_percent != 0) request.requests_active = shared_.requests_active();
  if (context.priorities_tried_update != 0 && !context.tried.empty()) request.priorities_tried = tried_priorities(context);
  WorkerHost* host = nullptr;
  for (; request.attempt < std::max(1U, context.attempts); ++request.attempt) {
    const std::optional<std::uint32_t> index = balancer_.pick(request, random_, loop_.now());
    if (!index) {
      slot_.upstream_cx_none_healthy.add();
      return nullptr;
    }
    host = hosts_[*index];
    if (std::none_of(context.tried.begin(), context.tried.end(), [&](const HostPin& pin) { return pin.get() == host; })) break;
  }
  host->retain();
  return host;
}

// The priorities of earlier tries, as of the last time that they were to be looked at (previous_priorities
// update_frequency): in between the choice stays what it was.
std::span<const std::uint32_t> WorkerCluster::tried_priorities(const PickContext& context) {
  priorities_tried_.clear();
  const std::size_t counted = context.tried.size() - context.tried.size() % context.priorities_tried_update;
  for (const HostPin& pin : context.tried.first(counted)) {
    const std::uint32_t priority = pin->endpoint()->priority;
    if (std::find(priorities_tried_.begin(), priorities_tried_.end(), priority) == priorities_tried_.end()) priorities_tried_.push_back(priority);
  }
  return priorities_tried_;
}

bool WorkerCluster::drops_overload() {
  refresh();
  const std::uint32_t per_million = set_->endpoints == nullptr ? 0 : set_->endpoints->drop_per_million;
  return per_million != 0 && random_.below(1'000'000) < per_million;
}

WorkerHost* WorkerCluster::original_destination(const net::Address& address, const std::string& name) {
  refresh();
  const std::string key = name.empty() ? net::to_string(address) : name + "=" + net::to_string(address);
  auto known = by_destination_.find(key);
  if (known == by_destination_.end()) {
    if (by_destination_.size() >= kOriginalDestinationHostsMax) trim_original_destinations();
    runtime::Endpoint endpoint;
    endpoint.host = address.host;
    endpoint.port = address.port;
    endpoint.hostname = name;
    auto* host = new WorkerHost(*this, {std::make_shared<const Host>(address, worker_ + 1),
                                        std::make_shared<const runtime::Endpoint>(std::move(endpoint))});
    host->retain();
    known = by_destination_.emplace(key, host).first;
  }
  known->second->retain();
  return known->second;
}

// Hosts that nobody uses go; if all are in use the table may grow beyond its bound by those.
void WorkerCluster::trim_original_destinations() {
  for (auto at = by_destination_.begin(); at != by_destination_.end();) {
    WorkerHost* host = at->second;
    bool used = host->references_ > 1;
    host->each_pool([&](const stream::ClientPool& pool) { used = used || pool.connections() > pool.idle_connections(); });
    if (used) {
      ++at;
      continue;
    }
    at = by_destination_.erase(at);
    host->leave();
  }
}

void WorkerCluster::report(WorkerHost& host, const runtime::Cluster& policy, TryResult result, std::uint16_t status) {
  shared_.report(host.host(), policy, result, status, loop_.now(), random_);
}

void WorkerCluster::drain() {
  for (WorkerHost* host : hosts_) {
    host->each_pool([](stream::ClientPool& pool) { pool.close_connections_when_idle(); });
  }
  for (const auto& [key, host] : by_destination_) {
    host->each_pool([](stream::ClientPool& pool) { pool.close_connections_when_idle(); });
  }
}

}  // namespace lateen::proxy
