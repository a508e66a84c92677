#include "proxy/tcp_proxy.h"

#include <optional>

#include "base/hash.h"
#include "proxy/dns_cluster.h"
#include "proxy/header_mutation.h"
#include "proxy/http_tunnel.h"
#include "proxy/request_record.h"
#include "proxy/socket_relay.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

const runtime::WeightedCluster* choose_cluster(const runtime::TcpProxySettings& settings, Random& random) {
  if (settings.clusters.empty()) return nullptr;
  if (settings.clusters.size() == 1 || settings.weight_total == 0) return &settings.clusters.front();
  std::uint64_t ticket = random.below(settings.weight_total);
  for (const runtime::WeightedCluster& cluster : settings.clusters) {
    if (ticket < cluster.weight) return &cluster;
    ticket -= cluster.weight;
  }
  return &settings.clusters.back();
}

//   kConnecting --connected--> kRelaying --both ends seen, idle, or error--> closed
//        | refused or too slow: again, up to connect_attempts_max, then closed
class TcpProxyConnection final : public Connection {
 public:
  TcpProxyConnection(Worker& worker, Arrival arrival, const runtime::TcpProxySettings& settings)
      : worker_(worker), arrival_(std::move(arrival)), settings_(settings) {
    counters_ = &worker_.metrics().listener(arrival_.listener->name, settings_.stat_prefix);
    started_ = worker_.loop().now();
    started_wall_ = worker_.loop().wall_now();
    counters_->cx_total.add();
    counters_->cx_active.add();
  }
  ~TcpProxyConnection() override {
    release();
    counters_->cx_active.subtract();
    counters_->cx_destroy.add();
  }

  void start() {
    arrival_.socket->set_events(&client_events_);
    if (settings_.max_downstream_connection_duration > Duration::zero()) {
      worker_.loop().arm<&TcpProxyConnection::on_age>(age_timer_, settings_.max_downstream_connection_duration, this);
    }
    const std::optional<runtime::ClusterId> target = choose();
    if (target) policy_ = arrival_.view->policy(*target);
    cluster_ = policy_ == nullptr ? nullptr : arrival_.view->cluster(*target);
    if (cluster_ == nullptr || !policy_->unsupported.empty()) {
      flags_ |= kNoClusterFound;
      return finish();
    }
    connect();
  }

  // Nothing can be said to the peers of a TCP connection; it ends with its idle timeout or the grace period.
  void drain() override {
    if (!relaying_) finish();
  }

 private:
  struct ClientEvents final : net::SocketEvents {
    explicit ClientEvents(TcpProxyConnection& of) : owner(of) {}
    void on_readable() override { owner.pump(); }
    void on_writable() override { owner.pump(); }
    void on_socket_error(int) override { owner.on_client_error(); }
    TcpProxyConnection& owner;
  };
  struct UpstreamEvents final : net::SocketEvents {
    explicit UpstreamEvents(TcpProxyConnection& of) : owner(of) {}
    void on_connected() override { owner.on_connected(); }
    void on_readable() override { owner.pump(); }
    void on_writable() override {
      owner.on_connected();
      owner.pump();
    }
    void on_socket_error(int) override { owner.on_upstream_error(); }
    TcpProxyConnection& owner;
  };

  std::optional<runtime::ClusterId> choose() {
    // envoy.filters.network.sni_cluster: the name that the client asks for is the cluster's.
    if (settings_.cluster_by_server_name) {
      cluster_name_ = arrival_.server_name;
      return arrival_.view->find_cluster(arrival_.server_name);
    }
    const runtime::WeightedCluster* target = choose_cluster(settings_, worker_.random());
    if (target == nullptr) return std::nullopt;
    cluster_name_ = target->name;
    return target->id;
  }

  PickContext pick_context() const {
    PickContext context;
    if (!settings_.hash.empty()) context.hash = xxhash64(arrival_.remote.host);
    return context;
  }

  void connect() {
    ++attempts_;
    if (settings_.forwards_by_server_name != 0) {
      return connect_by_name({.family = net::Address::Family::kNone, .host = arrival_.server_name, .port = settings_.forwards_by_server_name},
                             family_of(policy_->dns.family));
    }
    if (policy_->discovery != runtime::Cluster::Discovery::kOriginalDestination) return connect_to(cluster_->pick(pick_context()));
    const net::Address& to = arrival_.destination;
    // What was dialled may be ourselves: going on would never end.
    if (to.port == 0 || worker_.listens_at(to)) return connect_to(nullptr);
    if (to.family != net::Address::Family::kNone) return connect_to(cluster_->original_destination(to));
    connect_by_name(to, net::DnsFamily::kAll);
  }

