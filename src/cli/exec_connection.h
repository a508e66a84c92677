// One end of an exec session: whole messages in and out of a non-blocking unix socket.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/exec_protocol.h"
#include "net/unix_channel.h"

namespace lateen::cli {

class ExecConnection {
 public:
  struct Incoming {
    ExecMessage message;
    std::vector<net::Descriptor> descriptors;  // as many as an ExecSockets announces; else none
  };

  explicit ExecConnection(net::Descriptor socket) : socket_(std::move(socket)) {}

  int descriptor() const { return socket_.get(); }
  bool wants_to_write() const { return !out_.empty(); }
  std::size_t queued_bytes() const { return queued_bytes_; }

  // Queues a message; flush() moves it.
  Result<void> queue(const ExecMessage& message, std::vector<net::Descriptor> descriptors = {});
  // Writes what the socket takes. Errors: kPeerClosed.
  Result<void> flush();
  // Reads what there is. Errors: kPeerClosed (also at the end of the stream), kProtocol, kOverLimit; messages that came
  // whole before the error are lost with the session.
  Result<std::vector<Incoming>> receive();

 private:
  struct Outgoing {
    std::string bytes;
    std::size_t written = 0;
    std::vector<net::Descriptor> descriptors;
  };

  Result<void> take_messages(std::vector<Incoming>& into);

  net::Descriptor socket_;
  std::deque<Outgoing> out_;
  std::size_t queued_bytes_ = 0;
  std::string in_;
  std::vector<net::Descriptor> received_;  // not yet claimed by a message; at most 2 * kExecDescriptorsMax
};

}  // namespace lateen::cli
