#include "proxy/arrivals.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "proxy/forward_proxy.h"
#include "proxy/http_connection.h"
#include "proxy/proxy_protocol.h"
#include "proxy/tcp_proxy.h"
#include "proxy/tls_arrival.h"
#include "proxy/tls_client_hello.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

ConnectionTraits traits_of(const Arrival& arrival) {
  ConnectionTraits traits;
  traits.destination = arrival.destination;
  traits.source = traits.direct_source = arrival.remote;
  return traits;
}

// The listener filters: proxy_protocol, tls_inspector, http_inspector, in this order. A PROXY header is taken out of the
// socket; all else stays in it.
class InspectedConnection final : public Connection, private net::SocketEvents {
 public:
  InspectedConnection(Worker& worker, Arrival arrival)
      : worker_(worker),
        arrival_(std::move(arrival)),
        traits_(traits_of(arrival_)),
        step_(arrival_.listener->reads_proxy_protocol ? Step::kProxyHeader : Step::kTls) {}

  void start() {
    const Duration timeout = arrival_.listener->sniffing_timeout;
    if (timeout > Duration::zero()) worker_.loop().arm<&InspectedConnection::on_timeout>(timer_, timeout, this);
    arrival_.socket->set_events(this);
    look();
  }
  void drain() override { finish(); }

 private:
  enum class Step : std::uint8_t { kProxyHeader, kTls, kHttp, kDone };
  static constexpr std::size_t kBytesMax = kClientHelloBytesMax + 1024;   // with the headers of its records

  void on_readable() override { look(); }
  void on_writable() override {}
  void on_socket_error(int) override { finish(); }

  // One for all: nobody keeps what is in it.
  static std::span<std::byte> small() {
    static thread_local std::array<std::byte, kSniffBytesMax> bytes;
    return bytes;
  }

  // The first bytes, as far as they have come; `end`: no more will come.
  bool peek(std::string_view& bytes, bool& end) {
    std::span<std::byte> into = large_.empty() ? small() : std::span<std::byte>(large_);
    net::IoResult result = arrival_.socket->peek(into);
    if (result.status == net::IoStatus::kOk && result.bytes == into.size() && large_.empty() && step_ == Step::kTls) {
      large_.resize(kBytesMax);
      into = large_;
      result = arrival_.socket->peek(into);
    }
    if (result.status == net::IoStatus::kWouldBlock) return false;
    if (result.status == net::IoStatus::kError) {
      finish();
      return false;
    }
    end = result.status == net::IoStatus::kEnd;
    bytes = {reinterpret_cast<const char*>(into.data()), result.bytes};
    return true;
  }

  void look() {
    while (!done_ && step_ != Step::kDone) {
      if (step_ == Step::kTls && !arrival_.listener->sniffs_tls) step_ = Step::kHttp;
      if (step_ == Step::kHttp && !sniffs_http(*arrival_.listener, arrival_.destination.port)) break;
      std::string_view bytes;
      bool end = false;
      if (!peek(bytes, end)) return;
      // At the end of the stream what there is must do: nothing at all is left to TCP.
      if (!take_step(bytes) && !end) return;
      if (end) break;
    }
    if (!done_) go_on();
  }

  // False: more bytes are needed.
  bool take_step(std::string_view bytes) {
    switch (step_) {
      case Step::kProxyHeader: return take_proxy_header(bytes);
      case Step::kTls: return look_for_tls(bytes);
      case Step::kHttp: return look_for_http(bytes);
      case Step::kDone: break;
    }
    return true;
  }

  bool take_proxy_header(std::string_view bytes) {
    ProxyHeader header;
    const ProxyHeaderResult result = read_proxy_header(bytes, header);
    if (result == ProxyHeaderResult::kMore && !bytes.empty()) return false;
    const bool absent = result == ProxyHeaderResult::kAbsent && arrival_.listener->proxy_protocol_optional;
    if (!absent && (result != ProxyHeaderResult::kComplete || !drop(header.bytes))) {
      worker_.metrics().listener(arrival_.listener->name, "").proxy_protocol_error.add();
      finish();
      return true;
    }
    step_ = Step::kTls;
    if (absent || header.local) return true;
    arrival_.remote = traits_.source = header.source;
    arrival_.local = arrival_.destination = traits_.destination = header.destination;
    return true;
  }

