#include "proxy/http_connection.h"

#include <string>

#include "proxy/http_site.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

class HttpConnection final : public Connection, private stream::ServerStreamAcceptor {
 public:
  HttpConnection(Worker& worker, Arrival arrival, const ConnectionTraits& traits)
      : worker_(worker),
        socket_(std::move(arrival.socket)),
        client_(std::move(arrival.remote), std::move(arrival.local), std::move(arrival.destination)),
        first_listener_(arrival.listener),
        server_name_(std::move(arrival.server_name)),
        traits_(traits) {
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
    active_in_->cx_http1_total.add();
    active_in_->cx_active.add();
    connection_ =
        stream::make_h1_server_connection(worker_.loop(), std::move(socket_), *this, connection_options(*site_.settings));
  }
  void drain() override { connection_->drain(); }

 private:
  stream::ServerStreamHandler* on_request(stream::ServerStream& stream, stream::End end) override {
    // A listener that has gone lets this request be the last one.
    const bool stays = site_.refresh(worker_, traits_);
    if (!stays || worker_.draining()) stream.close_after();
    return &requests_.begin(worker_, stream, end, origin());
  }
  void on_refused(std::uint16_t status, std::string_view detail) override {
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
  const ClientFacts client_;
  const std::shared_ptr<const runtime::Listener> first_listener_;   // the connection's options point into it
  const std::string server_name_;
  const ConnectionTraits traits_;
  HttpSite site_;
  ListenerSlot* active_in_ = nullptr;                               // where the connection is counted
  LiveRequests requests_;
  std::unique_ptr<stream::ServerConnection> connection_;
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
