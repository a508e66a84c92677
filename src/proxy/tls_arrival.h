// The TLS handshake of an accepted connection, between the choice of its filter chain and what serves it.
#pragma once

#include "proxy/chain_selection.h"
#include "proxy/connection.h"

namespace lateen::proxy {

class Worker;

// `chain` is of arrival.listener and has TLS. Ends in start_handler(), or closes the connection and counts why.
void start_tls_arrival(Worker& worker, Arrival arrival, const ConnectionTraits& traits, const runtime::FilterChain& chain);

}  // namespace lateen::proxy
