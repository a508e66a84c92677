#include "stream/http_server.h"

#include <algorithm>

#include "http/date.h"
#include "stream/server_connection.h"

namespace lateen::stream {

std::string_view HttpServerRequest::header(std::string_view name) const {
  return head->headers.get(name).value_or(std::string_view());
}

namespace {

class Server;
class Reply;

// One request and its answer. Used again for the next request of its connection.
class Exchange final : public ServerStreamHandler {
 public:
  Exchange(Server& server, net::Loop& loop, const HttpServerOptions& options)
      : server_(server), loop_(loop), options_(options) {}
  ~Exchange() override;

  void begin(ServerStream& stream, End end);
  bool running() const { return stream_ != nullptr; }

  // For the reply.
  void respond(std::uint16_t status, std::string_view content_type, std::string_view body,
               const HttpHeaderList& headers);
  void start(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers);
  void write(std::string_view piece);
  void finish();
  void reset();
  void on_reply_gone() { reply_ = nullptr; }
  std::size_t unsent() const { return unsent_; }

 private:
  void on_data(Buffer data, End end) override;
  void on_trailers(http::HeaderMap) override { dispatch(); }
  void on_reset(ResetReason) override;
  void on_sent(std::size_t bytes) override;
  void on_complete() override;

  void dispatch();
  void send_head(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers,
                 const std::size_t* length, End end);

  Server& server_;
  net::Loop& loop_;
  const HttpServerOptions& options_;
  ServerStream* stream_ = nullptr;  // null: between two requests
  HttpServerRequest request_;
  std::string body_;
  Reply* reply_ = nullptr;          // owned by the handler
  bool dispatched_ = false;
  std::size_t unsent_ = 0;
};

// One connection and the exchanges on it: one with HTTP/1, several with HTTP/2.
class Connection final : private ServerStreamAcceptor {
 public:
  Connection(Server& server, net::Loop& loop, std::unique_ptr<net::Socket> socket, const HttpServerOptions& options);
  ~Connection() override { exchanges_.clear(); }

  void drain() { connection_->drain(); }

  std::size_t index = 0;  // the server's

 private:
  ServerStreamHandler* on_request(ServerStream& stream, End end) override;
  void on_refused(std::uint16_t, std::string_view) override {}
  void on_connection_closed() override;

  Server& server_;
  net::Loop& loop_;
  const HttpServerOptions& options_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // at most as many as there are streams at once
  std::unique_ptr<ServerConnection> connection_;
};

class Reply final : public HttpReply {
 public:
  explicit Reply(Exchange& exchange) : exchange_(&exchange) {}
  ~Reply() override;

  void respond(std::uint16_t status, std::string_view content_type, std::string_view body,
               const HttpHeaderList& headers) override;
  void start(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers) override;
  void write(std::string_view piece) override;
  void finish() override;
  std::size_t unsent() const override { return exchange_ != nullptr ? exchange_->unsent() : 0; }
  void set_on_writable(std::function<void()> on_writable) override { on_writable_ = std::move(on_writable); }
  void set_on_gone(std::function<void()> on_gone) override { on_gone_ = std::move(on_gone); }
  bool gone() const override { return gone_; }
  void reset() override;

  // For the exchange.
  void on_sent() {
    if (on_writable_ && state_ == State::kStarted) on_writable_();
  }
  void on_ended() { exchange_ = nullptr; }
  void on_gone() {
    exchange_ = nullptr;
    gone_ = true;
    const std::function<void()> call = std::move(on_gone_);
    if (call) call();  // may destroy this
  }

 private:
  enum class State { kOpen, kStarted, kEnded };

  Exchange* exchange_;  // null: the exchange has ended
  State state_ = State::kOpen;
  bool gone_ = false;
  std::function<void()> on_writable_, on_gone_;
};

class Server final : public HttpServer, private net::ListenSocketEvents {
 public:
  Server(net::Loop& loop, HttpServerOptions options, HttpHandler handler)
      : loop_(loop), options_(std::move(options)), handler_(std::move(handler)) {}

