// A connection from a client in HTTP/1.1 or HTTP/2: the first bytes decide (RFC 9113, section 3.3).
#pragma once

#include <memory>

#include "stream/h1_server_connection.h"

namespace lateen::stream {

// As make_h1_server_connection. Until it is known which protocol it is, the idle timeout counts, and from the first byte
// on the header timeout. An HTTP/1 connection is recognised by its first byte that is not the preface's; the rest is the
// HTTP/1 connection's own.
std::unique_ptr<ServerConnection> make_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                         ServerStreamAcceptor& acceptor, const H1ServerOptions& options);

}  // namespace lateen::stream
