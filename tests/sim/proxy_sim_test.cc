// The whole proxy under chance: virtual time, virtual network, misbehaving upstreams, impatient clients, changes of
// configuration in the middle. One seed is one run; LATEEN_SIM_SEED=n runs that one, LATEEN_SIM_SEEDS=n so many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "sim_client.h"
#include "sim_upstream.h"
#include "testing/proxy_scene.h"

namespace lateen::sim {
namespace {

using namespace std::chrono_literals;
using testing::ProxyScene;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The route's timeout bounds how long anybody waits.
constexpr Duration kRouteTimeout = 20s;
constexpr int kRequestsEach = 6;

// A world made by one seed.
class World {
 public:
  explicit World(std::uint64_t seed) : scene_(options_for(seed)) {
    testing::VirtualNetwork& network = scene_.network();
    for (std::uint64_t i = 0, count = 1 + network.random() % 4; i < count; ++i) {
      upstreams_.push_back(std::make_unique<SimUpstream>(scene_.outside(), behaviours()));
    }
    // Has its own upstream: what a shadow does there is not what the request did.
    mirror_ = std::make_unique<SimUpstream>(scene_.outside(), behaviours());
    configure();
    scene_.apply();
    const net::Address at = scene_.listen();
    for (std::uint64_t i = 0, count = 1 + network.random() % 6; i < count; ++i) {
      clients_.push_back(std::make_unique<SimClient>(scene_.outside(), at, "c" + std::to_string(i), kRequestsEach));
    }
    for (std::uint64_t i = 0, count = network.random() % 30; i < count; ++i) {
      network.after(std::chrono::milliseconds(network.random() % 5000), [this] { change(); });
    }
  }

  void run() {
    const auto all_done = [this] {
      for (const auto& client : clients_) {
        if (!client->done()) return false;
      }
      return true;
    };
    ASSERT_TRUE(scene_.network().run_until(all_done, 30min)) << "a request never ended:" << unended();
    // What was given up upstream may need a moment to close.
    scene_.network().run_for(2min);
    check_requests();
    check_nothing_is_left();
  }

 private:
  static ProxyScene::Options options_for(std::uint64_t seed) {
    ProxyScene::Options options;
    options.seed = seed;
    options.workers = 1 + seed % 4;
    options.network = {};
    if (seed % 3 == 0) {
      options.network.refuse_per_million = 100'000;
      options.network.reset_per_million = 2'000;
    }
    if (seed % 7 == 0) options.network.lose_per_million = 50'000;
    return options;
  }

  std::vector<Behaviour> behaviours() {
    std::vector<Behaviour> out = {Behaviour::kAnswer, Behaviour::kAnswerChunked};
    for (int i = 0; i < static_cast<int>(Behaviour::kCount); ++i) {
      if (scene_.network().random() % 3 == 0) out.push_back(static_cast<Behaviour>(i));
    }
    return out;
  }

  // Everything that may be tried again for GET and PUT; for POST only what is provably not processed.
  void configure() {
    testing::VirtualNetwork& network = scene_.network();
    runtime::Cluster policy;
    policy.balancer = static_cast<runtime::Cluster::Balancer>(network.random() % 3);
    policy.connect_timeout = 500ms;
    policy.panic_threshold_percent = network.random() % 2 == 0 ? 0 : 50;
    if (network.random() % 2 == 0) {
      policy.limits.requests_max = 1 + network.random() % 4;
      policy.limits.pending_requests_max = 1 + network.random() % 3;
      policy.limits.connections_max = 1 + network.random() % 3;
      policy.limits.retries_max = network.random() % 3;
    }
    if (network.random() % 2 == 0) {
      policy.outlier = runtime::OutlierDetection();
      policy.outlier->consecutive_5xx = 2;
      policy.outlier->interval = 500ms;
      policy.outlier->base_ejection_time = 1s;
      policy.outlier->max_ejection_percent = static_cast<std::uint32_t>(network.random() % 101);
    }
    policy.requests_per_connection_max = static_cast<std::uint32_t>(network.random() % 4);
    scene_.config().cluster("up", std::move(policy));
    runtime::Cluster mirror;
    mirror.connect_timeout = 500ms;
    mirror_id_ = scene_.config().cluster("mirror", std::move(mirror));
    set_endpoints();
    scene_.config().routes({route_for("GET", runtime::kRetry5xx | runtime::kRetryReset | runtime::kRetryConnectFailure),
                            route_for("PUT", runtime::kRetry5xx | runtime::kRetryReset | runtime::kRetryConnectFailure),
                            route_for("POST", runtime::kRetryConnectFailure | runtime::kRetryRefusedStream |
                                                  runtime::kRetryResetBeforeRequest)});
  }

