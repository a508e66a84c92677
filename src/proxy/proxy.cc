#include "proxy/proxy.h"

#include <algorithm>
#include <atomic>

#include "net/heap_pages.h"
#include "net/loop_thread.h"
#include "proxy/access_log.h"
#include "proxy/dns_cache.h"
#include "proxy/dns_cluster.h"
#include "proxy/make_proxy.h"
#include "proxy/metrics.h"
#include "proxy/random.h"
#include "proxy/tls_contexts.h"
#include "proxy/view_state.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

constexpr std::uint64_t kWorkerSeedStride = 0x9e3779b97f4a7c15ULL;

class ThreadRunner final : public WorkerRunner {
 public:
  explicit ThreadRunner(std::unique_ptr<net::LoopThread> thread) : thread_(std::move(thread)) {}
  net::Loop& loop() override { return thread_->loop(); }
  void call(const std::function<void()>& work) override { thread_->call(work); }

 private:
  std::unique_ptr<net::LoopThread> thread_;
};

class WorkerProxy final : public Proxy, private ControlQuestions {
 public:
  WorkerProxy(const Options& options, net::Loop& control_loop, std::vector<std::unique_ptr<WorkerRunner>> runners,
              std::unique_ptr<net::Resolver> resolver)
      : options_(options),
        control_(control_loop),
        runners_(std::move(runners)),
        metrics_(static_cast<unsigned>(runners_.size())),
        resolver_(std::move(resolver)),
        names_(resolver_ == nullptr ? nullptr : std::make_unique<DnsCache>(control_loop, *resolver_)),
        started_(control_loop.now()) {}

  Result<void> start() {
    if (!options_.access_log.empty()) {
      net::Mailbox& mailbox = control_.mailbox();
      auto wake = [this, &mailbox, alive = std::weak_ptr<const int>(alive_)] {
        mailbox.post([this, alive] {
          if (!alive.expired()) log_->flush();
        });
      };
      LATEEN_TRY(log_, AccessLog::open(options_.access_log, workers_count(), std::move(wake)));
      arm_log_flush();
    }
    const WorkerShared shared{.metrics = &metrics_, .access_log = log_.get(), .control = this, .tls = &tls_};
    const std::uint64_t seed = options_.seed != 0 ? options_.seed : control_.random();
    workers_.resize(runners_.size());
    for (unsigned index = 0; index < runners_.size(); ++index) {
      runners_[index]->call([&] {
        workers_[index] = std::make_unique<Worker>(runners_[index]->loop(), index, seed + index * kWorkerSeedStride, shared);
      });
    }
    return {};
  }

