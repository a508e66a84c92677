// TCP proxying: a client's socket joined to a socket to a host of the chain's cluster, with half-close, an idle timeout
// and bounded memory.
#pragma once

#include "proxy/connection.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

class Worker;

// `settings` belong to arrival.listener.
void start_tcp_proxy(Worker& worker, Arrival arrival, const runtime::TcpProxySettings& settings);

}  // namespace lateen::proxy
