// ClientPool: the HTTP connections of one worker to one endpoint.
//
//   start() --an idle connection is there (the one used last)--> on_stream_ready, at once
//           --else--> the request waits in a queue, and a connection is opened if the admission allows it
//   connection up or free again --> the first in the queue gets it
//   connecting failed           --> everybody in the queue is told (each may try another endpoint)
//
// What limits there are is decided by the admission, because limits count for the whole process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "http/h1_parser.h"
#include "net/loop.h"
#include "stream/stream.h"

namespace lateen::stream {

// Opens what a connection's HTTP runs over: TCP, TLS over it, a PROXY header before it.
class Connector {
 public:
  virtual ~Connector() = default;
  // As Loop::connect. on_connected (or on_writable) comes when everything beneath HTTP stands, so after the handshake;
  // application_protocol() is known then. A handshake that fails is on_socket_error.
  virtual std::unique_ptr<net::Socket> connect(net::Loop& loop, const net::Address& to, net::SocketEvents& events,
                                               const net::Address& bind_to) const = 0;
  // Why the last on_socket_error of `socket` came, in words of Envoy's transport failure reason; "" if it was TCP's.
  virtual std::string_view failure(const net::Socket&) const { return {}; }
};

enum class PoolProtocol : std::uint8_t {
  kHttp1,
  kHttp2,       // with prior knowledge, or because ALPN has no choice
  kAlpn,        // HTTP/2 where the socket says "h2", else HTTP/1.1
};

struct PoolOptions {
  PoolProtocol protocol = PoolProtocol::kHttp1;
  std::shared_ptr<const Connector> connector;              // null: plain TCP
  std::uint32_t http2_streams_max = 0;                     // at once on one connection; zero: as the peer allows, at most kPoolStreamsMax
  Duration http2_ping_interval{}, http2_ping_timeout{};    // interval zero: no PINGs
  Duration connect_timeout = std::chrono::seconds(5);      // zero: none
  Duration idle_timeout = std::chrono::hours(1);           // of a connection without a request; zero: none
  Duration max_connection_duration{};                      // no new request after it; zero: none
  std::uint32_t max_requests_per_connection = 0;           // zero: no limit
  Duration keepalive_idle{}, keepalive_interval{};         // TCP keep-alive; all zero: off
  int keepalive_probes = 0;
  http::HeadLimits head_limits = {};
  net::Address bind_to;                                    // local address; none by default
};

inline constexpr std::uint32_t kPoolStreamsMax = 1024;

// Decides about connections, and is told about them. Outlives the pool.
class ConnectionAdmission {
 public:
  virtual ~ConnectionAdmission() = default;
  // May the pool open one more? True counts it. `must`: the pool has none at all, so that nothing would ever serve its
  // queue; the answer is then true whatever the limit (as in Envoy).
  virtual bool try_acquire_connection(bool must) = 0;
  // Once for every true above, when that connection has gone.
  virtual void release_connection() = 0;
  // For counters.
  virtual void on_connected() {}
  virtual void on_connect_failed(ResetReason) {}
};

// Who waits for a stream.
class StreamWaiter {
 public:
  virtual ~StreamWaiter() = default;
  // Last call. The stream is idle: send_headers comes next.
  virtual void on_stream_ready(std::unique_ptr<ClientStream> stream) = 0;
  // The pool drains: whether it fails with kLocal now, to go elsewhere, or waits on for a connection that is used just once.
  virtual bool leaves_draining_pool() const { return true; }
  // Last call. kConnectFailure, kConnectTimeout, or kLocal when the pool is drained or destroyed.
  virtual void on_stream_failure(ResetReason reason, std::string_view detail) = 0;
};

// A place in the queue; destroying it gives the place up, without a call.
class PendingStream {
 public:
  virtual ~PendingStream() = default;
};

class ClientPool {
 public:
  virtual ~ClientPool() = default;

  // `handler` gets the events of the stream. Null: `waiter` has been called already, from inside start().
  [[nodiscard]] virtual std::unique_ptr<PendingStream> start(ClientStreamHandler& handler, StreamWaiter& waiter) = 0;

  // Idle connections close now, busy ones after their exchange; start() fails from now on. Who waits is told kLocal, or
  // served first (leaves_draining_pool).
  // `on_empty` (may be null) is called from the loop when the last connection has gone; the pool may be destroyed then.
  virtual void drain(std::function<void()> on_empty) = 0;
  // Busy connections are not kept after their exchange, idle ones close now; new ones serve the queue. For endpoints
  // that have become unhealthy.
  virtual void close_connections_when_idle() = 0;
  // New values for connections made from now on.
  virtual void set_options(const PoolOptions& options) = 0;

  // Whether start() would give a stream at once: an idle connection, or room on one of HTTP/2.
  virtual bool ready() const = 0;
  virtual std::size_t connections() const = 0;  // connecting, busy and idle
  virtual std::size_t idle_connections() const = 0;
  virtual std::size_t pending() const = 0;
};

// Destroying the pool closes its connections: exchanges that are still going on get on_reset(kLocal).
std::unique_ptr<ClientPool> make_client_pool(net::Loop& loop, const net::Address& endpoint, const PoolOptions& options,
                                             ConnectionAdmission& admission);
// The same for PoolProtocol::kHttp1 alone.
std::unique_ptr<ClientPool> make_h1_client_pool(net::Loop& loop, const net::Address& endpoint,
                                                const PoolOptions& options, ConnectionAdmission& admission);

}  // namespace lateen::stream
