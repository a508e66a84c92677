// H1ServerConnection: one HTTP/1.1 connection from a client. Parses requests, hands each to the acceptor as a
// ServerStream, one at a time and in order, and writes the responses.
//
//            first byte           head complete             response and request complete, keep-alive
//   kIdle ---------------> kHead --------------> kExchange ----------------------------------------> kIdle
//     |                      |                      |
//     | idle timeout,        | refused, 408         | response complete, but the connection is not kept
//     | end, drain           v                      v
//     +------------------> kLingering (our FIN is out; what still comes is read and dropped) ------> kClosed
//
//   kExchange --101, or 2xx to CONNECT--> kTunnel (raw bytes, both halves close on their own) ------> kClosed
//   every state --reset, write error--> kClosed
#pragma once

#include <cstdint>
#include <memory>

#include "http/h1_parser.h"
#include "net/loop.h"
#include "stream/stream.h"

namespace lateen::stream {

// Takes over a connection whose client speaks HTTP/2.
class Http2Taker {
 public:
  virtual ~Http2Taker() = default;
  // From inside the HTTP/1.1 connection, which does and says nothing after it, and is to be destroyed from the loop.
  // `first_bytes`: what has been read of the client's preface.
  virtual void on_http2_preface(std::unique_ptr<net::Socket> socket, std::string_view first_bytes) = 0;
};

struct H1ServerOptions {
  http::HeadLimits head_limits = {};
  Duration header_timeout = std::chrono::seconds(10);  // first byte of a head to its last; 408; zero: none
  Duration idle_timeout = std::chrono::hours(1);       // between requests, and before the first; zero: none
  Duration max_connection_duration{};                  // then "connection: close" with the next response; zero: none
  // How long the last bytes of an answer may take to reach a client that sends what nobody reads.
  Duration linger_timeout = std::chrono::seconds(1);
  std::string_view scheme = "http";                    // static text
  // The Server field of answers that the connection makes itself (400, 408 ...); empty: none. Static text.
  std::string_view server_name = "envoy";
  // A client that closes its half while an answer is going on has gone: for answers that stay open as long as the client
  // lives. Otherwise it still gets its answer.
  bool half_close_is_gone = false;
  // Null: HTTP/2 is a version that is not supported. It is found where an HTTP/1.1 head would be refused, so it costs
  // HTTP/1.1 nothing.
  Http2Taker* http2 = nullptr;
  // Of an HTTP/2 connection; see http::H2ServerOptions.
  std::uint32_t http2_streams_max = 0, http2_stream_window_bytes = 0, http2_connection_window_bytes = 0;
  bool http2_extended_connect = false;
};

// Of a request whose response is complete before its body: when more is to come, the response announces the close.
inline constexpr std::size_t kDrainBytesMax = 64 * 1024;
// Of a client that goes on sending after our response: so many bytes are read before the connection is cut; and so many
// are dropped to keep a connection whose response has not announced the close.
inline constexpr std::size_t kLingerBytesMax = 1024 * 1024;

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";   // RFC 9113, section 3.4

// A draining connection that is idle may have a request on its way: so long it is waited for, and answered with
// "connection: close".
inline constexpr Duration kDrainIdleTime = std::chrono::seconds(1);

// Owned by the acceptor's side. It may be destroyed at any time outside its own callbacks (from inside them by
// Loop::defer); a live stream is then cut without a call. After on_connection_closed it must be destroyed.
class ServerConnection {
 public:
  virtual ~ServerConnection() = default;
  // The next response is the last one (with "connection: close"); an idle connection closes after kDrainIdleTime.
  virtual void drain() = 0;
  virtual bool idle() const = 0;
  virtual const net::Address& remote_address() const = 0;
  virtual const net::Address& local_address() const = 0;
};

// `loop`, `acceptor` and the texts in `options` must outlive the connection. `first_bytes`: what was read from the socket
// before (protocol sniffing), may be empty.
std::unique_ptr<ServerConnection> make_h1_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                            ServerStreamAcceptor& acceptor,
                                                            const H1ServerOptions& options,
                                                            std::string_view first_bytes = {});

}  // namespace lateen::stream
