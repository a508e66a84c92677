#include "proxy/arrivals.h"

#include <array>

#include "proxy/forward_proxy.h"
#include "proxy/http_connection.h"
#include "proxy/tcp_proxy.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

// Waits for enough of the first bytes to know the protocol. They stay in the socket.
class SniffingConnection final : public Connection, private net::SocketEvents {
 public:
  SniffingConnection(Worker& worker, Arrival arrival) : worker_(worker), arrival_(std::move(arrival)) {}

  void start() {
    const Duration timeout = arrival_.listener->sniffing_timeout;
    if (timeout > Duration::zero()) worker_.loop().arm<&SniffingConnection::on_timeout>(timer_, timeout, this);
    arrival_.socket->set_events(this);
    look();
  }
  void drain() override { finish(); }

 private:
  void on_readable() override { look(); }
  void on_writable() override {}
  void on_socket_error(int) override { finish(); }

  void look() {
    if (done_) return;
    std::array<std::byte, kSniffBytesMax> bytes;
    const net::IoResult result = arrival_.socket->peek(bytes);
    if (result.status == net::IoStatus::kWouldBlock) return;
    if (result.status == net::IoStatus::kError) return finish();
    // At the end of the stream what there is must do: nothing at all is left to TCP.
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), result.bytes);
    const Sniffed sniffed = sniff(text);
    if (sniffed == Sniffed::kMore && result.status == net::IoStatus::kOk) return;
    go_on(sniffed);
  }

  void go_on(Sniffed sniffed) {
    ConnectionTraits traits;
    traits.destination = arrival_.destination;
    switch (sniffed) {
      case Sniffed::kHttp11: traits.application_protocol = "http/1.1"; break;
      case Sniffed::kHttp10: traits.application_protocol = "http/1.0"; break;
      case Sniffed::kHttp2: traits.application_protocol = "h2c"; break;
      case Sniffed::kTls: traits.transport = "tls"; break;
      case Sniffed::kMore:
      case Sniffed::kOther: break;
    }
    arrival_.socket->set_events(nullptr);
    Arrival arrival = std::move(arrival_);
    finish();
    start_chain(worker_, std::move(arrival), traits);
  }

  // Protocols in which the server speaks first are never recognised; they go on as TCP where the listener says so.
  void on_timeout() {
    if (arrival_.listener->goes_on_after_sniffing_timeout) return go_on(Sniffed::kOther);
    finish();
  }

  void finish() {
    if (done_) return;
    done_ = true;
    timer_.cancel();
    arrival_.socket.reset();
    worker_.close(*this);
  }

  Worker& worker_;
  Arrival arrival_;
  net::Timer timer_;
  bool done_ = false;
};

}  // namespace

void admit_socket(Worker& worker, std::unique_ptr<net::Socket> socket, const ListenSpec& spec, std::uint64_t group) {
  Arrival arrival;
  arrival.view = &worker.view(spec.view);
  arrival.remote = socket->remote_address();
  arrival.local = socket->local_address();
  arrival.destination = arrival.local;
  arrival.socket = std::move(socket);
  arrival.group = group;
  const runtime::Snapshot* snapshot = arrival.view->snapshot().get();
  switch (spec.kind) {
    case ListenSpec::Kind::kListener:
      arrival.listener = arrival.view->listener(spec.listener);
      break;
    case ListenSpec::Kind::kCapture:
      if (snapshot != nullptr) arrival.listener = capture_listener(*snapshot, arrival.destination);
      break;
    case ListenSpec::Kind::kForwardProxy:
      return start_forward_proxy(worker, std::move(arrival));
  }
  admit_arrival(worker, std::move(arrival));
}

void admit_arrival(Worker& worker, Arrival arrival) {
  if (arrival.listener == nullptr) return;   // nothing serves this address: closed
  if (must_sniff(*arrival.listener, arrival.destination.port)) {
    const std::uint64_t group = arrival.group;
    auto sniffing = std::make_unique<SniffingConnection>(worker, std::move(arrival));
    SniffingConnection& started = *sniffing;
    worker.add(std::move(sniffing), group);
    return started.start();
  }
  ConnectionTraits traits;
  traits.destination = arrival.destination;
  start_chain(worker, std::move(arrival), traits);
}

void start_chain(Worker& worker, Arrival arrival, const ConnectionTraits& traits) {
  const runtime::FilterChain* chain = choose_chain(*arrival.listener, traits);
  if (chain == nullptr) {
    worker.metrics().listener(arrival.listener->name, "").no_filter_chain_match.add();
    return;
  }
  if (std::holds_alternative<runtime::HttpConnectionSettings>(chain->handler)) {
    return start_http_connection(worker, std::move(arrival), traits);
  }
  if (const auto* tcp = std::get_if<runtime::TcpProxySettings>(&chain->handler)) {
    return start_tcp_proxy(worker, std::move(arrival), *tcp);
  }
  // A chain that this data plane does not carry out: closed rather than passed on unchecked.
  worker.metrics().listener(arrival.listener->name, "").no_filter_chain_match.add();
}

}  // namespace lateen::proxy
