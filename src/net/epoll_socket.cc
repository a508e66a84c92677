#include "net/epoll_socket.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/address.h"

namespace lateen::net {

namespace {

constexpr std::uint32_t kSocketEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

int set_option(int fd, int level, int name, int value) { return ::setsockopt(fd, level, name, &value, sizeof value); }

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

EpollSocket::EpollSocket(EpollLoop& loop, Fd fd, State state, Address remote)
    : loop_(loop), fd_(std::move(fd)), state_(state), remote_(std::move(remote)) {}

EpollSocket::~EpollSocket() {
  if (registered_) loop_.forget_fd(token_);
}

bool EpollSocket::register_with_loop() {
  const Result<FdToken> token = loop_.add_fd(fd_.get(), kSocketEvents, *this);
  if (!token) return false;
  token_ = *token;
  registered_ = true;
  return true;
}

std::unique_ptr<Socket> EpollSocket::connect(EpollLoop& loop, const Address& to, SocketEvents& events,
                                             const Address& bind_to) {
  const Result<SockAddr> remote = to_sockaddr(to);
  Fd fd(remote ? ::socket(remote->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1);
  const int open_error = remote ? errno : EINVAL;
  std::unique_ptr<EpollSocket> socket(new EpollSocket(loop, std::move(fd), State::kConnecting, to));
  socket->events_ = &events;
  if (!socket->fd_) {
    socket->fail_later(open_error);
    return socket;
  }
  const int raw = socket->fd_.get();
  if (to.family != Address::Family::kUnix) set_option(raw, IPPROTO_TCP, TCP_NODELAY, 1);
  if (bind_to.family != Address::Family::kNone) {
    // The port is chosen by connect(), so that two connections to different peers may share one.
    if (bind_to.port == 0) set_option(raw, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const Result<SockAddr> local = to_sockaddr(bind_to);
    if (!local || ::bind(raw, local->get(), local->size) != 0) {
      socket->fail_later(local ? errno : EINVAL);
      return socket;
    }
  }
  if (::connect(raw, remote->get(), remote->size) != 0 && errno != EINPROGRESS) {
    socket->fail_later(errno);
  } else if (!socket->register_with_loop()) {
    socket->fail_later(ENOMEM);
  }
  return socket;
}

Result<std::unique_ptr<Socket>> EpollSocket::adopt(EpollLoop& loop, int fd) {
  Fd owned(fd);
  SockAddr remote;
  remote.size = sizeof remote.storage;
  if (::getpeername(fd, remote.get(), &remote.size) != 0) {
    return fail(ErrorCode::kSystem, "the descriptor is not a connected socket");
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  std::unique_ptr<Socket> socket = accepted(loop, std::move(owned), from_sockaddr(remote));
  if (socket == nullptr) return fail(ErrorCode::kSystem, "the socket cannot be watched");
  return socket;
}

std::unique_ptr<Socket> EpollSocket::accepted(EpollLoop& loop, Fd fd, const Address& remote) {
  std::unique_ptr<EpollSocket> socket(new EpollSocket(loop, std::move(fd), State::kOpen, remote));
  if (!socket->register_with_loop()) return nullptr;
  return socket;
}

void EpollSocket::fail_later(int error) {
  error_ = error;
  state_ = State::kDead;
  loop_.arm<&EpollSocket::deliver_failure>(later_, Duration::zero(), this);
}

void EpollSocket::deliver_failure() {
  if (events_ != nullptr) events_->on_socket_error(error_);
}

void EpollSocket::set_events(SocketEvents* events) {
  events_ = events;
  const bool something = readable_ || write_event_ || error_ != 0;
  if (events != nullptr && something && !later_.armed()) {
    loop_.arm<&EpollSocket::redeliver>(later_, Duration::zero(), this);
  }
}

void EpollSocket::redeliver() {
  if (events_ == nullptr) return;
  if (state_ == State::kDead) return deliver_failure();
  EpollLoop& loop = loop_;  // this object may be gone after a callback
  const FdToken token = token_;
  if (std::exchange(write_event_, false)) {
    events_->on_writable();
    if (!loop.stands(token)) return;
  }
  if (readable_ && events_ != nullptr) events_->on_readable();
}

// True: the socket is open and events may go on.
bool EpollSocket::finish_connecting(std::uint32_t events) {
  const int error = (events & (EPOLLERR | EPOLLHUP)) != 0 ? pending_error(fd_.get()) : 0;
  if (error == 0 && (events & EPOLLOUT) == 0) return false;
  if (error != 0) {
    state_ = State::kDead;
    error_ = error;
    deliver_failure();
    return false;
  }
  state_ = State::kOpen;
  EpollLoop& loop = loop_;  // this object may be gone after a callback
  const FdToken token = token_;
  if (events_ != nullptr) events_->on_connected();
  return loop.stands(token);
}

void EpollSocket::on_fd_events(std::uint32_t events) {
  if (state_ == State::kDead) return;
  if (state_ == State::kConnecting && !finish_connecting(events)) return;

  EpollLoop& loop = loop_;  // this object may be gone after a callback
  const FdToken token = token_;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_closed_ = true;
  if ((events & EPOLLOUT) != 0 && write_full_) {
    write_full_ = false;
    write_event_ = events_ == nullptr;
    if (events_ != nullptr) events_->on_writable();
    if (!loop.stands(token)) return;
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readable_ = true;
    if (events_ != nullptr) events_->on_readable();
    if (!loop.stands(token)) return;
  }
  if ((events & EPOLLERR) != 0 && state_ != State::kDead) {
    // Nobody has read the error: the owner has stopped reading, and must learn it all the same.
    const int error = pending_error(fd_.get());
    state_ = State::kDead;
    error_ = error != 0 ? error : ECONNRESET;
    deliver_failure();
  }
}

// A read that got less than it asked for has emptied the socket, unless the end of the stream waits behind it.
IoResult EpollSocket::read_result(ssize_t received, std::size_t asked) {
  if (received > 0) {
    const auto bytes = static_cast<std::size_t>(received);
    if (bytes < asked && !peer_closed_) readable_ = false;
    return {IoStatus::kOk, bytes, 0};
  }
  if (received == 0) return {IoStatus::kEnd, 0, 0};
  if (errno == EAGAIN || errno == EINTR) {
    readable_ = errno == EINTR;
    return {IoStatus::kWouldBlock, 0, 0};
  }
  error_ = errno;
  state_ = State::kDead;
  return {IoStatus::kError, 0, error_};
}

IoResult EpollSocket::read(std::span<std::byte> into) {
  if (state_ == State::kDead) return {IoStatus::kError, 0, error_};
  if (!readable_ || into.empty()) return {IoStatus::kWouldBlock, 0, 0};
  return read_result(::recv(fd_.get(), into.data(), into.size(), 0), into.size());
}

IoResult EpollSocket::readv(std::span<const iovec> into) {
  if (into.size() == 1) return read({static_cast<std::byte*>(into[0].iov_base), into[0].iov_len});
  if (state_ == State::kDead) return {IoStatus::kError, 0, error_};
  if (!readable_ || into.empty()) return {IoStatus::kWouldBlock, 0, 0};
  std::size_t asked = 0;
  for (const iovec& part : into) asked += part.iov_len;
  return read_result(::readv(fd_.get(), into.data(), static_cast<int>(into.size())), asked);
}

IoResult EpollSocket::peek(std::span<std::byte> into) {
  if (state_ == State::kDead) return {IoStatus::kError, 0, error_};
  if (!readable_) return {IoStatus::kWouldBlock, 0, 0};
  const ssize_t received = ::recv(fd_.get(), into.data(), into.size(), MSG_PEEK);
  if (received > 0) return {IoStatus::kOk, static_cast<std::size_t>(received), 0};  // still readable
  return read_result(received, into.size());
}

IoResult EpollSocket::writev(std::span<const iovec> from) {
  if (state_ == State::kDead) return {IoStatus::kError, 0, error_};
  if (state_ == State::kConnecting || write_full_) {
    write_full_ = true;
    return {IoStatus::kWouldBlock, 0, 0};
  }
  std::size_t asked = 0;
  for (const iovec& part : from) asked += part.iov_len;
  ssize_t sent = 0;
  if (from.size() == 1) {
    sent = ::send(fd_.get(), from[0].iov_base, from[0].iov_len, MSG_NOSIGNAL);
  } else {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from.data());  // the kernel only reads it
    message.msg_iovlen = from.size();
    sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  }
  if (sent >= 0) {
    write_full_ = static_cast<std::size_t>(sent) < asked;
    return {IoStatus::kOk, static_cast<std::size_t>(sent), 0};
  }
  if (errno == EAGAIN || errno == EINTR) {
    write_full_ = errno == EAGAIN;
    return {IoStatus::kWouldBlock, 0, 0};
  }
  // Not dead yet: what the peer sent before it closed may still be read.
  return {IoStatus::kError, 0, errno};
}

void EpollSocket::shutdown_write() {
  if (fd_) ::shutdown(fd_.get(), SHUT_WR);
}

void EpollSocket::reset_on_close() {
  const linger at_once{1, 0};
  if (fd_) ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Address EpollSocket::local_address() const {
  SockAddr local;
  local.size = sizeof local.storage;
  if (!fd_ || ::getsockname(fd_.get(), local.get(), &local.size) != 0) return {};
  return from_sockaddr(local);
}

void EpollSocket::set_keepalive(Duration idle, Duration interval, int probes) {
  if (!fd_ || remote_.family == Address::Family::kUnix) return;
  const auto seconds = [](Duration d) {
    return std::max(1, static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(d).count()));
  };
  set_option(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  if (idle > Duration::zero()) set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle));
  if (interval > Duration::zero()) set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval));
  if (probes > 0) set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPCNT, probes);
}

}  // namespace lateen::net