  void connect_by_name(const net::Address& to, net::DnsFamily family) {
    if (to.host.empty()) return connect_to(nullptr);
    worker_.find_address(to.host, family, [this, port = to.port, alive = std::weak_ptr<const int>(alive_)](Result<net::Address> found) {
      if (alive.expired() || finished_) return;
      if (!found) return connect_to(nullptr);
      found->port = port;
      connect_to(worker_.listens_at(*found) ? nullptr : cluster_->original_destination(*found));
    });
  }

  void connect_to(WorkerHost* host) {
    if (host == nullptr) {
      flags_ |= kNoHealthyUpstream;
      return finish();
    }
    host_ = HostPin(host);
    if (policy_->connect_timeout > Duration::zero()) {
      worker_.loop().arm<&TcpProxyConnection::on_connect_timeout>(timer_, policy_->connect_timeout, this);
    }
    if (settings_.tunnel) {
      upstream_ = open_tunnel(worker_.loop(), host_->pool(http::Version::kHttp11), tunnel_request(), upstream_events_);
      return;
    }
    if (!host_->acquire_connection()) {
      flags_ |= kUpstreamOverflow;
      return finish();
    }
    connection_counted_ = true;
    connector_ = host_->connector({.authority = {}, .source = &arrival_.remote, .destination = &arrival_.local});
    const net::Address& address = host_->host().address();
    upstream_ = connector_ == nullptr ? worker_.loop().connect(address, upstream_events_, cluster_->bind_to())
                                      : connector_->connect(worker_.loop(), address, upstream_events_, cluster_->bind_to());
  }

  TunnelRequest tunnel_request() const {
    const std::string remote = net::to_string(arrival_.remote);
    runtime::HeaderContext context;
    context.downstream_remote_address = remote;
    context.upstream_host = host_->host().text();
    context.start_time = started_wall_;
    TunnelRequest request;
    settings_.tunnel->hostname.evaluate(context, request.authority);
    request.post = settings_.tunnel->post;
    request.path = settings_.tunnel->post_path.empty() ? "/" : settings_.tunnel->post_path;
    apply(settings_.tunnel->headers, context, request.headers);
    return request;
  }

  void on_connect_timeout() { on_connect_failed(stream::ResetReason::kConnectTimeout); }

  void on_connect_failed(stream::ResetReason reason) {
    timer_.cancel();
    if (connection_counted_) host_->count_connect_failed(reason);   // a pool counts its own
    const TryResult result = reason == stream::ResetReason::kConnectTimeout ? TryResult::kLocalTimeout
                                                                             : TryResult::kLocalConnectFailure;
    cluster_->report(*host_.get(), *policy_, result, 0);
    release_upstream();
    if (attempts_ < settings_.connect_attempts_max) return connect();
    flags_ |= kUpstreamConnectionFailure;
    finish();
  }

  void on_connected() {
    if (relaying_ || finished_ || upstream_ == nullptr) return;
    relaying_ = true;
    if (connection_counted_) host_->count_connected();
    if (policy_->outlier && !policy_->outlier->split_external_local_origin_errors) {
      cluster_->report(*host_.get(), *policy_, TryResult::kStatus, 200);
    }
    if (policy_->keepalive) {
      upstream_->set_keepalive(policy_->keepalive->idle, policy_->keepalive->interval,
                               static_cast<int>(policy_->keepalive->probes));
    }
    timer_.cancel();
    upstream_local_ = net::to_string(upstream_->local_address());
    worker_.metrics().tcp_opened(arrival_.view->id(), record());
    opened_ = true;
    pump();
  }

  void pump() {
    if (!relaying_ || finished_) return;
    touch();
    const RelayDirection::Progress up = upwards_.pump(*arrival_.socket, *upstream_);
    const RelayDirection::Progress down = downwards_.pump(*upstream_, *arrival_.socket);
    using Progress = RelayDirection::Progress;
    if (up == Progress::kFailed || down == Progress::kFailed) {
      reset_both_ = true;
      return finish();
    }
    if (up == Progress::kEnded && down == Progress::kEnded) return finish();
    if (up == Progress::kMore || down == Progress::kMore) {
      worker_.loop().arm<&TcpProxyConnection::pump>(again_, Duration::zero(), this);
    }
  }

