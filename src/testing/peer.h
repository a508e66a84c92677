// Peer: the scripted other end of a connection, for tests over any Loop. Sends what it is told to, keeps what it gets.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"

namespace lateen::testing {

class Peer final : private net::SocketEvents {
 public:
  // Connects.
  Peer(net::Loop& loop, const net::Address& to);
  // Has been accepted.
  explicit Peer(std::unique_ptr<net::Socket> socket);

  void write(std::string_view bytes);        // queued; written as the socket takes it
  void shutdown_write();                    // after everything that was queued
  void close();                             // at once; what is queued is lost
  void reset();                             // at once, with a reset
  void pause() { paused_ = true; }          // stops reading
  void resume();

  bool connected() const { return connected_; }
  bool ended() const { return ended_; }     // the other side has shut down its writing
  int error() const { return error_; }      // errno; 0: none
  bool gone() const { return ended_ || error_ != 0; }
  std::size_t unsent() const { return queue_.size(); }
  const std::string& received() const { return received_; }
  // What was received since the last take().
  std::string take();
  const net::Socket* transport() const { return socket_.get(); }

  // Called after anything was received, or the end, or an error. May close the peer, not destroy it.
  std::function<void(Peer&)> on_change;

 private:
  void on_connected() override;
  void on_readable() override;
  void on_writable() override { flush(); }
  void on_socket_error(int error) override;
  void flush();

  std::unique_ptr<net::Socket> socket_;
  std::string queue_;
  std::string received_;
  std::size_t taken_ = 0;
  bool connected_ = false, ended_ = false, paused_ = false, shut_ = false;
  int error_ = 0;
};

// Listens on a free port of 127.0.0.1 (or on the address given) and keeps a Peer for every connection.
class PeerListener final : private net::ListenSocketEvents {
 public:
  explicit PeerListener(net::Loop& loop);
  PeerListener(net::Loop& loop, const net::Address& at);

  net::Address address() const { return socket_->local_address(); }
  std::size_t size() const { return peers_.size(); }
  Peer& at(std::size_t index) { return *peers_.at(index); }

  // Called for each new peer, before anything was received on it.
  std::function<void(Peer&)> on_peer;
  // What accepted sockets become, TLS for example; may be empty.
  std::function<std::unique_ptr<net::Socket>(std::unique_ptr<net::Socket>)> wrap;

 private:
  void on_accept(std::unique_ptr<net::Socket> socket) override;

  std::unique_ptr<net::ListenSocket> socket_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace lateen::testing
