#include "cli/mesh.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <unistd.h>

#include "admin/envoy_pages.h"
#include "admin/json.h"
#include "admin/lateen_pages.h"
#include "admin/server.h"
#include "analyze/analyze.h"
#include "cli/mesh_control.h"
#include "cli/mesh_exec.h"
#include "cli/mesh_files.h"
#include "cli/mesh_gateways.h"
#include "cli/mesh_inbound.h"
#include "cli/mesh_register.h"
#include "cli/mesh_views.h"
#include "proxy/proxy.h"

namespace lateen::cli {

const std::string_view kVersion = "0.1.0";

namespace {

constexpr Duration kListenAgain = std::chrono::seconds(1);
constexpr std::string_view kForwardProxyName = "http-proxy";

translate::Options translate_options(const MeshOptions& options) {
  translate::Options made;
  made.compat = options.compat;
  made.access_log = !options.access_log.empty();
  made.secrets = true;
  return made;
}

class LivingMesh final : public Mesh, private admin::Backend {
 public:
  LivingMesh(net::Loop& loop, MeshOptions options) : loop_(loop), options_(std::move(options)) {}

  ~LivingMesh() override {
    // Workloads that are registered leave as their connections end: nobody is to be told any more.
    ending_ = true;
    server_.reset();
    exec_.reset();
  }

  Result<void> start() {
    started_ = loop_.wall_now();
    LATEEN_TRY_VOID(open_control());
    LATEEN_TRY_VOID(start_proxy());
    LATEEN_TRY_VOID(make_views());
    LATEEN_TRY_VOID(start_admin());
    LATEEN_TRY_VOID(listen_forward_proxy());
    LATEEN_TRY_VOID(start_exec());
    on_change();
    return {};
  }

  std::string ports_json() const override {
    std::string text;
    text::JsonWriter json(text);
    json.begin_object();
    for (const proxy::BoundListener& listener : listeners()) json.member(listener.name, net::to_string(listener.address));
    json.end_object();
    return text + "\n";
  }

  void drain(Duration grace, std::function<void()> done) override {
    draining_ = true;
    proxy_->drain(grace, std::move(done));
  }

 private:
  // ---- wiring, one function a subsystem ------------------------------------------------------------------------------

  Result<void> open_control() {
    MeshControl::Options options;
    options.paths = options_.paths;
    options.state = options_.state;
    LATEEN_TRY(options.config, read_mesh_config_file(options_.mesh_config));
    LATEEN_TRY(control_, MeshControl::open(loop_, std::move(options), [this] { on_change(); }));
    return {};
  }

  Result<void> start_proxy() {
    proxy::Options options;
    options.concurrency = options_.concurrency;
    options.access_log = options_.access_log;
    options.reuse_port = options_.reuse_port;
    LATEEN_TRY(proxy_, proxy::Proxy::start(options, loop_));
    proxy_->set_view_resolver([this](const std::string& identity, const std::function<void(Result<proxy::ViewId>)>& found) {
      auto page = view(identity);
      if (!page) return found(tl::unexpected<Error>(page.error()));
      found((*page)->id);
    });
    return {};
  }

  Result<void> make_views() {
    views_ = std::make_unique<MeshViews>(loop_, *proxy_, translate_options(options_));
    gateways_ = std::make_unique<MeshGateways>(*proxy_, *views_,
                                               MeshGateways::Options{options_.gateway_bind, options_.gateway_ports});
    inbound_ = std::make_unique<MeshInbound>(*proxy_, *views_);
    LATEEN_TRY(const admin::ViewPage* page, view(""));
    default_view_ = page->id;
    return {};
  }

  Result<void> start_admin() {
    admin::add_envoy_pages(router_, *this);
    admin::add_lateen_pages(router_, *this);
    add_register_page(router_, *control_, forward_proxy_text_);
    router_.add_page("/lateen/exec-socket", "where lateen exec goes in",
                     [this](const admin::Request&, admin::Reply reply) { reply(exec_directions()); });
    auto server = admin::Server::start(loop_, options_.admin, router_);
    if (!server)
      return fail(server.error().code, "cannot open the admin port (--admin " + net::to_string(options_.admin) +
                                           "): " + server.error().message +
                                           "; is another mesh running? --admin 127.0.0.1:0 takes a free port");
    server_ = *std::move(server);
    return {};
  }

