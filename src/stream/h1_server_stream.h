// H1ServerStream: one request and its response on an HTTP/1.1 connection: what the traffic code sees of it. Knows the
// order of the response's parts, 100-continue and the credit of the request's body; the connection does the rest.
//
//   kOpen --send_headers--> kHeadSent --last data or trailers--> kEnded
//     \______________________\____________ reset, client gone --> kEnded (aborted)
#pragma once

#include <cstdint>

#include "http/h1_parser.h"
#include "stream/h1_body.h"
#include "stream/outbox.h"
#include "stream/stream.h"

namespace lateen::stream {

class H1ServerStream final : public ServerStream {
 public:
  // What a stream asks of its connection.
  class Connection {
   public:
    virtual ~Connection() = default;
    virtual Outbox& outbox() = 0;
    virtual void flush_soon() = 0;
    virtual void read_soon() = 0;
    // Whether the response that starts now must be the last one. `end`: it has no body.
    virtual bool must_close(End end) = 0;
    // 101 or 2xx to CONNECT is on its way: bytes are raw from now on.
    virtual void begin_tunnel() = 0;
    // The response cannot be completed: cut the connection.
    virtual void cut() = 0;
    virtual const net::Address& remote_address() const = 0;
    virtual const net::Address& local_address() const = 0;
  };

  explicit H1ServerStream(Connection& connection) : connection_(connection) {}

  // ---- for the connection
  void begin(http::RequestHead& head, bool keep_alive, bool has_body, Time started);
  void set_handler(ServerStreamHandler* handler) { handler_ = handler; }
  void on_data(Buffer data, End end);
  void on_trailers(http::HeaderMap trailers) { handler_->on_trailers(std::move(trailers)); }
  void on_sent(std::size_t bytes);
  // Last calls; no call to the handler after them.
  void on_reset(ResetReason reason);
  void on_complete();
  void abandon() { state_ = State::kEnded; }

  bool head_sent() const { return state_ != State::kOpen; }
  bool response_ended() const { return state_ == State::kEnded; }
  bool keep_alive() const { return keep_alive_; }
  bool until_close() const { return writer_.until_close(); }
  bool awaits_continue() const { return awaits_continue_; }
  std::size_t credit() const { return unconsumed_ < kStreamWindowBytes ? kStreamWindowBytes - unconsumed_ : 0; }

  // ---- ServerStream
  http::RequestHead& request() override { return *head_; }
  void send_informational(const http::ResponseHead& head) override;
  void send_headers(const http::ResponseHead& head, End end) override;
  void send_data(Buffer data, End end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void consumed(std::size_t bytes) override;
  void reset() override;
  void close_after() override { answered_.keep_alive = false; }
  const net::Address& remote_address() const override { return connection_.remote_address(); }
  const net::Address& local_address() const override { return connection_.local_address(); }
  Time started() const override { return started_; }
  std::uint64_t request_bytes() const override { return request_bytes_; }
  std::uint64_t response_bytes() const override { return response_bytes_; }

 private:
  enum class State : std::uint8_t { kOpen, kHeadSent, kEnded };

  Connection& connection_;
  ServerStreamHandler* handler_ = nullptr;
  http::RequestHead* head_ = nullptr;
  http::Answered answered_;
  BodyWriter writer_;
  State state_ = State::kEnded;
  bool keep_alive_ = false;       // decided when the head is sent
  bool awaits_continue_ = false;  // the client waits for a 100 before it sends the body
  Time started_{};
  std::size_t unconsumed_ = 0;
  std::uint64_t request_bytes_ = 0;
  std::uint64_t response_bytes_ = 0;
};

}  // namespace lateen::stream
