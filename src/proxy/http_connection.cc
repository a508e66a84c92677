#include "proxy/http_connection.h"

#include <string>
#include <utility>
#include <vector>

#include "proxy/http_site.h"
#include "proxy/worker.h"
#include "stream/h2_server_connection.h"

namespace lateen::proxy {
namespace {

// Changes of its listener that a connection with open streams lives through; then it takes no more.
constexpr std::size_t kEarlierListenersMax = 16;

class HttpConnection final : public Connection, private stream::ServerStreamAcceptor, private stream::Http2Taker {
 public:
  HttpConnection(Worker& worker, Arrival arrival, const ConnectionTraits& traits)
      : worker_(worker),
        socket_(std::move(arrival.socket)),
        client_(std::move(arrival.remote), std::move(arrival.local), std::move(arrival.destination)),
        first_listener_(arrival.listener),
        server_name_(std::move(arrival.server_name)),
        traits_(traits) {
    client_.tls = std::move(arrival.tls);
    site_.set(worker_, *arrival.view, std::move(arrival.listener), traits_);
  }
  ~HttpConnection() override {
    requests_.abandon_all();
    connection_.reset();
    active_in_->cx_active.subtract();
    active_in_->cx_destroy.add();
  }

  void start() {
    active_in_ = site_.counters;
    active_in_->cx_total.add();
    active_in_->cx_active.add();
    stream::H1ServerOptions options = connection_options(*site_.settings);
    options.scheme = client_.tls != nullptr ? "https" : "http";
    if (begins_with_http2()) return start_http2(std::move(socket_), options, {});
    if (site_.settings->codec == runtime::HttpConnectionSettings::Codec::kAuto) options.http2 = this;
    connection_ = stream::make_h1_server_connection(worker_.loop(), std::move(socket_), *this, options);
  }
  void drain() override {
    drains_ = true;
    connection_->drain();
  }

 private:
  // By configuration, by ALPN, or because the first bytes have been looked at before.
  bool begins_with_http2() const {
    switch (site_.settings->codec) {
      case runtime::HttpConnectionSettings::Codec::kHttp1: return false;
      case runtime::HttpConnectionSettings::Codec::kHttp2: return true;
      case runtime::HttpConnectionSettings::Codec::kAuto: break;
    }
    const std::string_view agreed = socket_->application_protocol();
    return agreed == "h2" || (agreed.empty() && traits_.application_protocol == "h2c");
  }

  void start_http2(std::unique_ptr<net::Socket> socket, const stream::H1ServerOptions& options, std::string_view first_bytes) {
    active_in_->cx_http2_total.add();
    protocol_counted_ = true;
    connection_ = stream::make_h2_server_connection(worker_.loop(), std::move(socket), *this, options, first_bytes);
  }

  void on_http2_preface(std::unique_ptr<net::Socket> socket, std::string_view first_bytes) override {
    before_ = std::move(connection_);
    stream::H1ServerOptions options = connection_options(*site_.settings);
    options.scheme = client_.tls != nullptr ? "https" : "http";
    start_http2(std::move(socket), options, first_bytes);
    worker_.loop().arm<&HttpConnection::forget_http1>(later_, Duration::zero(), this);
    if (drains_) connection_->drain();
  }
  void forget_http1() { before_.reset(); }

  void count_http1() {
    if (!std::exchange(protocol_counted_, true)) active_in_->cx_http1_total.add();
  }

  // The streams of HTTP/2 that are open still look into the listener of their beginning.
  bool refresh_site() {
    if (requests_.empty()) earlier_listeners_.clear();
    if (site_.view_version == site_.view->version()) return true;
    std::shared_ptr<const runtime::Listener> before = site_.listener;
    const bool stays = site_.refresh(worker_, traits_);
    if (requests_.empty() || before == site_.listener) return stays;
    earlier_listeners_.push_back(std::move(before));
    return stays && earlier_listeners_.size() < kEarlierListenersMax;
  }

  stream::ServerStreamHandler* on_request(stream::ServerStream& stream, stream::End end) override {
    // A listener that has gone lets this request be the last one.
    const bool stays = refresh_site();
    count_http1();
    ++requests_begun_;
    const std::uint32_t most = site_.settings->requests_per_connection_max;
    if (!stays || worker_.draining() || (most > 0 && requests_begun_ >= most)) stream.close_after();
    Request& request = requests_.take(worker_, site_, stream);
    return &requests_.begin(request, stream, end, origin());
  }
  void on_refused(std::uint16_t status, std::string_view detail) override {
    count_http1();
    record_refusal(worker_, origin(), status, detail);
  }
  void on_connection_closed() override { worker_.close(*this); }

  RequestOrigin origin() const {
    RequestOrigin origin = site_.origin();
    client_.describe(origin);
    origin.server_name = server_name_;
    return origin;
  }

  Worker& worker_;
  std::unique_ptr<net::Socket> socket_;                             // until start()
  ClientFacts client_;
  const std::shared_ptr<const runtime::Listener> first_listener_;   // the connection's options point into it
  const std::string server_name_;
  const ConnectionTraits traits_;
  HttpSite site_;
  ListenerSlot* active_in_ = nullptr;                               // where the connection is counted
  LiveRequests requests_;
  std::vector<std::shared_ptr<const runtime::Listener>> earlier_listeners_;
  std::unique_ptr<stream::ServerConnection> connection_;
  std::unique_ptr<stream::ServerConnection> before_;                // of HTTP/1.1, until the event of its hand-over is over
  net::Timer later_;
  std::uint32_t requests_begun_ = 0;
  bool protocol_counted_ = false;
  bool drains_ = false;
};

}  // namespace

void start_http_connection(Worker& worker, Arrival arrival, const ConnectionTraits& traits) {
  const std::uint64_t group = arrival.group;
  auto connection = std::make_unique<HttpConnection>(worker, std::move(arrival), traits);
  HttpConnection& started = *connection;
  worker.add(std::move(connection), group);
  started.start();
}

}  // namespace lateen::proxy
