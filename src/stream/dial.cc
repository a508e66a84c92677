#include "stream/dial.h"

#include <cerrno>
#include <string>
#include <utility>

namespace lateen::stream {

namespace {

std::string_view connect_error_text(int error) {
  switch (error) {
    case ECONNREFUSED: return "connection refused";
    case EHOSTUNREACH: return "no route to host";
    case ENETUNREACH: return "network is unreachable";
    case ETIMEDOUT: return "connection timed out";
    case ECONNRESET: return "connection reset by peer";
    case EADDRNOTAVAIL: return "cannot assign requested address";
    case EMFILE: return "too many open files";
    case ENOENT: return "no such file or directory";
    case EACCES: return "permission denied";
    default: return "connection failed";
  }
}

}  // namespace

Dial::Dial(net::Loop& loop, const net::Address& to, const PoolOptions& options, Owner& owner)
    : owner_(owner), connector_(options.connector) {
  socket_ = connector_ != nullptr ? connector_->connect(loop, to, *this, options.bind_to) : loop.connect(to, *this, options.bind_to);
  // What is not given is left to the system.
  if (options.keepalive_idle > Duration::zero() || options.keepalive_interval > Duration::zero() || options.keepalive_probes > 0) {
    socket_->set_keepalive(options.keepalive_idle, options.keepalive_interval, options.keepalive_probes);
  }
  if (options.connect_timeout > Duration::zero()) loop.arm<&Dial::on_timeout>(timer_, options.connect_timeout, this);
}

void Dial::on_connected() {
  if (socket_ == nullptr) return;
  timer_.cancel();
  socket_->set_events(nullptr);
  owner_.on_connected(*this, std::move(socket_));
}

void Dial::on_socket_error(int error) {
  if (socket_ == nullptr) return;
  timer_.cancel();
  std::string detail(connector_ != nullptr ? connector_->failure(*socket_) : std::string_view());
  if (detail.empty()) detail = connect_error_text(error);
  socket_.reset();
  owner_.on_connect_failed(*this, ResetReason::kConnectFailure, detail);
}

void Dial::on_timeout() {
  socket_.reset();
  owner_.on_connect_failed(*this, ResetReason::kConnectTimeout, "connection timeout");
}

}  // namespace lateen::stream
