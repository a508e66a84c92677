#include "proxy/forward_proxy.h"

#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "http/path.h"
#include "proxy/arrivals.h"
#include "proxy/base64.h"
#include "proxy/http_site.h"
#include "proxy/local_reply.h"
#include "proxy/tunnel_socket.h"
#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

constexpr std::uint16_t kHttpPort = 80;
// Views that one connection has asked for; a program has one identity.
constexpr std::size_t kIdentitiesMax = 16;

// The user of "Basic <base64 of user:password>"; nothing where there is none.
std::optional<std::string> identity_of(const http::RequestHead& head) {
  const std::optional<std::string_view> value = head.headers.get(http::HeaderId::kProxyAuthorization);
  constexpr std::string_view kBasic = "basic ";
  if (!value || value->size() <= kBasic.size()) return std::nullopt;
  for (std::size_t i = 0; i < kBasic.size(); ++i) {
    if (((*value)[i] | 0x20) != kBasic[i] && kBasic[i] != ' ') return std::nullopt;
  }
  std::optional<std::string> credentials = decode_base64(value->substr(kBasic.size()));
  if (!credentials) return std::nullopt;
  return credentials->substr(0, credentials->find(':'));
}

// Where a request wants to go. A name has no address here: family kNone, the name as host.
net::Address destination_of(const http::RequestHead& head) {
  const std::optional<http::Authority> authority = http::parse_authority(head.authority);
  if (!authority) return {};
  const std::uint16_t port = authority->port.value_or(kHttpPort);
  const Result<net::Address> address = net::parse_address(std::string(authority->host) + ":" + std::to_string(port));
  if (address) return *address;
  return {.family = net::Address::Family::kNone, .host = std::string(authority->host), .port = port};
}

const runtime::HttpConnectionSettings& own_settings() {
  static const runtime::HttpConnectionSettings kSettings;
  return kSettings;
}

class ForwardProxyConnection;

// One request on the proxy port. Holds what comes of its body until its view is known, then hands all on.
class HeldRequest final : public stream::ServerStreamHandler {
 public:
  HeldRequest(ForwardProxyConnection& owner, stream::ServerStream& stream, stream::End end)
      : owner_(owner), stream_(stream), end_(end) {}

  stream::ServerStream& stream() { return stream_; }
  stream::End end() const { return end_; }
  // What serves the request from now on; it gets what was held.
  void hand_on(stream::ServerStreamHandler& to) {
    to_ = &to;
    if (!held_.empty() || held_end_ == stream::End::kYes) to.on_data(std::move(held_), held_end_);
    if (trailers_) to.on_trailers(*std::move(trailers_));
  }

  void on_data(stream::Buffer data, stream::End end) override {
    if (to_ != nullptr) return to_->on_data(std::move(data), end);
    held_.append(std::move(data));
    held_end_ = end;
  }
  void on_trailers(http::HeaderMap trailers) override {
    if (to_ != nullptr) return to_->on_trailers(std::move(trailers));
    trailers_ = trailers.copy();
  }
  void on_reset(stream::ResetReason reason) override;
  void on_sent(std::size_t bytes) override {
    if (to_ != nullptr) to_->on_sent(bytes);
  }
  void on_complete() override;

 private:
  ForwardProxyConnection& owner_;
  stream::ServerStream& stream_;
  const stream::End end_;
  stream::ServerStreamHandler* to_ = nullptr;
  stream::Buffer held_;
  stream::End held_end_ = stream::End::kNo;
  std::optional<http::HeaderMap> trailers_;
};

class ForwardProxyConnection final : public Connection, private stream::ServerStreamAcceptor {
 public:
  ForwardProxyConnection(Worker& worker, Arrival arrival)
      : worker_(worker),
        group_(arrival.group),
        socket_(std::move(arrival.socket)),
        default_view_(arrival.view->id()),
        client_(std::move(arrival.remote), std::move(arrival.local), std::move(arrival.destination)) {
    traits_.application_protocol = "http/1.1";
  }
  ~ForwardProxyConnection() override {
    requests_.abandon_all();
    tunnel_.reset();
    connection_.reset();
  }

  void start() {
    connection_ = stream::make_h1_server_connection(worker_.loop(), std::move(socket_), *this, connection_options(own_settings()));
  }
  void drain() override { connection_->drain(); }
  // The held request has ended; `held_` may be replaced by the next one.
  void on_held_over() { waiting_ = false; }

 private:
  stream::ServerStreamHandler* on_request(stream::ServerStream& stream, stream::End end) override {
    if (worker_.draining()) stream.close_after();
    held_ = std::make_unique<HeldRequest>(*this, stream, end);
    const std::optional<std::string> identity = identity_of(stream.request());
    stream.request().headers.remove(http::HeaderId::kProxyAuthorization);
    if (!identity || identity->empty()) {
      serve(default_view_);
      return held_.get();
    }
    const auto known = views_.find(*identity);
    if (known != views_.end()) {
      serve(known->second);
      return held_.get();
    }
    waiting_ = true;
    const std::uint64_t turn = ++turn_;
    worker_.control().find_view(worker_.index(), *identity,
                                    [this, turn, identity = *identity, alive = std::weak_ptr<const int>(alive_)](Result<ViewId> view) {
                                      if (!alive.expired()) on_view(turn, identity, std::move(view));
                                    });
    return held_.get();
  }

