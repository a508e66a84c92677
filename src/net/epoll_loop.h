// EpollLoop: the loop of the real program. Edge-triggered epoll, timers in user space.
//
// One round:   epoll_wait (once; sleeps until the next timer) -> read the clock -> events of file descriptors
//              -> posted work -> timers that are due -> deferred work -> next round
//
// A socket is registered once, when it is made, for everything (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET); after that a
// request costs no epoll_ctl. What epoll said last is kept in the socket, so a read that would only return EAGAIN and a
// write into a full socket are answered without a system call.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "net/loop.h"

namespace lateen::net {

// Gets the raw events (EPOLLIN ...) of one file descriptor.
class FdEvents {
 public:
  virtual ~FdEvents() = default;
  virtual void on_fd_events(std::uint32_t events) = 0;
};

// Names one registration; stays harmless after the registration has gone.
struct FdToken {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
};

class EpollLoop final : public Loop {
 public:
  struct Options {
    std::uint64_t seed = 0;  // of random(); 0: from the system
  };
  static Result<std::unique_ptr<EpollLoop>> create(const Options& options);
  static Result<std::unique_ptr<EpollLoop>> create() { return create(Options{}); }
  // Sockets, listeners and watches of this loop must be gone before it.
  ~EpollLoop() override;

  WallTime wall_now() const override;
  std::unique_ptr<Socket> connect(const Address& to, SocketEvents& events, const Address& bind_to = {}) override;
  Result<std::unique_ptr<ListenSocket>> listen(const Address& at, const ListenOptions& options,
                                               ListenSocketEvents& events) override;
  Result<std::unique_ptr<ListenSocket>> adopt_listener(int fd, ListenSocketEvents& events) override;
  Result<std::unique_ptr<Socket>> adopt_socket(int fd) override;
  Mailbox& mailbox() override;
  void defer(std::function<void()> work) override;
  std::uint64_t random() override;
  void run() override;
  void stop() override { stopping_ = true; }

  // One round; waits at most `wait_max`. For programs with a loop of their own, and for tests.
  void run_once(Duration wait_max);

  // Generic watch of a file descriptor that the caller owns: `events` as for epoll_ctl (add EPOLLET for edges).
  // remove_fd must come before the descriptor is closed or `receiver` dies. Errors: kSystem.
  Result<FdToken> add_fd(int fd, std::uint32_t events, FdEvents& receiver);
  void modify_fd(FdToken token, int fd, std::uint32_t events);
  void remove_fd(FdToken token, int fd);
  // For sockets: forgets the receiver; closing the descriptor takes it out of epoll.
  void forget_fd(FdToken token);
  // Whether the registration stands: false after a callback has destroyed its owner.
  bool stands(FdToken token) const { return slots_[token.index].generation == token.generation; }

 private:
  struct Slot {
    FdEvents* receiver = nullptr;
    std::uint32_t generation = 1;
  };
  class PostBox;

  explicit EpollLoop(int epoll_fd, std::uint64_t seed);
  int timeout_ms(Duration wait_max) const;
  void update_time();
  void run_posted();
  void run_deferred();

  const int epoll_fd_;
  std::unique_ptr<PostBox> post_box_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;  // taken before the table grows
  std::vector<std::function<void()>> deferred_, deferred_running_;
  mutable WallTime wall_now_{};
  mutable bool wall_now_known_ = false;
  std::uint64_t random_state_;
  bool stopping_ = false;
};

}  // namespace lateen::net
