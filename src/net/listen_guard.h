// Refuses TCP servers in a program: its listen() on a TCP socket fails with EACCES, and we are told.
//
// By the kernel's seccomp user notification (seccomp_unotify(2), Linux 5.0), which the program cannot see otherwise.
#pragma once

#include <optional>

#include "base/result.h"
#include "net/descriptor.h"
#include "net/loop.h"

namespace lateen::net {

// In the process that is to become the program: from now on each listen() of it and its children waits for
// answer_listen() on the returned descriptor. Errors: kUnsupported (the kernel cannot, or somebody watches already).
Result<Descriptor> guard_listen();

// Answers what waits on the descriptor: listen() on anything but TCP goes on; on TCP it fails with EACCES, and the
// address is returned. A socket that we cannot look at goes on. Needs to be privileged over the program's namespace.
std::optional<Address> answer_listen(int guard);

}  // namespace lateen::net