  Result<void> listen(const net::Address& at) {
    LATEEN_TRY(listener_, loop_.listen(at, options_.listen, *this));
    address_ = listener_->local_address();
    return {};
  }
  net::Address local_address() const override { return address_; }
  void drain(std::function<void()> done) override {
    draining_ = true;
    listener_.reset();
    done_ = std::move(done);
    for (const auto& connection : connections_) connection->drain();
    remove_later();
  }

  const HttpHandler& handler() const { return handler_; }
  void on_closed(Connection& connection) {
    dead_.push_back(std::move(connections_[connection.index]));
    if (connection.index + 1 < connections_.size()) {
      connections_[connection.index] = std::move(connections_.back());
      connections_[connection.index]->index = connection.index;
    }
    connections_.pop_back();
    remove_later();
  }

 private:
  void on_accept(std::unique_ptr<net::Socket> socket) override {
    connections_.push_back(std::make_unique<Connection>(*this, loop_, std::move(socket), options_));
    connections_.back()->index = connections_.size() - 1;
    if (connections_.size() >= options_.connections_max) listener_->pause();
  }
  void remove_later() {
    if (!later_.armed()) loop_.arm<&Server::remove_dead>(later_, Duration::zero(), this);
  }
  void remove_dead() {
    dead_.clear();
    if (listener_ != nullptr && connections_.size() < options_.connections_max) listener_->resume();
    if (!draining_ || !connections_.empty() || !done_) return;
    const std::function<void()> done = std::move(done_);
    done_ = nullptr;
    done();  // may destroy the server
  }

