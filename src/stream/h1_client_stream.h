// H1ClientStream: the request side of one exchange, and the credit of the response's body.
#pragma once

#include <utility>

#include "stream/h1_client_connection.h"

namespace lateen::stream {

class H1ClientStream final : public ClientStream {
 public:
  H1ClientStream(H1ClientConnection& connection, ClientStreamHandler& handler, bool reused)
      : connection_(&connection), handler_(handler), reused_(reused) {}
  ~H1ClientStream() override {
    if (connection_ != nullptr) connection_->release_stream();
  }

  // ---- for the connection
  ClientStreamHandler& handler() { return handler_; }
  void detach() { connection_ = nullptr; }
  bool awaits_tunnel() const { return awaits_tunnel_; }
  // The response is a tunnel, or has refused one.
  void on_tunnel(bool granted);
  bool request_ended() const { return head_sent_ && !awaits_tunnel_ && writer_.ended(); }
  bool is_tunnel() const { return is_tunnel_; }
  bool bytes_sent = false;
  void received(std::size_t bytes) { unconsumed_ += bytes; }
  std::size_t credit() const { return unconsumed_ < kStreamWindowBytes ? kStreamWindowBytes - unconsumed_ : 0; }

  // ---- ClientStream
  void send_headers(const http::RequestHead& head, End end) override;
  void send_data(Buffer data, End end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void consumed(std::size_t bytes) override;
  bool on_reused_connection() const override { return reused_; }
  const net::Address& remote_address() const override;
  const net::Address& local_address() const override;

 private:
  H1ClientConnection* connection_;   // null: gone
  ClientStreamHandler& handler_;
  BodyWriter writer_;
  Buffer held_;                      // for the tunnel, before it is granted; at most what the sender has credit for
  std::size_t unconsumed_ = 0;
  const bool reused_;
  bool head_sent_ = false;
  bool awaits_tunnel_ = false;
  bool is_tunnel_ = false;
  bool held_end_ = false;
};

}  // namespace lateen::stream
