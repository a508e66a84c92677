// Sockets of a namespace in which every address is local: what listens there, and what found nobody listening.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/descriptor.h"
#include "net/loop.h"

namespace lateen::net {

// `count` listening TCP sockets that share `port` on every address of the family (4 or 6), non-blocking, close-on-exec.
// Errors: kConflict (in use), kSystem.
Result<std::vector<Descriptor>> open_capture_sockets(std::uint16_t port, int family, std::size_t count);

// A bound, non-blocking UDP socket.
Result<Descriptor> open_datagram_socket(const Address& at);

struct Datagram {
  std::string bytes;
  Address from;
};
// Nothing: none is waiting. Longer ones than `most` are cut.
std::optional<Datagram> read_datagram(int socket, std::size_t most);
// As good as datagrams are: what the kernel does not take is lost.
void write_datagram(int socket, const Datagram& to);

// Sees each connection attempt that the kernel of this namespace refuses because nobody listens. Needs the privilege
// for raw sockets in the namespace. The kernel filters; what it keeps is bounded by the socket's small buffer.
Result<Descriptor> watch_refusals(int family);
// The address that was dialled. Nothing: none is waiting.
std::optional<Address> read_refusal(int watch);

}  // namespace lateen::net