  // The timer is left alone while bytes move; it looks at the time of the last movement when it fires.
  void touch() {
    moved_at_ = worker_.loop().now();
    if (settings_.idle_timeout > Duration::zero() && !timer_.armed()) {
      worker_.loop().arm<&TcpProxyConnection::on_idle>(timer_, settings_.idle_timeout, this);
    }
  }
  void on_idle() {
    const Duration left = moved_at_ + settings_.idle_timeout - worker_.loop().now();
    if (left <= Duration::zero()) return finish();
    worker_.loop().arm<&TcpProxyConnection::on_idle>(timer_, left, this);
  }

  void on_age() {
    flags_ |= kDurationTimeout;
    finish();
  }

  void on_client_error() {
    flags_ |= kDownstreamConnectionTermination;
    reset_both_ = true;
    finish();
  }
  void on_upstream_error() {
    if (!relaying_) {
      transport_failure_ = connector_ == nullptr ? tunnel_failure(*upstream_) : connector_->failure(*upstream_);
      return on_connect_failed(stream::ResetReason::kConnectFailure);
    }
    reset_both_ = true;
    finish();
  }

  TcpRecord record() const {
    TcpRecord record;
    record.cluster = policy_.get();
    record.endpoint = host_ ? host_->endpoint().get() : nullptr;
    record.flags = flags_;
    record.bytes_received = upwards_.bytes();
    record.bytes_sent = downwards_.bytes();
    return record;
  }

  void log() {
    const AccessLogFormat* format = settings_.access_log_format ? worker_.log_format(settings_.access_log_format) : nullptr;
    if (format == nullptr) return;
    const std::string remote = net::to_string(arrival_.remote), local = net::to_string(arrival_.local);
    RequestRecord record;
    record.started = started_;
    record.started_wall = started_wall_;
    record.duration = worker_.loop().now() - started_;
    record.flags = flags_;
    record.bytes_received = upwards_.bytes();
    record.bytes_sent = downwards_.bytes();
    record.attempts = attempts_;
    record.cluster = policy_.get();
    record.cluster_name = cluster_name_;
    if (host_) {
      record.endpoint = host_->endpoint().get();
      record.upstream_host = host_->host().text();
    }
    record.upstream_transport_failure = transport_failure_;
    record.upstream_local_address = upstream_local_;
    record.downstream_remote_address = remote;
    record.downstream_local_address = local;
    record.requested_server_name = arrival_.server_name;
    record.client_tls = arrival_.tls.get();
    worker_.log(*format, record);
  }

  void release_upstream() {
    upstream_.reset();
    if (std::exchange(connection_counted_, false)) host_->drop_connection();
  }

  void finish() {
    if (finished_) return;
    release();
    worker_.close(*this);
  }

  void release() {
    if (finished_) return;
    finished_ = true;
    if (!opened_) worker_.metrics().tcp_opened(arrival_.view->id(), record());
    worker_.metrics().tcp_closed(arrival_.view->id(), record());
    log();
    age_timer_.cancel();
    timer_.cancel();
    again_.cancel();
    // A connection that broke on one side must not look complete on the other.
    if (reset_both_ && arrival_.socket != nullptr) arrival_.socket->reset_on_close();
    if (reset_both_ && upstream_ != nullptr) upstream_->reset_on_close();
    arrival_.socket.reset();
    release_upstream();
  }

  Worker& worker_;
  Arrival arrival_;
  const runtime::TcpProxySettings& settings_;           // of arrival_.listener
  ListenerSlot* counters_ = nullptr;
  std::shared_ptr<const runtime::Cluster> policy_;
  WorkerCluster* cluster_ = nullptr;
  HostPin host_;
  ClientEvents client_events_{*this};
  UpstreamEvents upstream_events_{*this};
  std::shared_ptr<const stream::Connector> connector_;
  std::unique_ptr<net::Socket> upstream_;
  std::string cluster_name_, transport_failure_, upstream_local_;
  RelayDirection upwards_, downwards_;
  net::Timer timer_, again_, age_timer_;
  Time moved_at_{}, started_{};
  WallTime started_wall_{};
  std::uint32_t attempts_ = 0;
  std::uint32_t flags_ = 0;
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  bool connection_counted_ = false, relaying_ = false, opened_ = false, finished_ = false, reset_both_ = false;
};

}  // namespace

void start_tcp_proxy(Worker& worker, Arrival arrival, const runtime::TcpProxySettings& settings) {
  const std::uint64_t group = arrival.group;
  auto connection = std::make_unique<TcpProxyConnection>(worker, std::move(arrival), settings);
  TcpProxyConnection& started = *connection;
  worker.add(std::move(connection), group);
  started.start();
}

}  // namespace lateen::proxy
