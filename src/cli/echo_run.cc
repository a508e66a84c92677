// lateen echo.
#include <csignal>
#include <cstdio>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/echo_workload.h"
#include "cli/read_watch.h"
#include "net/process.h"

namespace lateen::cli {

namespace {

constexpr Duration kDrain = std::chrono::seconds(2);

class Echo {
 public:
  Echo(EchoArguments arguments, std::unique_ptr<net::EpollLoop> loop, net::SignalWatch signals)
      : arguments_(std::move(arguments)), loop_(std::move(loop)), signals_(std::move(signals)), workload_(*loop_, arguments_, registration_) {}

  Result<int> run() {
    LATEEN_TRY(const net::Address admin, net::parse_address(AdminClient(arguments_.admin).address()));
    stream::HttpServerOptions options;
    options.server_name = "lateen-echo";
    options.http2 = true;
    options.connection.half_close_is_gone = arguments_.hang;  // else what hangs would outlive its client
    LATEEN_TRY(server_, stream::listen_http(*loop_, arguments_.listen, options, [this](const auto& request, auto reply) {
      workload_.on_request(request, std::move(reply));
    }));
    arguments_.registration.address = server_->local_address().host;
    arguments_.registration.port = server_->local_address().port;
    LATEEN_TRY(const auto watch, ReadWatch::start(*loop_, signals_.descriptor(), [this] { on_signal(); }));
    registration_ = std::make_unique<EchoRegistration>(*loop_, admin, arguments_.registration, [this](const std::string& why) {
      std::fprintf(stderr, "lateen echo: the mesh refuses: %s\n", why.c_str());
      exit_code_ = 1;
      loop_->stop();
    });
    loop_->run();
    return exit_code_;
  }

 private:
  // First out of the mesh, so that nobody is sent here any more; then what is being answered is answered.
  void on_signal() {
    const bool asked_again = registration_ == nullptr;
    while (signals_.read()) {
    }
    if (asked_again) return loop_->stop();
    registration_.reset();
    server_->drain([this] { loop_->stop(); });
    loop_->arm<&Echo::stop>(drain_timer_, kDrain, this);
  }
  void stop() { loop_->stop(); }

  EchoArguments arguments_;
  std::unique_ptr<net::EpollLoop> loop_;
  net::SignalWatch signals_;
  std::unique_ptr<EchoRegistration> registration_;
  EchoWorkload workload_;
  std::unique_ptr<stream::HttpServer> server_;
  net::Timer drain_timer_;
  int exit_code_ = 0;
};

Result<int> serve(EchoArguments arguments) {
  LATEEN_TRY(net::SignalWatch signals, net::SignalWatch::open({SIGINT, SIGTERM, SIGHUP}));
  LATEEN_TRY(auto loop, net::EpollLoop::create());
  return Echo(std::move(arguments), std::move(loop), std::move(signals)).run();
}

}  // namespace

int run_echo(Args args) {
  auto arguments = parse_echo_arguments(args);
  if (!arguments) return usage_error(kEchoUsage, arguments.error().message);
  if (arguments->help) {
    std::fputs(to_text(kEchoUsage).c_str(), stdout);
    return 0;
  }
  const auto exit_code = serve(std::move(*arguments));
  if (exit_code) return *exit_code;
  std::fprintf(stderr, "lateen echo: %s\n", to_string(exit_code.error()).c_str());
  return 1;
}

}  // namespace lateen::cli
