// H1ClientConnection: one HTTP/1.1 connection to an endpoint, for one exchange after another.
//
//            start_stream            stream released, exchange clean
//   kIdle ----------------> kExchange --------------------------------> kIdle
//     | bytes or end unasked,    | stream released early, message broken,
//     | idle timeout             | not to be kept
//     v                          v
//   kClosed <--------------------+
//
// An exchange is clean when both messages are complete, nothing came behind the response, and both sides keep the
// connection. Everything else closes it: a connection in doubt is never used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/h1_parser.h"
#include "net/loop.h"
#include "stream/client_pool.h"
#include "stream/h1_body.h"
#include "stream/head_region.h"
#include "stream/outbox.h"
#include "stream/stream.h"

namespace lateen::stream {

class H1ClientStream;

// Of 1xx heads before one response; more is an attack or a bug.
inline constexpr std::uint32_t kInformationalMax = 64;

class H1ClientConnection final : private net::SocketEvents {
 public:
  // The pool.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Idle after a clean exchange.
    virtual void on_free(H1ClientConnection& connection) = 0;
    // The socket is closed. The object lives on while a stream holds it.
    virtual void on_closed(H1ClientConnection& connection) = 0;
    // The last stream of a closed connection has let go: to be deleted, after the current event.
    virtual void on_unused(H1ClientConnection& connection) = 0;
  };

  // `socket` is connected. `remote` and `owner` must outlive the connection.
  H1ClientConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, const net::Address& remote, const PoolOptions& options,
                     Owner& owner);
  // A stream that is still there is told kLocal and let go.
  ~H1ClientConnection() override;

  // In kIdle.
  std::unique_ptr<ClientStream> start_stream(ClientStreamHandler& handler);
  // Not kept after the current exchange; closes at once when idle.
  void retire();
  void close();

  bool idle() const { return state_ == State::kIdle; }
  bool closed() const { return state_ == State::kClosed; }
  bool has_stream() const { return stream_ != nullptr; }
  const net::Address& remote_address() const { return remote_; }
  const net::Address& local_address() const;

  // Links and places of the pool.
  H1ClientConnection* idle_previous = nullptr;
  H1ClientConnection* idle_next = nullptr;
  std::size_t index = 0;

 private:
  friend class H1ClientStream;
  enum class State : std::uint8_t { kIdle, kExchange, kClosed };

  // net::SocketEvents
  void on_readable() override { read(); }
  void on_writable() override { flush(); }
  void on_socket_error(int error) override;

  // For the stream.
  void begin_response(std::string_view method);
  void begin_tunnel();
  void release_stream();
  void flush_soon();
  void read_soon();

  void run_soon();
  void on_soon();
  void on_idle_timeout() { close(); }
  void arm_idle();
  bool wants_to_read() const;
  void read();
  void on_peer_end();
  void process();
  bool advance();
  bool read_head();
  bool on_informational(std::size_t head_bytes);
  bool on_head(std::size_t head_bytes);
  bool read_body();
  void fail(ResetReason reason, std::string_view detail);
  void flush();
  bool exchange_is_clean();
  void become_idle();

  net::Loop& loop_;
  Owner& owner_;
  const net::Address& remote_;        // the pool's
  const PoolOptions options_;
  mutable net::Address local_;        // asked for when first wanted
  std::unique_ptr<net::Socket> socket_;
  H1ClientStream* stream_ = nullptr;  // owned by who started it
  http::ResponseParser parser_;
  HeadRegion region_;
  BodyReader body_;
  Buffer in_;
  Outbox outbox_;
  State state_ = State::kIdle;
  std::string_view method_;           // static text: what of the request's method the parser must know
  bool head_read_ = false;            // the final head of the response
  bool response_done_ = false;
  bool response_started_ = false;
  bool keep_alive_ = false;
  bool peer_ended_ = false;
  bool retired_ = false;
  bool write_shut_ = false;
  bool processing_ = false;
  bool large_reads_ = false;
  bool flush_pending_ = false, read_pending_ = false;
  std::uint32_t requests_ = 0;
  std::uint32_t informational_ = 0;
  net::Timer timer_;                  // kIdle: idle timeout
  net::Timer age_timer_;
  net::Timer soon_;
};

}  // namespace lateen::stream
