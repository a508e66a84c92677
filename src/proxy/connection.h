// Connection: whatever a worker keeps for one accepted socket: an HTTP connection, a TCP relay, one that is being looked
// at. Owned by the worker, which destroys it from the loop after close_me().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "proxy/tls_facts.h"
#include "proxy/worker_view.h"

namespace lateen::proxy {

class Connection {
 public:
  virtual ~Connection() = default;
  // No new work: closes when idle, or after what is under way.
  virtual void drain() = 0;

 private:
  friend class Worker;
  std::uint64_t group_ = 0;   // the listening socket that it came through
};

// Where a connection came from and where it wanted to go. Moves along as it becomes known what kind it is.
struct Arrival {
  std::unique_ptr<net::Socket> socket;
  WorkerView* view = nullptr;
  net::Address remote, local, destination;      // destination: the original one; elsewhere the local address
  std::shared_ptr<const runtime::Listener> listener;
  std::string server_name;                      // SNI, as the ClientHello says it
  std::shared_ptr<const ClientTls> tls;         // null: plain text
  std::uint64_t group = 0;
};

}  // namespace lateen::proxy