  ~WorkerProxy() override {
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      runners_[index]->call([&] { workers_[index].reset(); });
    }
    runners_.clear();
    if (log_ != nullptr) log_->flush();
  }

  ViewId add_view(const ViewInfo& info) override {
    const auto id = static_cast<ViewId>(views_.size());
    auto stale = [this, id](runtime::ClusterId cluster) {
      post_to_control([this, id, cluster] { views_[id]->rebuild_tables(cluster); });
    };
    views_.push_back(std::make_unique<ViewState>(workers_count(), ClusterServices{&hash_tables_, std::move(stale), [this] { post_to_control([this] { on_tick(); }); }}));
    metrics_.set_view(id, info);
    return id;
  }

  void set_view_resolver(ResolveView resolver) override { resolve_view_ = std::move(resolver); }

  void adopt(ViewId view, std::shared_ptr<const runtime::Snapshot> snapshot, std::function<void()> done) override {
    watch_tls_files(*snapshot);
    views_[view]->adopt(snapshot, control_.now());
    resolve_names(view, *snapshot);
    on_tick();
    heap_pages_.update();
    auto waiting = std::make_shared<const Countdown>(workers_.size(), [this, done = std::move(done)] {
      if (done) post_to_control(done);
    });
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      runners_[index]->loop().mailbox().post(
          [worker = workers_[index].get(), view, snapshot, table = views_[view]->table(), waiting] {
            worker->adopt(view, snapshot, table);
            waiting->one_is_done();
          });
    }
  }

  Result<BoundListener> listen(const std::string& name, const net::Address& at, const ListenSpec& spec) override {
    net::ListenOptions listen_options;
    listen_options.reuse_port = workers_.size() > 1 || options_.reuse_port;
    listen_options.exclusive = !options_.reuse_port;
    net::Address address = at;
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      Result<net::Address> bound = fail(ErrorCode::kSystem, "not run");
      runners_[index]->call([&] { bound = workers_[index]->listen(name, address, listen_options, spec); });
      if (!bound) {
        close_listener(name);
        return tl::unexpected(bound.error());
      }
      address = *bound;
      listen_options.exclusive = false;   // the next workers share the port with the first one
    }
    return BoundListener{.name = name, .address = address};
  }

  Result<void> listen_on(const std::string& name, std::vector<int> sockets, const ListenSpec& spec) override {
    // Worker i takes sockets i, i + n ...; a worker may have several, under names of their own.
    for (std::size_t index = 0; index < sockets.size(); ++index) {
      const std::size_t to = index % workers_.size();
      const std::string own_name = index < workers_.size() ? name : name + "#" + std::to_string(index / workers_.size());
      Result<void> adopted;
      runners_[to]->call([&] { adopted = workers_[to]->adopt_listener(own_name, sockets[index], spec); });
      if (!adopted) return adopted;
    }
    return {};
  }

  void close_listener(const std::string& name) override {
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      runners_[index]->loop().mailbox().post([worker = workers_[index].get(), name] { worker->close_listener(name); });
    }
  }

  std::vector<ClusterStatus> clusters(ViewId view) const override { return views_[view]->clusters(control_.now()); }
  std::string prometheus() const override { return metrics_.prometheus(all_clusters(), facts()); }
  std::map<std::string, std::uint64_t> stats() const override { return metrics_.stats(all_clusters(), facts()); }

  void drain(Duration grace, std::function<void()> done) override {
    if (draining_) return;
    draining_ = true;
    drained_ = std::move(done);
    control_.arm<&WorkerProxy::on_drained>(grace_, grace, this);
    auto waiting = std::make_shared<const Countdown>(workers_.size(), [this] { post_to_control([this] { on_drained(); }); });
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      runners_[index]->loop().mailbox().post([worker = workers_[index].get(), waiting] {
        worker->drain([waiting] { waiting->one_is_done(); });
      });
    }
  }

 private:
  // Calls `all_done` when the last of `count` parties is done. Shared between threads.
  class Countdown {
   public:
    Countdown(std::size_t count, std::function<void()> all_done) : left_(count), all_done_(std::move(all_done)) {}
    void one_is_done() const {
      if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) all_done_();
    }

   private:
    mutable std::atomic<std::size_t> left_;
    std::function<void()> all_done_;
  };

  unsigned workers_count() const { return static_cast<unsigned>(runners_.size()); }

  // The proxy may be gone by the time the control thread comes to it.
  void post_to_control(std::function<void()> work) {
    control_.mailbox().post([work = std::move(work), alive = std::weak_ptr<const int>(alive_)] {
      if (!alive.expired()) work();
    });
  }

  void find_view(unsigned worker, std::string identity, std::function<void(Result<ViewId>)> done) override {
    post_to_control([this, worker, identity = std::move(identity), done = std::move(done)]() mutable {
      auto answer = [this, worker, done = std::move(done), alive = std::weak_ptr<const int>(alive_)](Result<ViewId> id) {
        if (alive.expired()) return;
        runners_[worker]->loop().mailbox().post([done, id = std::move(id)] { done(id); });
      };
      if (!resolve_view_) return answer(fail(ErrorCode::kNotFound, "identities are not known here"));
      resolve_view_(std::move(identity), std::move(answer));
    });
  }

  void find_address(unsigned worker, std::string name, net::DnsFamily family, std::function<void(Result<net::Address>)> done) override {
    post_to_control([this, worker, name = std::move(name), family, done = std::move(done)] {
      auto answer = [this, worker, done](Result<net::Address> address) {
        runners_[worker]->loop().mailbox().post([done, address = std::move(address)] { done(address); });
      };
      if (names_ == nullptr) return answer(fail(ErrorCode::kNotFound, "names are not resolved here"));
      names_->find(name, family, std::move(answer));
    });
  }

  // Clusters of names are kept by DnsCluster; those that have gone, or are no longer by name, end here.
  void resolve_names(ViewId view, const runtime::Snapshot& snapshot) {
    if (resolver_ == nullptr) return;
    auto& kept = dns_clusters_[view];
    std::map<runtime::ClusterId, std::unique_ptr<DnsCluster>> now;
    for (std::size_t index = 0; index < snapshot.clusters.size(); ++index) {
      const std::shared_ptr<const runtime::Cluster>& policy = snapshot.clusters[index];
      if (policy == nullptr || !ViewState::resolves_names(*policy)) continue;
      const auto id = static_cast<runtime::ClusterId>(index);
      std::unique_ptr<DnsCluster> cluster = std::move(kept[id]);
      if (cluster == nullptr) {
        cluster = std::make_unique<DnsCluster>(control_, *resolver_, [this, view, id](auto endpoints) {
          views_[view]->set_resolved(id, std::move(endpoints), control_.now());
        });
      }
      cluster->set(policy, index < snapshot.endpoints.size() ? snapshot.endpoints[index] : nullptr);
      now.emplace(id, std::move(cluster));
    }
    kept = std::move(now);
  }

  void on_tick() {
    const Time now = control_.now();
    std::optional<Time> next;
    for (const auto& view : views_) {
      const std::optional<Time> at = view->on_tick(now);
      if (at && (!next || *at < *next)) next = at;
    }
    if (!next) return tick_.cancel();
    control_.arm<&WorkerProxy::on_tick>(tick_, std::max(*next - now, Duration::zero()), this);
  }

  // Texts are there before a worker sees who names them.
  void watch_tls_files(const runtime::Snapshot& snapshot) {
    tls_.files().watch(snapshot);
    if (!tls_.files().empty() && !tls_files_.armed()) arm_tls_files();
  }
  void arm_tls_files() { control_.arm<&WorkerProxy::on_tls_files>(tls_files_, TlsFiles::kLookAgain, this); }
  void on_tls_files() {
    tls_.files().look_again();
    arm_tls_files();
  }

  void arm_log_flush() { control_.arm<&WorkerProxy::on_log_flush>(log_timer_, kAccessLogFlushInterval, this); }
  void on_log_flush() {
    log_->flush();
    arm_log_flush();
  }

  void on_drained() {
    grace_.cancel();
    if (log_ != nullptr) log_->flush();
    if (drained_) std::exchange(drained_, nullptr)();
  }

  std::vector<ClusterStatus> all_clusters() const {
    std::vector<ClusterStatus> all;
    for (const auto& view : views_) {
      if (view->snapshot() == nullptr) continue;
      for (ClusterStatus& status : view->clusters(control_.now())) all.push_back(std::move(status));
    }
    return all;
  }

  ServerFacts facts() const {
    ServerFacts facts;
    facts.uptime = control_.now() - started_;
    facts.concurrency = workers_count();
    facts.live = !draining_;
    facts.draining = draining_;
    facts.access_log_dropped = log_ == nullptr ? 0 : log_->dropped();
    return facts;
  }

  const Options options_;
  net::Loop& control_;
  std::vector<std::unique_ptr<WorkerRunner>> runners_;
  Metrics metrics_;
  std::unique_ptr<AccessLog> log_;
  HashTableMemory hash_tables_;
  net::HeapPages heap_pages_;
  TlsContexts tls_;
  std::vector<std::unique_ptr<ViewState>> views_;
  std::unique_ptr<net::Resolver> resolver_;
  std::map<ViewId, std::map<runtime::ClusterId, std::unique_ptr<DnsCluster>>> dns_clusters_;
  std::unique_ptr<DnsCache> names_;                          // of find_address; null without a resolver
  std::vector<std::unique_ptr<Worker>> workers_;
  ResolveView resolve_view_;
  net::Timer tick_, log_timer_, tls_files_, grace_;
  std::function<void()> drained_;
  const Time started_;
  bool draining_ = false;
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
};

}  // namespace

