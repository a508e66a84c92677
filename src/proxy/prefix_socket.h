// PrefixSocket: a connecting socket that says something of its own before its owner's first byte: a PROXY header.
#pragma once

#include <memory>
#include <string>

#include "net/loop.h"

namespace lateen::proxy {

// Connects to `to`; on_connected comes when the connection stands and `prefix` is on its way.
std::unique_ptr<net::Socket> connect_with_prefix(net::Loop& loop, const net::Address& to, const net::Address& bind_to,
                                                 std::string prefix, net::SocketEvents& events);

}  // namespace lateen::proxy
