// A connection from a client in HTTP/1.1 or HTTP/2: the first bytes decide (RFC 9113, section 3.3).
#pragma once

#include <memory>

#include "stream/h1_server_connection.h"

namespace lateen::stream {

// As make_h1_server_connection. HTTP/2 begins where the first bytes are its preface; `options.http2` is not looked at.
std::unique_ptr<ServerConnection> make_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                         ServerStreamAcceptor& acceptor, const H1ServerOptions& options);

}  // namespace lateen::stream
