// The HTTP proxy port: absolute-form requests and CONNECT, for programs that are told of the mesh by http_proxy. Who asks
// is named by Proxy-Authorization, so each request may belong to another view.
#pragma once

#include "proxy/connection.h"

namespace lateen::proxy {

class Worker;

// arrival.view is the view of requests that name nobody.
void start_forward_proxy(Worker& worker, Arrival arrival);

}  // namespace lateen::proxy