  runtime::Route route_for(const char* method, std::uint32_t retry_on) {
    testing::VirtualNetwork& network = scene_.network();
    runtime::Route route = scene_.config().forward({"up"});
    runtime::HeaderMatcher matcher;
    matcher.set_name(":method");
    matcher.kind = runtime::HeaderMatcher::Kind::kString;
    matcher.string.text = method;
    route.match.conditions().headers.push_back(matcher);
    runtime::Forward& forward = testing::SnapshotBuilder::forward_of(route);
    forward.policy->timeout = kRouteTimeout;
    runtime::RetryPolicy retry;
    retry.retry_on = retry_on;
    retry.retries_max = static_cast<std::uint32_t>(network.random() % 4);
    retry.per_try_timeout = 2s;
    retry.avoid_previous_hosts = network.random() % 2 == 0;
    retry.host_selection_attempts_max = 5;
    forward.policy->retry = retry;
    // A late try is sent again whatever the words say: not for POST.
    if (std::string_view(method) != "POST" && network.random() % 3 == 0) {
      forward.policy->hedge = runtime::Hedge{.on_per_try_timeout = true};
    }
    for (std::uint64_t i = network.random() % 4; i > 1; --i) {
      runtime::Mirror mirror;
      mirror.cluster = "mirror";
      mirror.id = mirror_id_;
      mirror.per_million = 500'000;
      forward.policy->mirrors.push_back(std::move(mirror));
    }
    if (network.random() % 4 == 0) {
      route.fault = runtime::Fault();
      route.fault->delay = std::chrono::milliseconds(network.random() % 4000);
      route.fault->delay_per_million = 300'000;
      route.fault->abort_status = 503;
      route.fault->abort_per_million = 100'000;
      route.delay_counts_against_timeout = network.random() % 2 == 0;
    }
    return route;
  }

  void set_endpoints() {
    std::vector<net::Address> addresses;
    for (const auto& upstream : upstreams_) {
      if (scene_.network().random() % 5 != 0) addresses.push_back(upstream->address());
    }
    scene_.config().endpoints("up", addresses);
    scene_.config().endpoints("mirror", std::vector<net::Address>{mirror_->address()});
  }

  // A new configuration in the middle of everything.
  void change() {
    if (scene_.network().random() % 2 == 0) configure();
    else set_endpoints();
    scene_.proxy().adopt(scene_.view(), scene_.config().build(), nullptr);
  }

  std::string unended() const {
    std::string out;
    for (const auto& [name, value] : scene_.proxy().stats()) {
      if (value != 0 && (name.find("active") != std::string::npos || name.find("rq_") != std::string::npos)) {
        out += name + "=" + std::to_string(value) + "\n";
      }
    }
    for (const auto& client : clients_) {
      if (!client->done() && !client->requests().empty()) out += " " + client->requests().back().id;
      if (!client->done()) out += " (" + client->unread().substr(0, 300) + ")";
    }
    return out;
  }

  void check_requests() {
    std::map<std::string, int> executed;
    std::set<std::string> answered_early;
    for (const std::string& complaint : mirror_->complaints()) ADD_FAILURE() << complaint;
    for (const auto& upstream : upstreams_) {
      for (const std::string& complaint : upstream->complaints()) ADD_FAILURE() << complaint;
      for (const auto& [id, count] : upstream->executed()) executed[id] += count;
      answered_early.insert(upstream->answered_early().begin(), upstream->answered_early().end());
    }
    for (const auto& client : clients_) {
      for (const std::string& complaint : client->complaints()) ADD_FAILURE() << complaint;
      for (const SentRequest& request : client->requests()) {
        ASSERT_TRUE(request.outcome.has_value()) << request.id;
        // A client's own attempt to connect may be lost too, and then takes minutes.
        const bool lost = scene_.network().options().lose_per_million != 0 && request.outcome == Outcome::kBroken;
        if (!lost) {
          EXPECT_LT(request.took, kRouteTimeout + 10s) << request.id;
        }
        if (request.post) { EXPECT_LE(executed[request.id], 1) << request.id << " was executed twice"; }
        if (request.outcome == Outcome::kOk && !answered_early.contains(request.id)) {
          EXPECT_GE(executed[request.id], 1) << request.id;
        }
      }
    }
  }

  void check_nothing_is_left() {
    for (const proxy::ClusterStatus& status : scene_.proxy().clusters(scene_.view())) {
      EXPECT_EQ(status.requests_active, 0U);
      EXPECT_EQ(status.pending_active, 0U);
      EXPECT_EQ(status.retries_active, 0U);
      for (const proxy::EndpointStatus& endpoint : status.endpoints) EXPECT_EQ(endpoint.requests_active, 0U);
    }
    scene_.stop();
    clients_.clear();
    upstreams_.clear();
    mirror_.reset();
    scene_.network().run_for(1min);
    EXPECT_EQ(scene_.network().open_sockets(), 0U);
  }

  mutable ProxyScene scene_;
  std::vector<std::unique_ptr<SimUpstream>> upstreams_;
  std::unique_ptr<SimUpstream> mirror_;
  runtime::ClusterId mirror_id_ = runtime::kNoCluster;
  std::vector<std::unique_ptr<SimClient>> clients_;
};

TEST(ProxySim, EveryRequestHasOneOutcomeAndNothingIsLeft) {
  const std::uint64_t only = number_from_environment("LATEEN_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t count = only != 0 ? 1 : number_from_environment("LATEEN_SIM_SEEDS", 2000);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("LATEEN_SIM_SEED=" + std::to_string(seed));
    World(seed).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lateen::sim
