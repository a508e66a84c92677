#include "admin/server.h"

#include <map>
#include <utility>

#include "stream/http_server.h"

namespace lateen::admin {

namespace {

const stream::HttpHeaderList kHeaders{{"cache-control", "no-cache, max-age=0"}, {"x-content-type-options", "nosniff"}};

class StreamServer final : public Server, private Reply::Sink {
 public:
  StreamServer(net::Loop& loop, const Router& router) : loop_(loop), router_(router) {}
  ~StreamServer() override {
    // What is held open ends with the server: its owners are told, as they are when a client goes away.
    while (!open_.empty()) closed(open_.begin()->first);
  }

  Result<void> listen(const net::Address& at) {
    stream::HttpServerOptions options;
    options.body_bytes_max = kBodyBytesMax;
    options.connections_max = kExchangesMax;
    // A registered workload lives as long as its connection: its end must be seen at once.
    options.connection.half_close_is_gone = true;
    LATEEN_TRY(server_, stream::listen_http(loop_, at, std::move(options), [this](const auto& request, auto reply) {
                 on_request(request, std::move(reply));
               }));
    address_ = server_->local_address();
    return {};
  }

  const net::Address& address() const override { return address_; }
  void close() override { server_->drain(nullptr); }

 private:
  struct Open {
    std::unique_ptr<stream::HttpReply> reply;
    std::function<void()> on_closed;
  };

  void on_request(const stream::HttpServerRequest& from, std::unique_ptr<stream::HttpReply> reply) {
    const std::uint64_t id = next_id_++;
    open_[id].reply = std::move(reply);
    Request request;
    request.method = from.method;
    request.host = from.authority;
    request.origin = from.header("origin");
    request.body = from.body;
    if (auto parsed = parse_target(from.head->path, request); !parsed)
      return this->reply(id, error_response(parsed.error()));
    router_.handle(request, Reply(*this, id));
  }

  void reply(std::uint64_t exchange, Response response) override {
    const auto found = open_.find(exchange);
    if (found == open_.end()) return;
    const std::unique_ptr<stream::HttpReply> answer = std::move(found->second.reply);
    open_.erase(found);
    answer->respond(response.status, response.content_type, response.body, kHeaders);
  }

  void hold_open(std::uint64_t exchange, Response first, std::function<void()> on_closed) override {
    const auto found = open_.find(exchange);
    if (found == open_.end()) return on_closed();
    found->second.on_closed = std::move(on_closed);
    stream::HttpReply& answer = *found->second.reply;
    answer.start(first.status, first.content_type, kHeaders);
    answer.write(first.body);
    answer.set_on_gone([this, exchange] { closed(exchange); });
  }

  void closed(std::uint64_t exchange) {
    const auto found = open_.find(exchange);
    if (found == open_.end()) return;
    Open open = std::move(found->second);
    open_.erase(found);
    open.reply->set_on_gone(nullptr);
    if (open.on_closed) open.on_closed();
    // Not from inside its own callback.
    held_.push_back(std::move(open.reply));
    loop_.defer([this] { held_.clear(); });
  }

  net::Loop& loop_;
  const Router& router_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Open> open_;
  std::vector<std::unique_ptr<stream::HttpReply>> held_;
  net::Address address_;
  std::unique_ptr<stream::HttpServer> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(net::Loop& loop, const net::Address& at, const Router& router) {
  auto server = std::make_unique<StreamServer>(loop, router);
  LATEEN_TRY_VOID(server->listen(at));
  return server;
}

}  // namespace lateen::admin