  Result<void> listen_forward_proxy() {
    if (options_.http_proxy.family == net::Address::Family::kNone) return {};
    proxy::ListenSpec spec;
    spec.kind = proxy::ListenSpec::Kind::kForwardProxy;
    spec.view = default_view_;
    const std::string name(kForwardProxyName);
    const auto bound = proxy_->listen(name, options_.http_proxy, spec);
    if (!bound)
      return fail(bound.error().code, "cannot open the forward proxy (--http-proxy " + net::to_string(options_.http_proxy) +
                                          "): " + bound.error().message + "; --http-proxy 127.0.0.1:0 takes a free port");
    forward_proxy_ = {name, bound->address};
    forward_proxy_text_ = net::to_string(bound->address);
    return {};
  }

  Result<void> start_exec() {
    const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR");
    MeshExec::Options options;
    options.workers = options_.concurrency;
    options.server.directory = exec_socket_directory(runtime_dir == nullptr ? "" : runtime_dir, ::getuid());
    options.server.name = "exec-" + std::to_string(server_->address().port) + ".sock";
    auto exec = MeshExec::start(loop_, options, *proxy_, *views_, control_->mesh());
    if (!exec) {
      // The mesh is whole without it; exec then says why it cannot go in.
      exec_problem_ = to_string(exec.error());
      say("lateen exec will not work: " + exec_problem_);
      return {};
    }
    exec_ = *std::move(exec);
    return {};
  }

  // ---- changes ---------------------------------------------------------------------------------------------------------

  void on_change() {
    if (ending_ || views_ == nullptr) return;
    const std::uint64_t generation = ++generation_;
    secret_problems_ = analyze::secret_problems(control_->mesh(), options_.compat);
    gateways_->make_views(control_->mesh());
    inbound_->make_views(control_->mesh());
    views_->update(control_->mesh(), [this, generation] { on_adopted(generation); });
    listen_at_gateways();
    if (exec_ != nullptr) exec_->update();
    report();
  }

  // A port that is in use may become free: its own old listener closes a moment later, or another process ends.
  void listen_at_gateways() {
    gateways_->listen(control_->mesh());
    inbound_->listen();
    if (!gateways_->all_open() || !inbound_->all_open()) loop_.arm<&LivingMesh::listen_again>(listen_timer_, kListenAgain, this);
  }
  void listen_again() {
    if (ending_ || draining_) return;
    listen_at_gateways();
    put_ports_file();
    report();
  }

  void on_adopted(std::uint64_t generation) {
    adopted_ = std::max(adopted_, generation);
    put_ports_file();
    while (!waiting_.empty() && waiting_.begin()->first <= adopted_) {
      const std::function<void()> next = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      next();
    }
  }

  void when_adopted(std::function<void()> next) {
    if (adopted_ >= generation_) return next();
    waiting_.emplace(generation_, std::move(next));
  }

  void put_ports_file() {
    if (options_.ports_file.empty()) return;
    const std::string text = ports_json();
    if (text == ports_written_) return;
    if (const auto put = put_file(options_.ports_file, text); put) {
      ports_written_ = text;
    } else {
      say(to_string(put.error()));
    }
  }

  // Says what is new among the problems and the objects that are not in effect.
  void report() {
    std::set<std::string> lines;
    for (const Diagnostic& problem : problems()) lines.insert(to_string(problem));
    for (const auto& [key, status] : control_->admission().status) {
      if (status.standing == admit::Standing::kInEffect || status.standing == admit::Standing::kRefused) continue;
      lines.insert(model::to_string(key) + ": " + std::string(admin::words(status.standing)) + ": " + status.reason);
    }
    for (const std::string& line : lines)
      if (!reported_.contains(line)) say(line);
    reported_ = std::move(lines);
  }

  void say(const std::string& line) const {
    if (!options_.quiet) std::fprintf(stderr, "lateen: %s\n", line.c_str());
  }

