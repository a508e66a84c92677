// Between Address values and the kernel's sockaddr.
#pragma once

#include <sys/socket.h>

#include "net/loop.h"

namespace lateen::net {

struct SockAddr {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Errors: kInvalidConfig (not an IP address, path too long).
Result<SockAddr> to_sockaddr(const Address& address);
Address from_sockaddr(const SockAddr& from);

}  // namespace lateen::net
