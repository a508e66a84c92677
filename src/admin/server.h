// The admin port: connections on the control loop, whole requests in, answers out.
#pragma once

#include <memory>

#include "admin/http.h"
#include "admin/router.h"
#include "net/loop.h"

namespace lateen::admin {

class Server {
 public:
  // `router` must outlive the server. Port 0 takes a free one. Errors: kConflict (the port is in use), kSystem.
  static Result<std::unique_ptr<Server>> start(net::Loop& loop, const net::Address& at, const Router& router);
  virtual ~Server() = default;
  virtual const net::Address& address() const = 0;
  // Stops accepting.
  virtual void close() = 0;
};

}  // namespace lateen::admin
