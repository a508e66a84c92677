// TunnelSocket: a CONNECT tunnel as a socket, so that what comes through it is treated like a captured connection.
//
// The stream belongs to an HTTP connection; the socket to whatever serves the tunnel. Each may go first: closing the
// socket resets the stream, the end of the stream ends the socket.
#pragma once

#include "net/loop.h"
#include "stream/buffer.h"
#include "stream/stream.h"

namespace lateen::proxy {

class TunnelSocket;

// The stream's side; lives with the HTTP connection.
class TunnelEnd final : public stream::ServerStreamHandler {
 public:
  TunnelEnd(net::Loop& loop, stream::ServerStream& stream) : loop_(loop), stream_(&stream) {}
  ~TunnelEnd() override;

  // The other end; once. `destination`: what its local address is.
  std::unique_ptr<net::Socket> make_socket(net::Address destination);

  void on_data(stream::Buffer data, stream::End end) override;
  void on_trailers(http::HeaderMap) override {}
  void on_reset(stream::ResetReason reason) override;
  void on_sent(std::size_t bytes) override;
  void on_complete() override;

 private:
  friend class TunnelSocket;
  void lose(int error);

  net::Loop& loop_;
  stream::ServerStream* stream_;     // null: over
  TunnelSocket* socket_ = nullptr;   // null: closed, or not made yet
  stream::Buffer early_;             // before the socket was made
  bool early_end_ = false;
};

class TunnelSocket final : public net::Socket {
 public:
  TunnelSocket(TunnelEnd& end, net::Address local, net::Address remote, stream::Buffer early, bool early_end);
  ~TunnelSocket() override;

  void set_events(net::SocketEvents* events) override;
  net::IoResult read(std::span<std::byte> into) override;
  net::IoResult readv(std::span<const iovec> into) override;
  net::IoResult writev(std::span<const iovec> from) override;
  void shutdown_write() override;
  void reset_on_close() override { reset_on_close_ = true; }
  net::Address local_address() const override { return local_; }
  net::Address remote_address() const override { return remote_; }
  net::IoResult peek(std::span<std::byte> into) override;
  void set_keepalive(Duration, Duration, int) override {}

 private:
  friend class TunnelEnd;
  std::size_t copy(std::span<std::byte> into) const;
  void tell_all();

  TunnelEnd* end_;                   // null: the stream is over
  net::Loop& loop_;
  const net::Address local_, remote_;
  net::SocketEvents* events_ = nullptr;
  stream::Buffer received_;          // at most a stream's window
  bool received_end_ = false;
  std::size_t unsent_ = 0;
  bool blocked_ = false, write_ended_ = false, reset_on_close_ = false;
  int error_ = 0;
  net::Timer tell_;                  // events that were pending when the receiver came
};

}  // namespace lateen::proxy
