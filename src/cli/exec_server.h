// The mesh's side of `lateen exec`: accepts sessions on a unix socket and hands their messages to the control loop.
//
// One thread of its own waits for the sockets (the loop's Socket carries no descriptors); everything it learns is posted
// to the loop's mailbox, so the owner's callbacks run on the loop alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/exec_protocol.h"
#include "net/loop.h"

namespace lateen::cli {

class ExecServer {
 public:
  using SessionId = std::uint64_t;
  static constexpr std::size_t kSessionsMax = 256;
  static constexpr std::size_t kQueuedBytesMax = 2 * kExecFrameBytesMax;

  // Each is called on the loop's thread. A session's first call is on_hello, its last on_closed.
  struct Events {
    std::function<void(SessionId, const ExecHello&)> on_hello;
    // The receiver owns the descriptors: non-blocking, close-on-exec listening sockets.
    std::function<void(SessionId, const ExecSockets&, std::vector<int> descriptors)> on_sockets;
    std::function<void(SessionId)> on_closed;
  };

  struct Options {
    std::string directory;  // made with mode 0700 and checked to be ours; see exec_socket_directory()
    std::string name;       // of the socket file in it, "exec-15000.sock": the same after a restart, so exec comes back
    std::size_t queued_bytes_max = kQueuedBytesMax;
  };

  // Only processes of the same user (or root) are listened to. `loop` must outlive the server.
  static Result<std::unique_ptr<ExecServer>> start(net::Loop& loop, const Options& options, Events events);
  // Ends every session; no callback comes after it returns. Called on the loop's thread.
  virtual ~ExecServer() = default;

  virtual const std::string& path() const = 0;
  // Queues a message for the session. Called on the loop's thread. An ExecError ends the session once it is written.
  // A session that does not read is cut when queued_bytes_max are waiting. Unknown ids are ignored: the session has ended.
  virtual Result<void> post(SessionId session, const ExecMessage& message) = 0;
};

}  // namespace lateen::cli