  void on_view(std::uint64_t turn, const std::string& identity, Result<ViewId> view) {
    if (view && views_.size() < kIdentitiesMax) views_.emplace(identity, *view);
    // The client may have gone meanwhile, and come again.
    if (!waiting_ || turn != turn_) return;
    waiting_ = false;
    if (view) return serve(*view);
    refuse(407, "identity \"" + identity + "\" is not known: " + view.error().message);
  }

  void serve(ViewId id) {
    WorkerView& view = worker_.view(id);
    http::RequestHead& head = held_->stream().request();
    destination_ = destination_of(head);
    if (destination_.host.empty()) return refuse(400, "the request names no host");
    if (view.snapshot() == nullptr) return refuse(503, "this workload has no configuration yet");
    if (head.method == "CONNECT") return open_tunnel(view);
    std::shared_ptr<const runtime::Listener> listener = capture_listener(*view.snapshot(), destination_);
    traits_.destination = destination_;
    if (!site_.set(worker_, view, std::move(listener), traits_)) {
      return refuse(502, "nothing serves HTTP on port " + std::to_string(destination_.port) + " in this mesh");
    }
    head.absolute_form = false;
    RequestOrigin origin = site_.origin();
    client_.describe(origin);
    origin.destination = &destination_;
    held_->hand_on(requests_.begin(requests_.take(worker_, site_, held_->stream()), held_->stream(), held_->end(), std::move(origin)));
  }

  // The tunnel is treated like a connection that was captured on its way to the destination.
  void open_tunnel(WorkerView& view) {
    http::ResponseHead established;
    established.status = 200;
    tunnel_ = std::make_unique<TunnelEnd>(worker_.loop(), held_->stream());
    Arrival arrival;
    arrival.view = &view;
    arrival.remote = client_.remote;
    arrival.local = arrival.destination = destination_;
    arrival.listener = capture_listener(*view.snapshot(), destination_);
    arrival.group = group_;
    held_->stream().send_headers(established, stream::End::kNo);
    held_->hand_on(*tunnel_);
    arrival.socket = tunnel_->make_socket(destination_);
    admit_arrival(worker_, std::move(arrival));
  }

  // Messages of the proxy port itself, for people who read them.
  void refuse(std::uint16_t status, std::string text) {
    http::ResponseHead head;
    head.status = status;
    text += '\n';
    head.headers.add(http::HeaderId::kContentLength, std::to_string(text.size()));
    head.headers.add_reference(http::HeaderId::kContentType, "text/plain");
    head.headers.add(http::HeaderId::kDate, worker_.date());
    head.headers.add_reference(http::HeaderId::kServer, own_settings().server_name);
    if (status == 407) head.headers.add_reference(http::HeaderId::kProxyAuthenticate, "Basic realm=\"mesh\"");
    const bool bodiless = held_->stream().request().method == "HEAD";
    held_->stream().send_headers(head, bodiless ? stream::End::kYes : stream::End::kNo);
    if (bodiless) return;
    stream::Buffer body;
    body.append_copy(text);
    held_->stream().send_data(std::move(body), stream::End::kYes);
  }

  void on_refused(std::uint16_t, std::string_view) override {}
  void on_connection_closed() override { worker_.close(*this); }

  Worker& worker_;
  const std::uint64_t group_;
  std::unique_ptr<net::Socket> socket_;    // until start()
  const ViewId default_view_;
  const ClientFacts client_;
  ConnectionTraits traits_;
  std::map<std::string, ViewId> views_;    // by identity
  net::Address destination_;               // of the current request
  HttpSite site_;
  LiveRequests requests_;
  std::unique_ptr<HeldRequest> held_;
  std::unique_ptr<TunnelEnd> tunnel_;
  std::uint64_t turn_ = 0;
  bool waiting_ = false;                   // for a view
  std::unique_ptr<stream::ServerConnection> connection_;
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
};

void HeldRequest::on_reset(stream::ResetReason reason) {
  if (to_ != nullptr) to_->on_reset(reason);
  owner_.on_held_over();
}

void HeldRequest::on_complete() {
  if (to_ != nullptr) to_->on_complete();
  owner_.on_held_over();
}

}  // namespace

void start_forward_proxy(Worker& worker, Arrival arrival) {
  const std::uint64_t group = arrival.group;
  auto connection = std::make_unique<ForwardProxyConnection>(worker, std::move(arrival));
  ForwardProxyConnection& started = *connection;
  worker.add(std::move(connection), group);
  started.start();
}

}  // namespace lateen::proxy
