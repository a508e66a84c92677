// Dial: a connection to an endpoint while it is being made, over whatever the pool's Connector puts beneath HTTP.
#pragma once

#include <memory>
#include <string_view>

#include "net/loop.h"
#include "stream/client_pool.h"

namespace lateen::stream {

class Dial final : private net::SocketEvents {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Both are the last call; the dial is to be destroyed after the current event.
    virtual void on_connected(Dial& dial, std::unique_ptr<net::Socket> socket) = 0;
    virtual void on_connect_failed(Dial& dial, ResetReason reason, std::string_view detail) = 0;
  };

  // All must outlive the dial.
  Dial(net::Loop& loop, const net::Address& to, const PoolOptions& options, Owner& owner);

  std::size_t index = 0;   // the pool's

 private:
  void on_connected() override;
  void on_readable() override {}
  void on_writable() override { on_connected(); }
  void on_socket_error(int error) override;
  void on_timeout();

  Owner& owner_;
  const std::shared_ptr<const Connector> connector_;
  std::unique_ptr<net::Socket> socket_;   // null: it is over
  net::Timer timer_;
};

}  // namespace lateen::stream
