// H2ServerStream: one request and its response on an HTTP/2 connection: what the traffic code sees of it.
//
//   kOpen --send_headers--> kHeadSent --last data or trailers--> kEnded
//     \______________________\____________ reset, client gone --> kEnded (aborted)
//
// The stream is complete when its last frame is with the kernel and the protocol's stream is closed.
#pragma once

#include <cstdint>
#include <memory>

#include "http/h2_session.h"
#include "stream/stream.h"

namespace lateen::stream {

class H2ServerStream final : public ServerStream, public http::H2StreamEvents {
 public:
  // What a stream asks of its connection.
  class Connection {
   public:
    virtual ~Connection() = default;
    virtual http::H2ServerSession& session() = 0;
    virtual void flush_soon() = 0;
    // `bytes` of what is being received, not copied where possible.
    virtual Buffer received(std::string_view bytes) = 0;
    // The next bytes to write; on_sent() follows when the transport has taken them.
    virtual void put_body(http::H2StreamId id, Buffer body) = 0;
    // The stream's last byte has been put: on_end_flushed() follows.
    virtual void put_end(http::H2StreamId id) = 0;
    virtual void drain_soon() = 0;
    // The stream is dead: to be destroyed after the current event.
    virtual void retire(http::H2StreamId id) = 0;
    virtual const net::Address& remote_address() const = 0;
    virtual const net::Address& local_address() const = 0;
  };

  H2ServerStream(Connection& connection, std::unique_ptr<http::H2Exchange> exchange, Time started);

  // ---- for the connection
  void set_handler(ServerStreamHandler* handler);
  void on_sent(std::size_t bytes);
  void on_end_flushed();
  // The connection is gone. Last call.
  void on_connection_end(ResetReason reason);
  End request_end() const { return exchange_->has_body ? End::kNo : End::kYes; }

  // ---- http::H2StreamEvents
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_trailers(http::HeaderMap trailers) override;
  void write_body(std::size_t bytes) override;
  void on_end_sent() override { connection_.put_end(exchange_->id); }
  void on_closed(http::H2Close why) override;

  // ---- ServerStream
  http::RequestHead& request() override { return exchange_->head; }
  void send_informational(const http::ResponseHead& head) override;
  void send_headers(const http::ResponseHead& head, End end) override;
  void send_data(Buffer data, End end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void consumed(std::size_t bytes) override;
  void reset() override;
  void close_after() override { connection_.drain_soon(); }
  const net::Address& remote_address() const override { return connection_.remote_address(); }
  const net::Address& local_address() const override { return connection_.local_address(); }
  Time started() const override { return started_; }
  std::uint64_t request_bytes() const override { return request_bytes_; }
  std::uint64_t response_bytes() const override { return response_bytes_; }

 private:
  enum class State : std::uint8_t { kOpen, kHeadSent, kEnded };

  void cut();
  void complete();
  void fail(ResetReason reason);
  void send_continue();
  void send_established(const http::ResponseHead& head, End end);
  void submit(const http::ResponseHead& head, const http::OutgoingFraming& framing, End end);

  Connection& connection_;
  const std::unique_ptr<http::H2Exchange> exchange_;
  ServerStreamHandler* handler_ = nullptr;
  State state_ = State::kOpen;
  bool aborted_ = false;            // nobody is called any more
  bool was_cut_ = false;            // before there was a handler
  bool closed_ = false;             // the protocol's stream is
  bool end_flushed_ = false;
  bool awaits_continue_;            // the client waits for a 100 before it sends the body
  http::BodyKind body_ = http::BodyKind::kNone;
  std::uint64_t length_left_ = 0;   // of kLength
  Buffer pending_;                  // offered to the session, not yet written
  const Time started_;
  std::size_t unconsumed_ = 0;
  std::uint64_t request_bytes_ = 0;
  std::uint64_t response_bytes_ = 0;
};

}  // namespace lateen::stream
