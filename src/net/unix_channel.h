// Unix stream sockets that carry descriptors, for two processes of one user.
//
// Plain functions on descriptors: their users wait with poll(), not with a Loop, because Loop's Socket carries bytes only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/descriptor.h"
#include "net/loop.h"

namespace lateen::net {

// The kernel's SCM_MAX_FD.
inline constexpr std::size_t kDescriptorsPerMessageMax = 253;

// Makes `path` (its parent must be there) with mode 0700, or checks that it is a directory of this user which nobody
// else may enter. Errors: kSystem, kConflict (somebody else's, or open to others).
Result<void> make_private_directory(const std::string& path);

// A listening, non-blocking socket with mode 0600. A socket file that nobody listens on any more is replaced.
// Errors: kConflict (somebody listens there), kSystem.
Result<Descriptor> listen_unix(const std::string& path);
// Non-blocking. An invalid Descriptor: nobody is waiting.
Result<Descriptor> accept_unix(int listener);
// The socket is non-blocking once it is connected. Errors: kNotFound (no such file, or nobody listens), kConflict
// (not for this user), kSystem.
Result<Descriptor> connect_unix(const std::string& path);
// The user at the other end, as the kernel knows it.
Result<unsigned> peer_user(int socket);

// Sends bytes; `descriptors` go with the first of them. Never raises SIGPIPE.
IoResult write_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors);
// Reads bytes and appends the descriptors that came with them (close-on-exec). Descriptors that do not fit are closed
// by the kernel, and the read fails with EMSGSIZE.
IoResult read_with_descriptors(int socket, std::span<char> into, std::vector<Descriptor>& descriptors);

}  // namespace lateen::net
