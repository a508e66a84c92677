// The sockets of EpollLoop, and the system calls that open them.
#pragma once

#include <memory>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "net/epoll_loop.h"

namespace lateen::net {

inline constexpr int kAcceptBatchMax = 64;

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A connected or connecting stream socket.
//
//   kConnecting --EPOLLOUT--> kOpen --error or destruction--> kDead
//        \------------- error --------------------------------^
class EpollSocket final : public Socket, private FdEvents {
 public:
  static std::unique_ptr<Socket> connect(EpollLoop& loop, const Address& to, SocketEvents& events,
                                         const Address& bind_to);
  static Result<std::unique_ptr<Socket>> adopt(EpollLoop& loop, int fd);
  // `fd` has been accepted (non-blocking).
  static std::unique_ptr<Socket> accepted(EpollLoop& loop, Fd fd, const Address& remote);
  ~EpollSocket() override;

  void set_events(SocketEvents* events) override;
  IoResult read(std::span<std::byte> into) override;
  IoResult readv(std::span<const iovec> into) override;
  IoResult writev(std::span<const iovec> from) override;
  void shutdown_write() override;
  void reset_on_close() override;
  Address local_address() const override;
  Address remote_address() const override { return remote_; }
  IoResult peek(std::span<std::byte> into) override;
  void set_keepalive(Duration idle, Duration interval, int probes) override;

 private:
  enum class State { kConnecting, kOpen, kDead };

  EpollSocket(EpollLoop& loop, Fd fd, State state, Address remote);
  bool register_with_loop();
  void on_fd_events(std::uint32_t events) override;
  bool finish_connecting(std::uint32_t events);
  void fail_later(int error);
  void deliver_failure();
  void redeliver();
  IoResult read_result(ssize_t received, std::size_t asked);

  EpollLoop& loop_;
  Fd fd_;
  FdToken token_;
  bool registered_ = false;
  State state_;
  bool readable_ = false;      // the last word of epoll: a read may return something
  bool peer_closed_ = false;   // EPOLLRDHUP, HUP or ERR was seen: a short read does not mean "drained"
  bool write_full_ = false;    // a write found the socket full; cleared by EPOLLOUT
  bool write_event_ = false;   // EPOLLOUT came while nobody listened
  int error_ = 0;              // what on_socket_error is to say
  SocketEvents* events_ = nullptr;
  Address remote_;
  Timer later_;                // failure of connect(), and events that are delivered again
};

// A bound, listening descriptor with what must happen when it is closed.
struct ListeningFd {
  Fd fd;
  Address address;            // with the real port
  std::string registry_key;   // in the process's list of its own listening addresses; empty: not listed
  std::string unlink_path;    // of a unix socket
};

// Opens a listening socket. Errors: kConflict (another process listens there), kInvalidConfig, kSystem.
Result<ListeningFd> open_listening_fd(const Address& at, const ListenOptions& options);
// Takes over one that was opened elsewhere.
Result<ListeningFd> adopt_listening_fd(int fd);
void close_listening(ListeningFd& listening);

class EpollListenSocket final : public ListenSocket, private FdEvents {
 public:
  static Result<std::unique_ptr<ListenSocket>> create(EpollLoop& loop, ListeningFd listening,
                                                      ListenSocketEvents& events);
  ~EpollListenSocket() override;
  Address local_address() const override { return listening_.address; }
  void pause() override;
  void resume() override;
  void accept_waiting() override;

 private:
  EpollListenSocket(EpollLoop& loop, ListeningFd listening, ListenSocketEvents& events)
      : loop_(loop), listening_(std::move(listening)), events_(events) {}
  void on_fd_events(std::uint32_t events) override;
  bool accept_one();

  EpollLoop& loop_;
  ListeningFd listening_;
  ListenSocketEvents& events_;
  FdToken token_;
  bool paused_ = false;
  Timer retry_;  // after the process ran out of descriptors
};

}  // namespace lateen::net
