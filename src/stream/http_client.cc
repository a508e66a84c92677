#include "stream/http_client.h"

#include <algorithm>
#include <optional>

#include "net/epoll_loop.h"
#include "stream/client_pool.h"

namespace lateen::stream {

std::string_view HttpCallResponse::header(std::string_view name) const {
  for (const auto& [header, value] : headers) {
    if (header == name) return value;
  }
  return {};
}

namespace {

ErrorCode error_code(ResetReason reason) {
  switch (reason) {
    case ResetReason::kConnectFailure: return ErrorCode::kNotFound;
    case ResetReason::kConnectTimeout:
    case ResetReason::kIdleTimeout:
    case ResetReason::kHeaderTimeout: return ErrorCode::kTimeout;
    case ResetReason::kConnectionTermination:
    case ResetReason::kRemoteReset:
    case ResetReason::kRefused: return ErrorCode::kPeerClosed;
    case ResetReason::kProtocolError: return ErrorCode::kProtocol;
    case ResetReason::kOverflow: return ErrorCode::kOverLimit;
    case ResetReason::kNone:
    case ResetReason::kLocal: return ErrorCode::kSystem;
  }
  return ErrorCode::kSystem;
}

PoolOptions pool_options(const HttpCallRequest& request) {
  PoolOptions options;
  options.connect_timeout = request.timeout;
  return options;
}

// A pool of one connection for one request. The end is told after the current event, because the caller may destroy the
// call then, and the pool with it.
class Call final : public HttpCall, private StreamWaiter, private ClientStreamHandler, private ConnectionAdmission {
 public:
  Call(net::Loop& loop, const net::Address& to, HttpCallRequest request, HttpCallEvents events)
      : loop_(loop), to_(to), request_(std::move(request)), events_(std::move(events)) {
    pool_ = make_h1_client_pool(loop_, to, pool_options(request_), *this);
    if (request_.timeout > Duration::zero()) loop_.arm<&Call::on_timeout>(timer_, request_.timeout, this);
    pending_ = pool_->start(*this, *this);
  }

 private:
  // ConnectionAdmission
  bool try_acquire_connection(bool) override { return true; }
  void release_connection() override {}

  void on_stream_ready(std::unique_ptr<ClientStream> stream) override {
    stream_ = std::move(stream);
    const std::string host = !request_.host.empty()                            ? request_.host
                             : to_.family == net::Address::Family::kUnix ? "localhost"
                                                                         : to_string(to_);
    http::RequestHead head;
    head.method = request_.method;
    head.path = request_.path;
    head.authority = host;
    for (const auto& [name, value] : request_.headers) head.headers.add(lower(name), value);
    const bool has_body = !request_.body.empty();
    if (has_body) head.headers.set(http::HeaderId::kContentLength, std::to_string(request_.body.size()));
    stream_->send_headers(head, has_body ? End::kNo : End::kYes);
    if (!has_body) return;
    Buffer body;
    body.append_copy(request_.body);
    stream_->send_data(std::move(body), End::kYes);
  }

  void on_stream_failure(ResetReason reason, std::string_view detail) override {
    finish(fail(error_code(reason), to_string(to_) + ": " + std::string(detail)));
  }

  void on_informational(http::ResponseHead) override {}
  void on_headers(http::ResponseHead head, End end) override {
    HttpCallResponse response;
    response.status = head.status;
    for (const http::Header& header : head.headers.fields()) response.headers.emplace_back(header.name, header.value);
    if (events_.on_head) events_.on_head(response);
    after_piece(end);
  }
  void on_data(Buffer data, End end) override {
    if (events_.on_body) {
      for (const Slice& slice : data.slices()) events_.on_body(slice.view());
    }
    stream_->consumed(data.size());
    after_piece(end);
  }
  void on_trailers(http::HeaderMap) override { after_piece(End::kYes); }
  void on_reset(ResetReason reason, bool, std::string_view detail) override {
    finish(fail(error_code(reason), to_string(to_) + ": " + std::string(detail)));
  }
  void on_sent(std::size_t) override {}

  void after_piece(End end) {
    if (end == End::kYes) return finish({});
    if (request_.idle_timeout > Duration::zero()) {
      loop_.arm<&Call::on_timeout>(timer_, request_.idle_timeout, this);
    } else {
      timer_.cancel();
    }
  }
  void on_timeout() { finish(fail(ErrorCode::kTimeout, to_string(to_) + ": no answer in time")); }
  void finish(Result<void> result) {
    if (result_) return;
    result_ = std::move(result);
    loop_.arm<&Call::tell>(timer_, Duration::zero(), this);
  }
  void tell() {
    pending_.reset();
    stream_.reset();
    const std::function<void(Result<void>)> on_done = std::move(events_.on_done);
    const Result<void> result = *std::move(result_);
    if (on_done) on_done(result);  // may destroy this
  }

  static std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    return text;
  }

  net::Loop& loop_;
  const net::Address to_;
  const HttpCallRequest request_;
  HttpCallEvents events_;
  std::optional<Result<void>> result_;
  net::Timer timer_;  // timeout; then the end
  std::unique_ptr<ClientPool> pool_;
  std::unique_ptr<PendingStream> pending_;
  std::unique_ptr<ClientStream> stream_;
};

class Fetch final : public HttpCall {
 public:
  Fetch(net::Loop& loop, const net::Address& to, HttpCallRequest request,
        std::function<void(Result<HttpCallResponse>)> done)
      : done_(std::move(done)) {
    HttpCallEvents events;
    events.on_head = [this](const HttpCallResponse& head) { response_ = head; };
    events.on_body = [this](std::string_view piece) {
      over_limit_ = over_limit_ || response_.body.size() + piece.size() > kFetchBytesMax;
      if (!over_limit_) response_.body += piece;
    };
    events.on_done = [this](Result<void> result) { on_done(std::move(result)); };
    call_ = start_http_call(loop, to, std::move(request), std::move(events));
  }

 private:
  void on_done(Result<void> result) {
    const auto done = std::move(done_);
    if (!result) return done(tl::unexpected<Error>(result.error()));
    if (over_limit_) return done(fail(ErrorCode::kOverLimit, "the answer is too large"));
    done(std::move(response_));  // may destroy this
  }

  std::function<void(Result<HttpCallResponse>)> done_;
  HttpCallResponse response_;
  bool over_limit_ = false;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace

std::unique_ptr<HttpCall> start_http_call(net::Loop& loop, const net::Address& to, HttpCallRequest request,
                                          HttpCallEvents events) {
  return std::make_unique<Call>(loop, to, std::move(request), std::move(events));
}

std::unique_ptr<HttpCall> fetch(net::Loop& loop, const net::Address& to, HttpCallRequest request,
                                std::function<void(Result<HttpCallResponse>)> done) {
  return std::make_unique<Fetch>(loop, to, std::move(request), std::move(done));
}

Result<HttpCallResponse> fetch_and_wait(const net::Address& to, HttpCallRequest request) {
  LATEEN_TRY(const std::unique_ptr<net::EpollLoop> loop, net::EpollLoop::create());
  std::optional<Result<HttpCallResponse>> response;
  const std::unique_ptr<HttpCall> call = fetch(*loop, to, std::move(request), [&](Result<HttpCallResponse> result) {
    response = std::move(result);
    loop->stop();
  });
  loop->run();
  return *std::move(response);
}

}  // namespace lateen::stream
