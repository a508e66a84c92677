// A stream: one request and its response, whatever the HTTP version beneath. The one interface between connections
// (HTTP/1 now, HTTP/2 with the same promises) and the traffic code in proxy/.
//
// Flow is explicit in both directions. Who receives data calls consumed(n) when the bytes have gone on (written to the
// other side, or dropped); until then at most kStreamWindowBytes are delivered. Who sends data is told by on_sent(n)
// when the transport has taken n bytes; a sender keeps no more than it must unsent. So a slow reader stops a fast
// writer with bounded memory, and nghttp2's window can be returned exactly then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/message.h"
#include "net/loop.h"
#include "stream/buffer.h"

namespace lateen::stream {

inline constexpr std::size_t kStreamWindowBytes = 256 * 1024;

enum class End : bool { kNo, kYes };

enum class ResetReason : std::uint8_t {
  kNone,
  kConnectFailure,         // refused, unreachable
  kConnectTimeout,
  kConnectionTermination,  // the peer closed or reset the connection before the message was complete
  kProtocolError,          // the peer broke the protocol
  kRefused,                // provably not processed (REFUSED_STREAM, GOAWAY)
  kLocal,                  // we gave up: timeout, the other side went away
  kOverflow,               // a limit of ours
  kIdleTimeout,
  kHeaderTimeout,
  kRemoteReset,            // the peer reset the stream alone (RST_STREAM)
};

// ---- server side: a request that we received --------------------------------------------------------------------

class ServerStream;

// What becomes of one request. The stream calls; the traffic code implements. No call comes after on_reset or after
// the handler has let go of the stream.
class ServerStreamHandler {
 public:
  virtual ~ServerStreamHandler() = default;
  virtual void on_data(Buffer data, End end) = 0;
  virtual void on_trailers(http::HeaderMap trailers) = 0;
  // The client went away or broke the protocol. The stream is dead after this call.
  virtual void on_reset(ResetReason reason) = 0;
  // `bytes` of the response body have been taken by the transport.
  virtual void on_sent(std::size_t bytes) = 0;
  // Everything of the response is with the kernel and the request is fully read or abandoned: the stream ends here.
  // Last call.
  virtual void on_complete() = 0;
};

class ServerStream {
 public:
  virtual ~ServerStream() = default;
  // The head stays valid until the stream ends.
  virtual http::RequestHead& request() = 0;
  // 100..199 without 101; may be called several times before send_headers.
  virtual void send_informational(const http::ResponseHead& head) = 0;
  // Framing (content-length kept if valid, else chunked) is the stream's work; hop-by-hop fields are removed here.
  // status 101: the stream becomes raw bytes both ways.
  virtual void send_headers(const http::ResponseHead& head, End end) = 0;
  virtual void send_data(Buffer data, End end) = 0;
  virtual void send_trailers(const http::HeaderMap& trailers) = 0;
  // `bytes` of the request body have gone on: more may be read.
  virtual void consumed(std::size_t bytes) = 0;
  // Cuts the stream so that the client can see that the response is not complete. No further calls to the handler.
  virtual void reset() = 0;
  // The connection is to be closed after this response (connection: close, or GOAWAY).
  virtual void close_after() = 0;
  // Who is at the other end, and which address they dialled.
  virtual const net::Address& remote_address() const = 0;
  virtual const net::Address& local_address() const = 0;
  // When the first byte of the request was read; set by the connection (for the access log and metrics).
  virtual Time started() const = 0;
  virtual std::uint64_t request_bytes() const = 0;   // body bytes so far
  virtual std::uint64_t response_bytes() const = 0;
};

// Gets each new request of a connection.
class ServerStreamAcceptor {
 public:
  virtual ~ServerStreamAcceptor() = default;
  // The whole head has been read and is legal. The returned handler is called from then on; never null. It must
  // outlive the stream's last call (on_reset or on_complete). `end`: the request has no body.
  virtual ServerStreamHandler* on_request(ServerStream& stream, End end) = 0;
  // A request that the codec refused before it was a stream (400, 408, 413, 431 ...): already answered; for the log.
  virtual void on_refused(std::uint16_t status, std::string_view detail) = 0;
  // The connection is gone; the acceptor may delete it (from Loop::defer).
  virtual void on_connection_closed() = 0;
};

// ---- client side: a request that we send ------------------------------------------------------------------------

class ClientStreamHandler {
 public:
  virtual ~ClientStreamHandler() = default;
  virtual void on_informational(http::ResponseHead head) = 0;
  // `head`'s bytes stay valid until on_complete, on_reset or release of the stream.
  virtual void on_headers(http::ResponseHead head, End end) = 0;
  virtual void on_data(Buffer data, End end) = 0;
  virtual void on_trailers(http::HeaderMap trailers) = 0;
  // `bytes_sent`: whether any byte of this request had left (a retry is safe for every method when none had).
  virtual void on_reset(ResetReason reason, bool bytes_sent, std::string_view detail) = 0;
  virtual void on_sent(std::size_t bytes) = 0;
};

// One request on one upstream connection. Owned by who asked for it; destroying it abandons the exchange (an unfinished
// HTTP/1 exchange closes its connection; a complete one returns it to the pool).
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  virtual void send_headers(const http::RequestHead& head, End end) = 0;
  virtual void send_data(Buffer data, End end) = 0;
  virtual void send_trailers(const http::HeaderMap& trailers) = 0;
  virtual void consumed(std::size_t bytes) = 0;
  // Whether the connection had carried another request before: a termination before the first byte of the response is
  // then most likely the peer's idle timeout, which crossed our request. To be asked until the stream is destroyed, so
  // also in on_reset.
  virtual bool on_reused_connection() const = 0;
  virtual const net::Address& remote_address() const = 0;
  virtual const net::Address& local_address() const = 0;
};

}  // namespace lateen::stream