  // Reads bytes that have been seen.
  bool drop(std::size_t count) {
    while (count > 0) {
      const net::IoResult result = arrival_.socket->read(small().first(std::min(count, small().size())));
      if (result.status != net::IoStatus::kOk) return false;
      count -= result.bytes;
    }
    return true;
  }

  bool look_for_tls(std::string_view bytes) {
    ClientHello hello;
    switch (read_client_hello(bytes, hello)) {
      case ClientHelloResult::kMore:
        if (bytes.size() < kBytesMax) return false;
        break;
      case ClientHelloResult::kComplete:
        traits_.transport = "tls";
        traits_.server_name = arrival_.server_name = std::move(hello.server_name);
        traits_.alpn = std::move(hello.application_protocols);
        step_ = Step::kDone;
        return true;
      case ClientHelloResult::kNotTls:
      case ClientHelloResult::kInvalid: break;
    }
    step_ = Step::kHttp;
    return true;
  }

  bool look_for_http(std::string_view bytes) {
    switch (sniff(bytes)) {
      case Sniffed::kHttp11: traits_.application_protocol = "http/1.1"; break;
      case Sniffed::kHttp10: traits_.application_protocol = "http/1.0"; break;
      case Sniffed::kHttp2: traits_.application_protocol = "h2c"; break;
      case Sniffed::kMore: return false;
      case Sniffed::kOther: break;
    }
    step_ = Step::kDone;
    return true;
  }

  void go_on() {
    arrival_.socket->set_events(nullptr);
    Arrival arrival = std::move(arrival_);
    finish();
    start_chain(worker_, std::move(arrival), traits_);
  }

  // Protocols in which the server speaks first are never recognised; they go on as TCP where the listener says so.
  void on_timeout() {
    if (arrival_.listener->goes_on_after_sniffing_timeout && step_ != Step::kProxyHeader) return go_on();
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
  ConnectionTraits traits_;
  Step step_;
  std::vector<std::byte> large_;             // for a ClientHello that is longer
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
  const runtime::Listener& listener = *arrival.listener;
  if (listener.reads_proxy_protocol || listener.sniffs_tls || sniffs_http(listener, arrival.destination.port)) {
    const std::uint64_t group = arrival.group;
    auto inspected = std::make_unique<InspectedConnection>(worker, std::move(arrival));
    InspectedConnection& started = *inspected;
    worker.add(std::move(inspected), group);
    return started.start();
  }
  const ConnectionTraits traits = traits_of(arrival);
  start_chain(worker, std::move(arrival), traits);
}

void start_chain(Worker& worker, Arrival arrival, const ConnectionTraits& traits) {
  const runtime::FilterChain* chain = choose_chain(*arrival.listener, traits);
  if (chain == nullptr) {
    worker.metrics().listener(arrival.listener->name, "").no_filter_chain_match.add();
    return;
  }
  if (chain->tls != nullptr) return start_tls_arrival(worker, std::move(arrival), traits, *chain);
  start_handler(worker, std::move(arrival), traits, *chain);
}

void start_handler(Worker& worker, Arrival arrival, const ConnectionTraits& traits, const runtime::FilterChain& chain) {
  if (std::holds_alternative<runtime::HttpConnectionSettings>(chain.handler)) {
    return start_http_connection(worker, std::move(arrival), traits);
  }
  if (const auto* tcp = std::get_if<runtime::TcpProxySettings>(&chain.handler)) {
    return start_tcp_proxy(worker, std::move(arrival), *tcp);
  }
  // A chain that this data plane does not carry out: closed rather than passed on unchecked.
  worker.metrics().listener(arrival.listener->name, "").no_filter_chain_match.add();
}

}  // namespace lateen::proxy
