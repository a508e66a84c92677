// A plain TCP connection to an endpoint as the stream of a request: how a CONNECT that ends at the proxy is carried on
// (envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig). The head that is sent goes nowhere and is answered 200 by
// the stream itself; the body is the connection's bytes, each direction with an end of its own.
#pragma once

#include <memory>

#include "proxy/worker_cluster.h"
#include "stream/client_pool.h"
#include "stream/stream.h"

namespace lateen::proxy {

// Dials `host`, of which the caller has acquired one connection (WorkerHost::acquire_connection) that goes back when the
// stream or the failed attempt is gone. `waiter` is told like that of a pool, never from inside; all must outlive what is
// returned and the stream, which must not outlive `host`.
std::unique_ptr<stream::PendingStream> dial_tcp_stream(net::Loop& loop, WorkerHost& host, const ConnectionWish& wish,
                                                       stream::StreamWaiter& waiter, stream::ClientStreamHandler& handler);

}  // namespace lateen::proxy