Result<std::unique_ptr<Proxy>> make_proxy(const Options& options, net::Loop& control_loop,
                                          std::vector<std::unique_ptr<WorkerRunner>> runners,
                                          std::unique_ptr<net::Resolver> resolver) {
  auto proxy = std::make_unique<WorkerProxy>(options, control_loop, std::move(runners), std::move(resolver));
  LATEEN_TRY_VOID(proxy->start());
  return proxy;
}

Result<std::unique_ptr<Proxy>> Proxy::start(const Options& options, net::Loop& control_loop) {
  const unsigned count = options.concurrency != 0 ? options.concurrency : net::core_count();
  std::vector<std::unique_ptr<WorkerRunner>> runners;
  for (unsigned index = 0; index < count; ++index) {
    net::EpollLoop::Options loop_options;
    loop_options.seed = options.seed == 0 ? 0 : options.seed + index;
    LATEEN_TRY(std::unique_ptr<net::LoopThread> thread, net::LoopThread::start(loop_options));
    runners.push_back(std::make_unique<ThreadRunner>(std::move(thread)));
  }
  std::unique_ptr<net::Resolver> resolver;
  if (auto* loop = dynamic_cast<net::EpollLoop*>(&control_loop); loop != nullptr) {
    LATEEN_TRY(resolver, net::make_resolver(*loop));
  }
  return make_proxy(options, control_loop, std::move(runners), std::move(resolver));
}

}  // namespace lateen::proxy
