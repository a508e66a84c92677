#include "proxy/tcp_stream.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "stream/buffer.h"
#include "stream/dial.h"

namespace lateen::proxy {
namespace {

using stream::End;
using stream::ResetReason;

// A connection that is counted; goes back when it is let go of.
class CountedConnection {
 public:
  explicit CountedConnection(WorkerHost& host) : host_(&host) {}
  CountedConnection(CountedConnection&& other) noexcept : host_(std::exchange(other.host_, nullptr)) {}
  CountedConnection& operator=(CountedConnection&&) = delete;
  ~CountedConnection() {
    if (host_ != nullptr) host_->drop_connection();
  }

 private:
  WorkerHost* host_;
};

// Every event ends with at most one call of the handler, which may destroy this object.
class TcpStream final : public stream::ClientStream, private net::SocketEvents {
 public:
  TcpStream(net::Loop& loop, CountedConnection counted, std::unique_ptr<net::Socket> socket, stream::ClientStreamHandler& handler)
      : loop_(loop), counted_(std::move(counted)), handler_(handler), local_(socket->local_address()), remote_(socket->remote_address()),
        socket_(std::move(socket)) {
    socket_->set_events(this);
  }

  void send_headers(const http::RequestHead&, End end) override {
    loop_.arm<&TcpStream::answer>(answer_, Duration::zero(), this);
    if (end == End::kYes) send_data(stream::Buffer(), end);
  }
  void send_data(stream::Buffer data, End end) override {
    unsent_.append(std::move(data));
    write_end_ = write_end_ || end == End::kYes;
    if (!blocked_) loop_.arm<&TcpStream::flush>(flush_, Duration::zero(), this);
  }
  void send_trailers(const http::HeaderMap&) override { send_data(stream::Buffer(), End::kYes); }
  void consumed(std::size_t bytes) override {
    delivered_ -= std::min(bytes, delivered_);
    read_soon();
  }
  bool on_reused_connection() const override { return false; }
  const net::Address& remote_address() const override { return remote_; }
  const net::Address& local_address() const override { return local_; }

 private:
  static constexpr std::size_t kIovecMax = 16;

  void answer() {
    answered_ = true;
    read_soon();   // what came before waited for the answer
    http::ResponseHead head;
    head.status = 200;
    handler_.on_headers(std::move(head), End::kNo);
  }

  void on_readable() override { receive(); }
  void on_writable() override {
    blocked_ = false;
    flush();
  }
  void on_socket_error(int) override { lose(); }

  void read_soon() {
    if (answered_ && !read_end_ && !lost_) loop_.arm<&TcpStream::receive>(read_, Duration::zero(), this);
  }
  void receive() {
    if (!answered_ || read_end_ || lost_) return;
    stream::Buffer data;
    bool failed = false;
    while (!read_end_ && !failed && delivered_ + data.size() < stream::kStreamWindowBytes) {
      stream::Slab* slab = stream::Slab::make();
      const net::IoResult read = socket_->read(std::span(slab->data(), stream::kSlabBytes));
      if (read.status == net::IoStatus::kOk) data.append(stream::Slice(slab, reinterpret_cast<const char*>(slab->data()), read.bytes));
      slab->release();
      if (read.status == net::IoStatus::kWouldBlock) break;
      read_end_ = read.status == net::IoStatus::kEnd;
      failed = read.status == net::IoStatus::kError;
    }
    delivered_ += data.size();
    if (failed && data.empty()) return lose();
    if (data.empty() && !read_end_) return;
    if (failed) read_soon();   // the error comes again, behind the bytes
    handler_.on_data(std::move(data), read_end_ ? End::kYes : End::kNo);
  }

  void flush() {
    if (lost_) return;
    std::size_t sent = 0;
    while (!unsent_.empty()) {
      std::array<iovec, kIovecMax> pieces;
      const std::size_t count = unsent_.fill_iovec(pieces);
      const net::IoResult written = socket_->writev(std::span(pieces).first(count));
      if (written.status == net::IoStatus::kWouldBlock) {
        blocked_ = true;
        break;
      }
      if (written.status != net::IoStatus::kOk) return lose();
      unsent_.remove_prefix(written.bytes);
      sent += written.bytes;
    }
    if (unsent_.empty() && write_end_ && !std::exchange(shut_down_, true)) socket_->shutdown_write();
    if (sent > 0) handler_.on_sent(sent);
  }

  void lose() {
    if (std::exchange(lost_, true)) return;
    for (net::Timer* timer : {&answer_, &read_, &flush_}) timer->cancel();
    handler_.on_reset(ResetReason::kConnectionTermination, true, "");
  }

  net::Loop& loop_;
  const CountedConnection counted_;
  stream::ClientStreamHandler& handler_;
  const net::Address local_, remote_;
  std::unique_ptr<net::Socket> socket_;
  stream::Buffer unsent_;
  std::size_t delivered_ = 0;   // to the handler, and not consumed
  net::Timer answer_, read_, flush_;
  bool answered_ = false, blocked_ = false, read_end_ = false, write_end_ = false, shut_down_ = false, lost_ = false;
};

class TcpDial final : public stream::PendingStream, public stream::Dial::Owner {
 public:
  TcpDial(net::Loop& loop, WorkerHost& host, const ConnectionWish& wish, stream::StreamWaiter& waiter, stream::ClientStreamHandler& handler)
      : loop_(loop), host_(host), waiter_(waiter), handler_(handler), counted_(host),
        dial_(std::make_unique<stream::Dial>(loop, host.host().address(), host.tcp_options(wish), *this)) {}
  ~TcpDial() override {
    // From inside its own last call.
    if (over_) loop_.defer([dial = std::make_shared<const std::unique_ptr<stream::Dial>>(std::move(dial_))] {});
  }

 private:
  void on_connected(stream::Dial&, std::unique_ptr<net::Socket> socket) override {
    over_ = true;
    host_.count_connected();
    waiter_.on_stream_ready(std::make_unique<TcpStream>(loop_, std::move(counted_), std::move(socket), handler_));
  }
  void on_connect_failed(stream::Dial&, ResetReason reason, std::string_view detail) override {
    over_ = true;
    host_.count_connect_failed(reason);
    waiter_.on_stream_failure(reason, detail);
  }

  net::Loop& loop_;
  WorkerHost& host_;
  stream::StreamWaiter& waiter_;
  stream::ClientStreamHandler& handler_;
  CountedConnection counted_;
  std::unique_ptr<stream::Dial> dial_;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<stream::PendingStream> dial_tcp_stream(net::Loop& loop, WorkerHost& host, const ConnectionWish& wish,
                                                       stream::StreamWaiter& waiter, stream::ClientStreamHandler& handler) {
  return std::make_unique<TcpDial>(loop, host, wish, waiter, handler);
}

}  // namespace lateen::proxy
