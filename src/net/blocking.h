// Short conversations that block: a command asks the running mesh one thing and ends.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "net/descriptor.h"
#include "net/loop.h"

namespace lateen::net {

// Connects and leaves the socket blocking, with `timeout` for each later read and write.
// Errors: kNotFound (refused: nobody listens there), kTimeout, kSystem.
Result<Descriptor> connect_blocking(const Address& to, Duration timeout);
Result<void> write_all(const Descriptor& socket, std::string_view bytes);
// Reads once, at most `most` bytes; empty at the end of the stream. Errors: kTimeout, kPeerClosed.
Result<std::string> read_some(const Descriptor& socket, std::size_t most);

}  // namespace lateen::net
