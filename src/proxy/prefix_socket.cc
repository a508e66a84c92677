#include "proxy/prefix_socket.h"

#include <utility>

namespace lateen::proxy {
namespace {

class PrefixSocket final : public net::Socket, private net::SocketEvents {
 public:
  PrefixSocket(net::Loop& loop, const net::Address& to, const net::Address& bind_to, std::string prefix, net::SocketEvents& events)
      : prefix_(std::move(prefix)), events_(&events) {
    net::SocketEvents& own = *this;
    beneath_ = loop.connect(to, own, bind_to);
  }

  void set_events(net::SocketEvents* events) override {
    events_ = events;
    net::SocketEvents* own = this;
    beneath_->set_events(events == nullptr ? nullptr : own);
  }
  net::IoResult read(std::span<std::byte> into) override { return beneath_->read(into); }
  net::IoResult readv(std::span<const iovec> into) override { return beneath_->readv(into); }
  net::IoResult peek(std::span<std::byte> into) override { return beneath_->peek(into); }
  net::IoResult writev(std::span<const iovec> from) override {
    if (prefix_.empty()) return beneath_->writev(from);
    const net::IoResult result = write_prefix();
    return prefix_.empty() ? beneath_->writev(from) : result;
  }
  void shutdown_write() override { beneath_->shutdown_write(); }
  void reset_on_close() override { beneath_->reset_on_close(); }
  net::Address local_address() const override { return beneath_->local_address(); }
  net::Address remote_address() const override { return beneath_->remote_address(); }
  void set_keepalive(Duration idle, Duration interval, int probes) override { beneath_->set_keepalive(idle, interval, probes); }

 private:
  void on_connected() override {
    write_prefix();
    if (events_ != nullptr) events_->on_connected();
  }
  void on_readable() override {
    if (events_ != nullptr) events_->on_readable();
  }
  void on_writable() override {
    if (!prefix_.empty()) write_prefix();
    if (prefix_.empty() && events_ != nullptr) events_->on_writable();
  }
  void on_socket_error(int error) override {
    if (events_ != nullptr) events_->on_socket_error(error);
  }

  net::IoResult write_prefix() {
    const iovec piece{prefix_.data(), prefix_.size()};
    const net::IoResult result = beneath_->writev({&piece, 1});
    if (result.status == net::IoStatus::kOk) prefix_.erase(0, result.bytes);
    return result.status == net::IoStatus::kOk ? net::IoResult{net::IoStatus::kWouldBlock, 0, 0} : result;
  }

  std::string prefix_;
  net::SocketEvents* events_;
  std::unique_ptr<net::Socket> beneath_;
};

}  // namespace

std::unique_ptr<net::Socket> connect_with_prefix(net::Loop& loop, const net::Address& to, const net::Address& bind_to,
                                                 std::string prefix, net::SocketEvents& events) {
  return std::make_unique<PrefixSocket>(loop, to, bind_to, std::move(prefix), events);
}

}  // namespace lateen::proxy
