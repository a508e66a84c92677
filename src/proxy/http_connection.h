// HttpConnection: an HTTP connection from a client, served by one filter chain. Each request gets the route table of the
// moment; the connection itself outlives changes of configuration.
#pragma once

#include "proxy/chain_selection.h"
#include "proxy/connection.h"

namespace lateen::proxy {

class Worker;

// The chain of arrival.listener that fits `traits` is one for HTTP.
void start_http_connection(Worker& worker, Arrival arrival, const ConnectionTraits& traits);

}  // namespace lateen::proxy