  std::vector<proxy::BoundListener> listeners() const {
    std::vector<proxy::BoundListener> all{{"admin", server_->address()}};
    if (!forward_proxy_.name.empty()) all.push_back(forward_proxy_);
    for (proxy::BoundListener& gateway : gateways_->bound()) all.push_back(std::move(gateway));
    for (proxy::BoundListener& inbound : inbound_->bound()) all.push_back(std::move(inbound));
    return all;
  }

  admin::Response exec_directions() const {
    if (exec_ == nullptr) return admin::error_response(503, exec_problem_);
    return admin::json_response(to_json(ExecDirections{exec_->socket_path(), forward_proxy_text_}) + "\n");
  }

  // ---- admin::Backend --------------------------------------------------------------------------------------------------

  Result<const admin::ViewPage*> view(const std::string& identity) override {
    const std::string& wanted = identity.empty() ? options_.identity : identity;
    if (const admin::ViewPage* known = views_->find(wanted)) return known;
    LATEEN_TRY(const Identity parsed, parse_identity(wanted));
    return views_->workload(parsed, control_->mesh());
  }
  std::vector<const admin::ViewPage*> views() const override { return views_->all(); }
  const proxy::Proxy& proxy() const override { return *proxy_; }
  translate::Compat compat() const override { return options_.compat; }
  const model::Mesh& mesh() const override { return control_->mesh(); }
  std::vector<admin::ObjectPage> objects() const override { return control_->objects(); }

  std::vector<Diagnostic> problems() const override {
    std::vector<Diagnostic> all = control_->problems();
    const std::vector<Diagnostic> gateways = gateways_->problems();
    all.insert(all.end(), gateways.begin(), gateways.end());
    const std::vector<Diagnostic> inbound = inbound_->problems();
    all.insert(all.end(), inbound.begin(), inbound.end());
    all.insert(all.end(), secret_problems_.begin(), secret_problems_.end());
    for (const admin::ViewPage* page : views_->all())
      for (const Error& refused : page->refused)
        all.push_back({"LTN0909", Severity::kError, refused.origin,
                       "the data plane refuses it for " + page->identity + ": " + refused.message, ""});
    return all;
  }

  admin::ServerFacts facts() const override {
    admin::ServerFacts facts;
    facts.version = kVersion;
    facts.started = started_;
    facts.now = loop_.wall_now();
    facts.concurrency = options_.concurrency;
    facts.compat = options_.compat == translate::Compat::kIstio ? "istio" : "lateen";
    facts.draining = draining_;
    facts.listeners = listeners();
    return facts;
  }

  void apply(admin::ApplyRequest request, std::function<void(admin::ApplyOutcome)> done) override {
    admin::ApplyOutcome outcome = control_->apply(request, options_.compat);
    when_adopted([outcome = std::move(outcome), done = std::move(done)] { done(outcome); });
  }

  void remove(model::Key key, std::function<void(Result<admin::ObjectOutcome>)> done) override {
    Result<admin::ObjectOutcome> outcome = control_->remove(key);
    when_adopted([outcome = std::move(outcome), done = std::move(done)] { done(outcome); });
  }

  net::Loop& loop_;
  const MeshOptions options_;
  WallTime started_{};
  std::unique_ptr<MeshControl> control_;
  std::unique_ptr<proxy::Proxy> proxy_;
  std::unique_ptr<MeshViews> views_;
  std::unique_ptr<MeshGateways> gateways_;
  std::unique_ptr<MeshInbound> inbound_;
  proxy::ViewId default_view_ = 0;
  proxy::BoundListener forward_proxy_;
  std::string forward_proxy_text_;
  admin::Router router_;
  std::unique_ptr<MeshExec> exec_;
  std::string exec_problem_;
  std::unique_ptr<admin::Server> server_;
  std::uint64_t generation_ = 0, adopted_ = 0;
  std::multimap<std::uint64_t, std::function<void()>> waiting_;
  std::string ports_written_;
  net::Timer listen_timer_;
  std::set<std::string> reported_;
  std::vector<Diagnostic> secret_problems_;
  bool draining_ = false, ending_ = false;
};

}  // namespace

Result<std::unique_ptr<Mesh>> Mesh::start(net::Loop& loop, MeshOptions options) {
  auto mesh = std::make_unique<LivingMesh>(loop, std::move(options));
  LATEEN_TRY_VOID(mesh->start());
  return mesh;
}

}  // namespace lateen::cli
