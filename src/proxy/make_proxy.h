// make_proxy: the proxy over loops that somebody else runs: the program's threads, or the simulator.
#pragma once

#include <memory>
#include <vector>

#include "net/dns.h"
#include "proxy/proxy.h"
#include "proxy/worker_runner.h"

namespace lateen::proxy {

// One worker for each runner. `resolver` works on the control loop; null: clusters of names stay without endpoints.
// Errors: the access log can not be opened.
Result<std::unique_ptr<Proxy>> make_proxy(const Options& options, net::Loop& control_loop,
                                          std::vector<std::unique_ptr<WorkerRunner>> runners,
                                          std::unique_ptr<net::Resolver> resolver = nullptr);

}  // namespace lateen::proxy
