// Loop: the only source of time, timers and sockets. One loop a thread.
//
// Two implementations: EpollLoop (net/epoll_loop.h; edge-triggered, timers in user space) and VirtualLoop
// (testing/virtual_loop.h; virtual clock and virtual network, one seed = one run). Time stands still while callbacks run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "base/result.h"
#include "base/time.h"

namespace lateen::net {

class Loop;

// What a timer calls. A raw pointer pair instead of std::function: arming a timer allocates nothing.
using TimerCallback = void (*)(void* owner);

// A one-shot timer that its owner embeds and re-arms at will; O(1) to arm, cancel and re-arm (timer wheel, one
// millisecond resolution). Destroying it cancels it, so a callback can never outlive the object that owns the Timer.
// Neither copyable nor movable: the wheel links it in place.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  void cancel();
  bool armed() const { return loop_ != nullptr; }

 private:
  friend class Loop;
  friend class TimerWheel;
  Loop* loop_ = nullptr;  // non-null exactly while armed
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  Time deadline_{};
  std::uint64_t sequence_ = 0;  // equal deadlines fire in the order in which they were armed
  TimerCallback callback_ = nullptr;
  void* owner_ = nullptr;
};

// An IPv4, IPv6 or unix socket address as a value.
struct Address {
  enum class Family : std::uint8_t { kNone, kIpv4, kIpv6, kUnix };
  Family family = Family::kNone;
  std::string host;  // canonical text of the IP, or the path of the unix socket; no port
  std::uint16_t port = 0;

  bool operator==(const Address&) const = default;
};
std::string to_string(const Address& address);  // "10.0.0.1:80", "[::1]:80", "unix:/run/x"
// Parses "IP:port", "[IPv6]:port", ":port" (all addresses) and "unix:/path". Names are not resolved here.
Result<Address> parse_address(std::string_view text);

enum class IoStatus : std::uint8_t {
  kOk,         // `bytes` were moved
  kWouldBlock, // wait for the next on_readable / on_writable
  kEnd,        // read: the peer has shut down its side
  kError,      // reset or another fatal error; see IoResult::error (errno)
};
struct IoResult {
  IoStatus status = IoStatus::kOk;
  std::size_t bytes = 0;
  int error = 0;
};

// What a socket tells its owner. Edge-triggered: after on_readable read until kWouldBlock (or stop on purpose and
// remember it: reading may be resumed at any time without a new event).
class SocketEvents {
 public:
  virtual ~SocketEvents() = default;
  virtual void on_connected() {}       // a connecting socket is up (also implied by on_writable)
  virtual void on_readable() = 0;      // data, end of stream or an error can be read
  virtual void on_writable() = 0;      // a write that returned kWouldBlock may go on
  virtual void on_socket_error(int error) = 0;  // connect failed, or the socket died; last event of this socket
};

// A non-blocking stream socket. Destroying it closes it (with whatever linger the kernel gives); it may be destroyed from
// inside any of its own callbacks. After the peer's reset the owner gets on_readable first (so that what had arrived can
// be read), then on_socket_error unless a read has already returned the error.
class Socket {
 public:
  virtual ~Socket() = default;
  // Attaches or moves the receiver of events; null detaches. Events that were pending are delivered again, after the
  // current event.
  virtual void set_events(SocketEvents* events) = 0;
  virtual IoResult read(std::span<std::byte> into) = 0;
  virtual IoResult readv(std::span<const iovec> into) = 0;
  virtual IoResult writev(std::span<const iovec> from) = 0;
  virtual void shutdown_write() = 0;
  // The next close sends RST instead of FIN.
  virtual void reset_on_close() = 0;
  virtual Address local_address() const = 0;   // for captured connections: the original destination
  virtual Address remote_address() const = 0;
  // Non-destructive read of up to into.size() bytes, for protocol sniffing.
  virtual IoResult peek(std::span<std::byte> into) = 0;
  virtual void set_keepalive(Duration idle, Duration interval, int probes) = 0;
  // What was agreed with the peer above TCP (ALPN): "h2", "http/1.1"; "" where nothing was.
  virtual std::string_view application_protocol() const { return {}; }
};

class ListenSocketEvents {
 public:
  virtual ~ListenSocketEvents() = default;
  virtual void on_accept(std::unique_ptr<Socket> socket) = 0;
};

// Accepts in batches (accept4 until EAGAIN or kAcceptBatchMax). Destroying it closes it.
class ListenSocket {
 public:
  virtual ~ListenSocket() = default;
  virtual Address local_address() const = 0;
  virtual void pause() = 0;   // stop accepting; the kernel's queue stays
  virtual void resume() = 0;
  // Accepts everything that waits in the kernel's queue, now: before closing a listener whose clients are not to notice.
  virtual void accept_waiting() {}
};

struct ListenOptions {
  bool reuse_port = false;   // share the port between workers (and, on request, with another process)
  bool exclusive = true;     // refuse a port that another process is listening on (kConflict)
  int backlog = 4096;
  bool transparent_freebind = false;  // bind addresses that this machine does not have (yet)
  std::uint32_t unix_mode = 0600;     // permissions of a unix socket's file
};

// Work handed to a loop from another thread.
class Mailbox {
 public:
  virtual ~Mailbox() = default;
  virtual void post(std::function<void()> work) = 0;  // thread-safe; runs between two events, in order
};

class Loop {
 public:
  virtual ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Time now() const { return now_; }            // cached: the time at which the current event was delivered
  virtual WallTime wall_now() const = 0;        // cached likewise

  // (Re-)arms `timer` to call callback(owner) once, not before now() + delay. Zero means: after this event.
  void arm(Timer& timer, Duration delay, TimerCallback callback, void* owner);
  // The common case: a member function. loop.arm<&Stream::on_idle>(idle_timer_, 5s, this).
  template <auto Member, class Owner>
  void arm(Timer& timer, Duration delay, Owner* owner) {
    arm(timer, delay, [](void* self) { (static_cast<Owner*>(self)->*Member)(); }, owner);
  }

  // Starts a connection; never blocks. Failure is reported through on_socket_error, never from inside connect().
  // `bind_to`: local address to bind first, or kNone.
  virtual std::unique_ptr<Socket> connect(const Address& to, SocketEvents& events, const Address& bind_to = {}) = 0;
  virtual Result<std::unique_ptr<ListenSocket>> listen(const Address& at, const ListenOptions& options,
                                                       ListenSocketEvents& events) = 0;
  // Takes over a listening socket that was opened elsewhere (lateen exec, hot restart); the loop owns `fd` from the call
  // on, also when it fails. A loop without file descriptors answers kUnsupported.
  virtual Result<std::unique_ptr<ListenSocket>> adopt_listener(int fd, ListenSocketEvents& events);
  // The same for a connected stream socket.
  virtual Result<std::unique_ptr<Socket>> adopt_socket(int fd);
  virtual Mailbox& mailbox() = 0;
  // Runs `work` after the callbacks of this round of events, before the loop sleeps again: where a connection that
  // destroyed itself is deleted, and where gathered writes are flushed.
  virtual void defer(std::function<void()> work) = 0;
  // A seeded generator that belongs to this loop. In the simulator the seed of the run.
  virtual std::uint64_t random() = 0;

  virtual void run() = 0;   // until stop()
  virtual void stop() = 0;  // from inside the loop; from elsewhere post it

 protected:
  friend class Timer;
  Time now_{};
  std::unique_ptr<class TimerWheel> timers_;  // made by the implementation

  Loop();
};

}  // namespace lateen::net