  net::Loop& loop_;
  const HttpServerOptions options_;
  const HttpHandler handler_;
  std::unique_ptr<net::ListenSocket> listener_;
  net::Address address_;
  std::vector<std::unique_ptr<Connection>> connections_, dead_;
  bool draining_ = false;
  std::function<void()> done_;
  net::Timer later_;
};

// ---- Connection -----------------------------------------------------------------------------------------------------

Connection::Connection(Server& server, net::Loop& loop, std::unique_ptr<net::Socket> socket,
                       const HttpServerOptions& options)
    : server_(server), loop_(loop), options_(options) {
  connection_ = options.http2 ? make_server_connection(loop, std::move(socket), *this, options.connection)
                              : make_h1_server_connection(loop, std::move(socket), *this, options.connection);
}

ServerStreamHandler* Connection::on_request(ServerStream& stream, End end) {
  const auto idle = std::find_if(exchanges_.begin(), exchanges_.end(), [](const auto& e) { return !e->running(); });
  Exchange* exchange = idle != exchanges_.end() ? idle->get() : nullptr;
  if (exchange == nullptr) {
    exchanges_.push_back(std::make_unique<Exchange>(server_, loop_, options_));
    exchange = exchanges_.back().get();
  }
  exchange->begin(stream, end);
  return exchange;
}

void Connection::on_connection_closed() { server_.on_closed(*this); }

// ---- Exchange -------------------------------------------------------------------------------------------------------

Exchange::~Exchange() {
  if (reply_ != nullptr) reply_->on_gone();
}

void Exchange::begin(ServerStream& stream, End end) {
  stream_ = &stream;
  body_.clear();
  dispatched_ = false;
  unsent_ = 0;
  if (end == End::kYes) {
    dispatch();
  } else {
    stream.consumed(0);  // the body is wanted: 100 Continue if the client waits for it
  }
}

void Exchange::on_data(Buffer data, End end) {
  const std::size_t size = data.size();
  if (!dispatched_ && body_.size() + size > options_.body_bytes_max) {
    dispatched_ = true;
    stream_->close_after();
    respond(413, "text/plain", "request body too large\n", {});
  }
  if (!dispatched_) {
    for (const Slice& slice : data.slices()) body_ += slice.view();
  }
  stream_->consumed(size);
  if (end == End::kYes) dispatch();
}

void Exchange::dispatch() {
  if (std::exchange(dispatched_, true)) return;
  const http::RequestHead& head = stream_->request();
  const std::size_t question = head.path.find('?');
  request_.head = &head;
  request_.method = head.method;
  request_.path = head.path.substr(0, question);
  request_.query = question == std::string_view::npos ? std::string_view() : head.path.substr(question + 1);
  request_.authority = head.authority;
  request_.body = body_;
  request_.remote = &stream_->remote_address();
  request_.local = &stream_->local_address();
  auto reply = std::make_unique<Reply>(*this);
  reply_ = reply.get();
  server_.handler()(request_, std::move(reply));
}

void Exchange::on_reset(ResetReason) {
  stream_ = nullptr;
  if (Reply* reply = std::exchange(reply_, nullptr)) reply->on_gone();
}

void Exchange::on_complete() {
  stream_ = nullptr;
  if (Reply* reply = std::exchange(reply_, nullptr)) reply->on_ended();
}

void Exchange::on_sent(std::size_t bytes) {
  unsent_ -= std::min(unsent_, bytes);
  if (unsent_ == 0 && reply_ != nullptr) reply_->on_sent();
}

void Exchange::send_head(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers,
                           const std::size_t* length, End end) {
  http::ResponseHead head;
  head.status = status;
  if (!content_type.empty()) head.headers.add("content-type", content_type);
  for (const auto& [name, value] : headers) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    head.headers.add(lower, value);
  }
  if (length != nullptr && status != 204) head.headers.add("content-length", std::to_string(*length));
  if (!options_.server_name.empty()) head.headers.add("server", options_.server_name);
  const auto date = http::format_date(loop_.wall_now());
  if (!head.headers.has(http::HeaderId::kDate)) head.headers.add("date", {date.data(), date.size()});
  stream_->send_headers(head, end);
}

void Exchange::respond(std::uint16_t status, std::string_view content_type, std::string_view body,
                         const HttpHeaderList& headers) {
  const std::size_t length = body.size();
  const bool has_body = length > 0 && status != 204 && status != 304 && stream_->request().method != "HEAD";
  send_head(status, content_type, headers, &length, has_body ? End::kNo : End::kYes);
  if (!has_body) return;
  Buffer data;
  data.append_copy(body);
  stream_->send_data(std::move(data), End::kYes);
}

void Exchange::start(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers) {
  send_head(status, content_type, headers, nullptr, End::kNo);
}

void Exchange::write(std::string_view piece) {
  if (piece.empty() || stream_->request().method == "HEAD") return;
  unsent_ += piece.size();
  Buffer data;
  data.append_copy(piece);
  stream_->send_data(std::move(data), End::kNo);
}

void Exchange::finish() { stream_->send_data({}, End::kYes); }

void Exchange::reset() {
  reply_ = nullptr;
  std::exchange(stream_, nullptr)->reset();
}

// ---- Reply ----------------------------------------------------------------------------------------------------------

Reply::~Reply() {
  if (exchange_ == nullptr) return;
  if (state_ == State::kOpen) respond(500, "text/plain", "no answer\n", {});
  if (state_ == State::kStarted) {
    reset();
  } else {
    exchange_->on_reply_gone();
  }
}

void Reply::respond(std::uint16_t status, std::string_view content_type, std::string_view body,
                    const HttpHeaderList& headers) {
  if (exchange_ == nullptr || state_ != State::kOpen) return;
  state_ = State::kEnded;
  exchange_->respond(status, content_type, body, headers);
}

void Reply::start(std::uint16_t status, std::string_view content_type, const HttpHeaderList& headers) {
  if (exchange_ == nullptr || state_ != State::kOpen) return;
  state_ = State::kStarted;
  exchange_->start(status, content_type, headers);
}

void Reply::write(std::string_view piece) {
  if (exchange_ != nullptr && state_ == State::kStarted) exchange_->write(piece);
}

void Reply::finish() {
  if (exchange_ == nullptr || state_ != State::kStarted) return;
  state_ = State::kEnded;
  exchange_->finish();
}

void Reply::reset() {
  if (exchange_ == nullptr || state_ == State::kEnded) return;
  state_ = State::kEnded;
  std::exchange(exchange_, nullptr)->reset();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> listen_http(net::Loop& loop, const net::Address& at, HttpServerOptions options,
                                                HttpHandler handler) {
  auto server = std::make_unique<Server>(loop, std::move(options), std::move(handler));
  LATEEN_TRY_VOID(server->listen(at));
  return server;
}

}  // namespace lateen::stream
