#include "stream/server_connection.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "stream/h2_server_connection.h"

namespace lateen::stream {

namespace {

constexpr std::size_t kFirstReadBytes = 4096;

class SniffingServerConnection final : public ServerConnection, private net::SocketEvents {
 public:
  SniffingServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, ServerStreamAcceptor& acceptor,
                           const H1ServerOptions& options)
      : loop_(loop),
        socket_(std::move(socket)),
        acceptor_(acceptor),
        options_(options),
        remote_(socket_->remote_address()),
        local_(socket_->local_address()) {
    if (options_.idle_timeout > Duration::zero()) arm(options_.idle_timeout);
    socket_->set_events(this);
  }

  void drain() override {
    if (connection_ != nullptr) return connection_->drain();
    drains_ = true;
    arm(kDrainIdleTime);
  }
  bool idle() const override { return connection_ == nullptr || connection_->idle(); }
  const net::Address& remote_address() const override { return remote_; }
  const net::Address& local_address() const override { return local_; }

 private:
  void on_readable() override { read(); }
  void on_writable() override {}
  void on_socket_error(int) override { finish(); }
  void on_timeout() { read_.empty() ? finish() : choose(); }
  void arm(Duration delay) { loop_.arm<&SniffingServerConnection::on_timeout>(timer_, delay, this); }

  void read() {
    while (socket_ != nullptr) {
      std::array<std::byte, kFirstReadBytes> bytes;
      const net::IoResult result = socket_->read(bytes);
      if (result.status == net::IoStatus::kWouldBlock) return;
      if (result.status == net::IoStatus::kError) return finish();
      if (result.status == net::IoStatus::kEnd) return read_.empty() ? finish() : choose();
      if (read_.empty() && !drains_ && options_.header_timeout > Duration::zero()) arm(options_.header_timeout);
      read_.append(reinterpret_cast<const char*>(bytes.data()), result.bytes);
      const std::size_t size = std::min(read_.size(), kH2Preface.size());
      if (size == kH2Preface.size() || !kH2Preface.starts_with(read_)) choose();
    }
  }

  void choose() {
    timer_.cancel();
    socket_->set_events(nullptr);
    const bool is_h2 = read_.starts_with(kH2Preface);
    connection_ = is_h2 ? make_h2_server_connection(loop_, std::move(socket_), acceptor_, options_, read_)
                        : make_h1_server_connection(loop_, std::move(socket_), acceptor_, options_, read_);
    read_ = {};
    if (drains_) connection_->drain();
  }

  void finish() {
    if (socket_ == nullptr) return;
    timer_.cancel();
    socket_.reset();
    acceptor_.on_connection_closed();
  }

  net::Loop& loop_;
  std::unique_ptr<net::Socket> socket_;    // until it is known what it carries
  ServerStreamAcceptor& acceptor_;
  const H1ServerOptions options_;
  const net::Address remote_, local_;
  std::string read_;                       // at most the preface and one read
  bool drains_ = false;
  net::Timer timer_;
  std::unique_ptr<ServerConnection> connection_;
};

}  // namespace

std::unique_ptr<ServerConnection> make_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                         ServerStreamAcceptor& acceptor, const H1ServerOptions& options) {
  return std::make_unique<SniffingServerConnection>(loop, std::move(socket), acceptor, options);
}

}  // namespace lateen::stream
