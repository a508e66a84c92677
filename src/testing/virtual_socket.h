// The sockets of a VirtualNetwork.
#pragma once

#include <memory>

#include "net/loop.h"
#include "testing/virtual_network.h"

namespace lateen::testing {

class VirtualSocket final : public net::Socket {
 public:
  static std::unique_ptr<net::Socket> connect(VirtualNetwork& network, VirtualLoop& loop, const net::Address& to,
                                              net::SocketEvents& events, const net::Address& bind_to);
  VirtualSocket(VirtualNetwork& network, std::uint64_t connection, std::size_t side)
      : network_(network), connection_(connection), side_(side) {}
  ~VirtualSocket() override;

  void set_events(net::SocketEvents* events) override;
  net::IoResult read(std::span<std::byte> into) override;
  net::IoResult readv(std::span<const iovec> into) override;
  net::IoResult writev(std::span<const iovec> from) override;
  void shutdown_write() override;
  void reset_on_close() override { reset_on_close_ = true; }
  net::Address local_address() const override;
  net::Address remote_address() const override;
  net::IoResult peek(std::span<std::byte> into) override;
  void set_keepalive(Duration, Duration, int) override {}

 private:
  friend class VirtualNetwork;
  VirtualNetwork& network_;
  std::uint64_t connection_;
  std::size_t side_;
  net::SocketEvents* events_ = nullptr;
  bool reset_on_close_ = false;
};

class VirtualListenSocket final : public net::ListenSocket {
 public:
  static Result<std::unique_ptr<net::ListenSocket>> create(VirtualNetwork& network, VirtualLoop& loop,
                                                           const net::Address& at, const net::ListenOptions& options,
                                                           net::ListenSocketEvents& events);
  ~VirtualListenSocket() override;
  net::Address local_address() const override { return address_; }
  void pause() override { paused_ = true; }
  void resume() override;

 private:
  friend class VirtualNetwork;
  VirtualListenSocket(VirtualNetwork& network, VirtualLoop& loop, net::Address address, bool shared,
                      net::ListenSocketEvents& events)
      : network_(network), loop_(loop), address_(std::move(address)), shared_(shared), events_(events) {}

  VirtualNetwork& network_;
  VirtualLoop& loop_;
  net::Address address_;
  bool shared_;
  bool paused_ = false;
  net::ListenSocketEvents& events_;
  std::vector<std::uint64_t> queue_;  // connections that came while paused
};

}  // namespace lateen::testing
