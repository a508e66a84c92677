// From an accepted socket to the connection that serves it: which listener, what do the first bytes look like, which
// filter chain.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "net/loop.h"
#include "proxy/chain_selection.h"
#include "proxy/connection.h"
#include "proxy/proxy.h"

namespace lateen::proxy {

class Worker;

// A socket has been accepted by a listening socket of kind `spec`. Closes it where nothing wants it.
void admit_socket(Worker& worker, std::unique_ptr<net::Socket> socket, const ListenSpec& spec, std::uint64_t group);

// The listener is known: reads a PROXY header and looks at the first bytes if it asks for that, then starts a chain.
void admit_arrival(Worker& worker, Arrival arrival);

// Starts the chain that fits: with its TLS handshake, if it has one.
void start_chain(Worker& worker, Arrival arrival, const ConnectionTraits& traits);

// Starts what `chain` of arrival.listener does with the bytes.
void start_handler(Worker& worker, Arrival arrival, const ConnectionTraits& traits, const runtime::FilterChain& chain);

}  // namespace lateen::proxy
