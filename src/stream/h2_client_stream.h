// H2ClientExchange and H2ClientStream: one request on an HTTP/2 connection to an endpoint.
//
// The exchange is the connection's, from start_stream() until the protocol's stream is closed; the stream is what the
// traffic code holds of it, and may go earlier (the exchange is cancelled then) or later.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/h2_client_session.h"
#include "stream/stream.h"

namespace lateen::stream {

class H2ClientStream;

class H2ClientExchange final : public http::H2AnswerEvents {
 public:
  // What an exchange asks of its connection.
  class Connection {
   public:
    virtual ~Connection() = default;
    virtual http::H2ClientSession& session() = 0;
    virtual void flush_soon() = 0;
    // `bytes` of what is being received, not copied where possible.
    virtual Buffer received(std::string_view bytes) = 0;
    // The next bytes to write; on_sent() follows when the transport has taken them.
    virtual void put_body(std::uint64_t exchange, Buffer body) = 0;
    // The first frame of the request comes next: on_first_byte() follows when a byte of it has been taken.
    virtual void put_head(std::uint64_t exchange) = 0;
    // The exchange is over: to be destroyed after the current event.
    virtual void retire(std::uint64_t exchange) = 0;
    // The exchange can not begin: fail_unsent() follows, after the current event.
    virtual void fail_soon(std::uint64_t exchange) = 0;
    // The stream is gone.
    virtual void on_stream_released(H2ClientStream& stream) = 0;
    virtual const net::Address& remote_address() const = 0;
    virtual const net::Address& local_address() const = 0;
  };

  H2ClientExchange(Connection& connection, std::uint64_t number, H2ClientStream& stream)
      : connection_(connection), number_(number), stream_(&stream) {
    call_.events = this;
  }

  // ---- for the stream
  void send_headers(const http::RequestHead& head, End end);
  void send_data(Buffer data, End end);
  void send_trailers(const http::HeaderMap& trailers);
  void consumed(std::size_t bytes);
  void release();

  // ---- for the connection
  void on_first_byte() { bytes_sent_ = true; }
  void on_sent(std::size_t bytes);
  void fail_unsent();
  // The peer's SETTINGS have come.
  void on_settings();
  bool is_held() const { return held_ != nullptr; }
  // The connection is gone. Last call.
  void on_connection_end(ResetReason reason, std::string_view detail);

  // ---- http::H2AnswerEvents
  void write_body(std::size_t bytes) override;
  void on_end_sent() override {}
  void on_head_sent() override { connection_.put_head(number_); }
  void on_informational(http::ResponseHead head) override;
  void on_head(http::ResponseHead head, bool end) override;
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_trailers(http::HeaderMap trailers) override;
  void on_closed(http::H2ClientClose why, std::string_view detail) override;

 private:
  // A request whose head waits for the peer's SETTINGS.
  struct Held {
    std::string method, scheme, authority, path;
    http::RequestHead head;
    End end = End::kNo;
  };
  void hold(const http::RequestHead& head, End end);
  void submit(const http::RequestHead& head, End end);
  void finish(ResetReason reason, std::string_view detail);

  Connection& connection_;
  const std::uint64_t number_;
  H2ClientStream* stream_;             // null: nobody is told any more
  http::H2Call call_;
  std::unique_ptr<Held> held_;
  Buffer pending_;                     // offered to the session, not yet written
  http::BodyKind body_ = http::BodyKind::kNone;
  std::uint64_t length_left_ = 0;      // of kLength
  std::size_t unconsumed_ = 0;
  bool submitted_ = false;
  bool closed_ = false;                // the protocol's stream is
  bool request_ended_ = false;
  bool bytes_sent_ = false;
};

class H2ClientStream final : public ClientStream {
 public:
  H2ClientStream(H2ClientExchange::Connection& connection, ClientStreamHandler& handler, bool reused)
      : connection_(&connection), handler_(handler), reused_(reused) {}
  ~H2ClientStream() override;

  // ---- for the exchange and the connection
  ClientStreamHandler& handler() { return handler_; }
  void attach(H2ClientExchange& exchange) { exchange_ = &exchange; }
  void detach() { exchange_ = nullptr; }          // it is over
  void forget_connection() { connection_ = nullptr; }
  // Links of the connection.
  H2ClientStream* previous = nullptr;
  H2ClientStream* next = nullptr;

  // ---- ClientStream
  void send_headers(const http::RequestHead& head, End end) override;
  void send_data(Buffer data, End end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void consumed(std::size_t bytes) override;
  bool on_reused_connection() const override { return reused_; }
  const net::Address& remote_address() const override;
  const net::Address& local_address() const override;

 private:
  H2ClientExchange::Connection* connection_;      // null: the pool is gone
  H2ClientExchange* exchange_ = nullptr;          // null: it is over
  ClientStreamHandler& handler_;
  const bool reused_;
};

}  // namespace lateen::stream
