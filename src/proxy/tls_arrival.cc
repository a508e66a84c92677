#include "proxy/tls_arrival.h"

#include <utility>

#include "proxy/arrivals.h"
#include "proxy/tls_contexts.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

class TlsArrival final : public Connection, private net::SocketEvents {
 public:
  TlsArrival(Worker& worker, Arrival arrival, const ConnectionTraits& traits, const runtime::FilterChain& chain)
      : worker_(worker),
        arrival_(std::move(arrival)),
        traits_(traits),
        chain_(chain),
        counters_(worker.metrics().listener(arrival_.listener->name, "")) {}

  void start() {
    TlsContextResult context = worker_.tls().downstream(chain_.tls, *arrival_.view);
    if (!context) {
      counters_.ssl_context_not_ready.add();
      return finish();
    }
    socket_ = stream::accept_tls(worker_.loop(), std::move(arrival_.socket), *std::move(context), *this, chain_.transport_timeout);
  }
  // It goes on: what it carries is not known yet, and the handshake has its time.
  void drain() override {}

 private:
  void on_connected() override {
    counters_.ssl_handshake.add();
    if (socket_->resumed()) counters_.ssl_session_reused.add();
    arrival_.tls = client_tls_of(*socket_);
    if (!arrival_.tls->peer_presented) counters_.ssl_no_certificate.add();
    if (arrival_.server_name.empty()) arrival_.server_name = arrival_.tls->server_name;
    socket_->set_events(nullptr);
    arrival_.socket = std::move(socket_);
    Arrival arrival = std::move(arrival_);
    finish();
    start_handler(worker_, std::move(arrival), traits_, chain_);
  }
  void on_readable() override {}
  void on_writable() override {}
  void on_socket_error(int) override {
    count();
    finish();
  }

  void count() {
    switch (socket_->outcome()) {
      case stream::TlsOutcome::kOpen: break;
      case stream::TlsOutcome::kConnectionError: counters_.ssl_connection_error.add(); break;
      case stream::TlsOutcome::kNoCertificate: counters_.ssl_fail_verify_no_cert.add(); break;
      case stream::TlsOutcome::kVerifyError: counters_.ssl_fail_verify_error.add(); break;
      case stream::TlsOutcome::kVerifyName: counters_.ssl_fail_verify_san.add(); break;
      case stream::TlsOutcome::kVerifyHash: counters_.ssl_fail_verify_cert_hash.add(); break;
      case stream::TlsOutcome::kTimeout: counters_.ssl_timeout.add(); break;
    }
  }

  void finish() {
    if (std::exchange(done_, true)) return;
    socket_.reset();
    arrival_.socket.reset();
    worker_.close(*this);
  }

  Worker& worker_;
  Arrival arrival_;
  const ConnectionTraits traits_;
  const runtime::FilterChain& chain_;
  ListenerSlot& counters_;
  std::unique_ptr<stream::TlsSocket> socket_;
  bool done_ = false;
};

}  // namespace

void start_tls_arrival(Worker& worker, Arrival arrival, const ConnectionTraits& traits, const runtime::FilterChain& chain) {
  const std::uint64_t group = arrival.group;
  auto connection = std::make_unique<TlsArrival>(worker, std::move(arrival), traits, chain);
  TlsArrival& started = *connection;
  worker.add(std::move(connection), group);
  started.start();
}

}  // namespace lateen::proxy
