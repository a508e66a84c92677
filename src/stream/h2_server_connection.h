// H2ServerConnection: one HTTP/2 connection from a client, with prior knowledge or behind TLS. Hands each request to the
// acceptor as a ServerStream, many at a time.
//
//   kOpen --finished: GOAWAY, idle, drained, protocol broken--> kLingering (our FIN is out; what comes is dropped)
//   both --end, reset, write error, linger timeout--> kClosed
#pragma once

#include <memory>
#include <string_view>

#include "stream/h1_server_connection.h"

namespace lateen::stream {

// The framed bytes that wait for the socket; above it no DATA is framed, so that other frames do not wait long.
inline constexpr std::size_t kH2OutboxBytesMax = 64 * 1024;

// As make_h1_server_connection, with the same options: the header timeout is also the preface's, the idle timeout counts
// while there is no stream, drain() sends GOAWAY, and the connection closes when the streams that there are have ended.
std::unique_ptr<ServerConnection> make_h2_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                            ServerStreamAcceptor& acceptor,
                                                            const H1ServerOptions& options,
                                                            std::string_view first_bytes = {});

}  // namespace lateen::stream
