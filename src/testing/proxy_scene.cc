#include "testing/proxy_scene.h"

#include "base/result.h"
#include "proxy/make_proxy.h"

namespace lateen::testing {
namespace {

// Simulated loops all run here.
class SameThreadRunner final : public proxy::WorkerRunner {
 public:
  explicit SameThreadRunner(VirtualLoop& loop) : loop_(loop) {}
  net::Loop& loop() override { return loop_; }
  void call(const std::function<void()>& work) override { work(); }

 private:
  VirtualLoop& loop_;
};

}  // namespace

ProxyScene::ProxyScene(const Options& options)
    : network_(std::make_unique<VirtualNetwork>(options.seed, options.network)),
      outside_(std::make_unique<VirtualLoop>(*network_)),
      control_(std::make_unique<VirtualLoop>(*network_)) {
  std::vector<std::unique_ptr<proxy::WorkerRunner>> runners;
  for (unsigned i = 0; i < options.workers; ++i) {
    worker_loops_.push_back(std::make_unique<VirtualLoop>(*network_));
    runners.push_back(std::make_unique<SameThreadRunner>(*worker_loops_.back()));
  }
  proxy::Options proxy_options;
  proxy_options.concurrency = options.workers;
  proxy_options.seed = options.seed;
  auto names = std::make_unique<NamesInMemory>(*control_);
  names_ = names.get();
  Result<std::unique_ptr<proxy::Proxy>> made = proxy::make_proxy(proxy_options, *control_, std::move(runners), std::move(names));
  LATEEN_CHECK(made.has_value());
  proxy_ = *std::move(made);
  proxy::ViewInfo info;
  info.name = "sleep";
  view_ = proxy_->add_view(info);
}

ProxyScene::~ProxyScene() { stop(); }

void ProxyScene::stop() { proxy_.reset(); }

void ProxyScene::apply() {
  bool adopted = false;
  proxy_->adopt(view_, config_.build(), [&] { adopted = true; });
  LATEEN_CHECK(network_->run_until([&] { return adopted; }));
}

net::Address ProxyScene::listen() {
  proxy::ListenSpec spec;
  spec.view = view_;
  spec.listener = "in";
  return listen(spec);
}

net::Address ProxyScene::listen(const proxy::ListenSpec& spec) {
  const Result<proxy::BoundListener> bound =
      proxy_->listen("in", {.family = net::Address::Family::kIpv4, .host = "127.0.0.1", .port = 0}, spec);
  LATEEN_CHECK(bound.has_value());
  return bound->address;
}

}  // namespace lateen::testing
