#include "stream/server_connection.h"

#include <utility>

#include "stream/h2_server_connection.h"

namespace lateen::stream {

namespace {

// Begins as HTTP/1.1, which finds the preface of HTTP/2 where it would refuse it.
class EitherServerConnection final : public ServerConnection, private Http2Taker {
 public:
  EitherServerConnection(net::Loop& loop, std::unique_ptr<net::Socket> socket, ServerStreamAcceptor& acceptor,
                         const H1ServerOptions& options)
      : loop_(loop), acceptor_(acceptor), options_(with_taker(options, *this)) {
    connection_ = make_h1_server_connection(loop, std::move(socket), acceptor, options_);
  }

  void drain() override {
    drains_ = true;
    connection_->drain();
  }
  bool idle() const override { return connection_->idle(); }
  const net::Address& remote_address() const override { return connection_->remote_address(); }
  const net::Address& local_address() const override { return connection_->local_address(); }

 private:
  static H1ServerOptions with_taker(H1ServerOptions options, Http2Taker& taker) {
    options.http2 = &taker;
    return options;
  }

  void on_http2_preface(std::unique_ptr<net::Socket> socket, std::string_view first_bytes) override {
    before_ = std::exchange(connection_, make_h2_server_connection(loop_, std::move(socket), acceptor_, options_, first_bytes));
    loop_.arm<&EitherServerConnection::on_later>(later_, Duration::zero(), this);
    if (drains_) connection_->drain();
  }
  void on_later() { before_.reset(); }

  net::Loop& loop_;
  ServerStreamAcceptor& acceptor_;
  const H1ServerOptions options_;
  std::unique_ptr<ServerConnection> connection_;
  std::unique_ptr<ServerConnection> before_;   // that has handed over, until the current event is over
  bool drains_ = false;
  net::Timer later_;
};

}  // namespace

std::unique_ptr<ServerConnection> make_server_connection(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                         ServerStreamAcceptor& acceptor, const H1ServerOptions& options) {
  return std::make_unique<EitherServerConnection>(loop, std::move(socket), acceptor, options);
}

}  // namespace lateen::stream
