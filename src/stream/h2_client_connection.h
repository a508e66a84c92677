// H2ClientConnection: one HTTP/2 connection to an endpoint, for many exchanges at once.
//
//   kOpen --retired and idle, GOAWAY and idle, ping timeout, protocol broken, peer's end--> kClosed
//
// A connection has room as long as it is not retired, the peer's SETTINGS and ours allow one more stream, and no GOAWAY has
// come; without room it serves the exchanges that it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/h2_client_session.h"
#include "net/loop.h"
#include "stream/client_pool.h"
#include "stream/h2_client_stream.h"
#include "stream/h2_received.h"
#include "stream/outbox.h"

namespace lateen::stream {

class H2ClientConnection final : private net::SocketEvents,
                                 private http::H2ClientSessionEvents,
                                 private H2ClientExchange::Connection {
 public:
  // The pool.
  class Owner {
   public:
    virtual ~Owner() = default;
    // room() or idle() may have changed. From inside another exchange's events.
    virtual void on_room(H2ClientConnection& connection) = 0;
    // The socket is closed. The object lives on while a stream holds it.
    virtual void on_closed(H2ClientConnection& connection) = 0;
    // The last stream of a closed connection has let go: to be deleted, after the current event.
    virtual void on_unused(H2ClientConnection& connection) = 0;
  };

  // `socket` is connected. `remote` and `owner` must outlive the connection.
  H2ClientConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, const net::Address& remote, const PoolOptions& options,
                     Owner& owner);
  // Exchanges that are still going on are told kLocal.
  ~H2ClientConnection() override;

  // Where there is room.
  std::unique_ptr<ClientStream> start_stream(ClientStreamHandler& handler);
  std::size_t room() const;
  bool idle() const { return exchanges_.empty(); }
  bool closed() const { return closed_; }
  // Takes no new stream; closes when the exchanges that there are have ended.
  void retire();
  void close();

  const net::Address& remote_address() const override { return remote_; }
  const net::Address& local_address() const override;

  std::size_t index = 0;   // the pool's

 private:
  // Where in the bytes written a part of an exchange lies.
  struct Mark {
    std::uint64_t position;
    std::uint64_t exchange;
    std::size_t body_bytes;   // 0: the first byte of the request
  };

  // net::SocketEvents
  void on_readable() override { read(); }
  void on_writable() override { flush_soon(); }
  void on_socket_error(int) override { on_connection_lost("connection reset by peer"); }
  // http::H2ClientSessionEvents
  void on_room_changed() override;
  void on_ping_answered() override;
  void write(std::string_view bytes) override;
  // H2ClientExchange::Connection
  http::H2ClientSession& session() override { return session_; }
  void flush_soon() override;
  Buffer received(std::string_view bytes) override { return received_piece(current_, bytes); }
  void put_body(std::uint64_t exchange, Buffer body) override;
  void put_head(std::uint64_t exchange) override { marks_.push_back({written_ + 1, exchange, 0}); }
  void retire(std::uint64_t exchange) override;
  void fail_soon(std::uint64_t exchange) override;
  void on_stream_released(H2ClientStream& stream) override;

  void run_soon();
  void on_soon();
  void on_idle_timeout() { shut_down(); }
  void on_age() { retire(); }
  void on_ping_time();
  void on_ping_timeout() { on_connection_lost("http2 ping timeout"); }

  void read();
  void process(const Buffer& bytes);
  void flush();
  void release_marks();
  void end_exchanges(ResetReason reason, std::string_view detail);
  void on_connection_lost(std::string_view detail);
  void shut_down();
  void arm_idle();

  net::Loop& loop_;
  std::unique_ptr<net::Socket> socket_;
  const net::Address& remote_;        // the pool's
  const PoolOptions options_;
  Owner& owner_;
  mutable net::Address local_;        // asked for when first wanted
  std::unordered_map<std::uint64_t, std::unique_ptr<H2ClientExchange>> exchanges_;   // those that are not over
  std::vector<std::unique_ptr<H2ClientExchange>> dead_;                              // until the current event is over
  std::vector<std::uint64_t> failing_;
  http::H2ClientSession session_;
  Slice current_;                     // what the session is reading
  Outbox outbox_;
  std::deque<Mark> marks_;            // of what is in the outbox, in order
  std::uint64_t written_ = 0;         // bytes that were ever put into the outbox
  std::uint64_t started_ = 0;         // exchanges
  H2ClientStream* first_ = nullptr;   // of those that somebody holds
  bool retired_ = false, closed_ = false, unused_ = false;
  bool broken_ = false;               // the session can do no more
  bool large_reads_ = false;
  bool flush_pending_ = false, settings_came_ = false, in_soon_ = false;
  net::Timer idle_timer_, age_timer_, ping_timer_, soon_;
};

}  // namespace lateen::stream
