// A TCP connection that is carried through an HTTP proxy: CONNECT (or POST) on a stream of a pool, and a socket that
// reads and writes its bytes (envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "net/loop.h"
#include "stream/client_pool.h"

namespace lateen::proxy {

struct TunnelRequest {
  std::string authority;       // whereto: "host:port"
  bool post = false;           // POST instead of CONNECT
  std::string path;            // of a POST
  http::HeaderMap headers;
};

// on_connected comes with the proxy's 2xx; anything else is on_socket_error. All must outlive the socket.
std::unique_ptr<net::Socket> open_tunnel(net::Loop& loop, stream::ClientPool& pool, TunnelRequest request, net::SocketEvents& events);

// Why a tunnel failed; "" for other sockets, and where nothing is known.
std::string_view tunnel_failure(const net::Socket& socket);

}  // namespace lateen::proxy
