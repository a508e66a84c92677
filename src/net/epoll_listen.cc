#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/address.h"
#include "net/epoll_socket.h"

namespace lateen::net {

namespace {

constexpr int kAcceptWaitingMax = 65'536;
constexpr Duration kOutOfDescriptorsPause = std::chrono::milliseconds(100);

// The addresses on which this process listens, with the number of sockets. The kernel does not tell whose socket makes
// bind() fail, and the workers of one process share a port: so the process has to remember which are its own.
struct OwnAddresses {
  std::mutex mutex;
  std::map<std::string, int> sockets;
};
OwnAddresses& own_addresses() {
  static OwnAddresses addresses;
  return addresses;
}

tl::unexpected<Error> system_error(const Address& at, const char* call, int error) {
  return fail(ErrorCode::kSystem, to_string(at) + ": " + call + ": " + std::strerror(error));
}

Result<Fd> open_socket(const SockAddr& to, const Address& at) {
  Fd fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return system_error(at, "socket", errno);
  return fd;
}

void set_flag(const Fd& fd, int level, int name) {
  const int one = 1;
  ::setsockopt(fd.get(), level, name, &one, sizeof one);
}

Address bound_address(const Fd& fd) {
  SockAddr local;
  local.size = sizeof local.storage;
  if (::getsockname(fd.get(), local.get(), &local.size) != 0) return {};
  return from_sockaddr(local);
}

// A unix socket's file stays behind when its process dies; it is in use only if somebody answers.
bool unix_socket_is_dead(const SockAddr& to) {
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), to.get(), to.size) != 0 && errno == ECONNREFUSED;
}

Result<ListeningFd> listen_unix(const Address& at, const SockAddr& to, const ListenOptions& options) {
  LATEEN_TRY(Fd fd, open_socket(to, at));
  // On Linux the mode of the descriptor becomes the mode of the file: there is no moment with a wider one.
  if (::fchmod(fd.get(), options.unix_mode) != 0) return system_error(at, "fchmod", errno);
  int bound = ::bind(fd.get(), to.get(), to.size);
  if (bound != 0 && errno == EADDRINUSE && unix_socket_is_dead(to)) {
    ::unlink(at.host.c_str());
    bound = ::bind(fd.get(), to.get(), to.size);
  }
  if (bound != 0 && errno == EADDRINUSE) return fail(ErrorCode::kConflict, to_string(at) + ": in use by another process");
  if (bound != 0) return system_error(at, "bind", errno);
  if (::listen(fd.get(), options.backlog) != 0) return system_error(at, "listen", errno);
  return ListeningFd{std::move(fd), at, "", at.host};
}

tl::unexpected<Error> bind_error(const Address& at, int error) {
  if (error == EADDRINUSE) return fail(ErrorCode::kConflict, to_string(at) + ": in use by another process");
  return system_error(at, "bind", error);
}

// `own`: how many sockets of this process listen on `at` already. An exclusive socket binds without SO_REUSEPORT, which
// fails if anybody listens there, and is opened to its own process's other workers only after that.
Result<ListeningFd> listen_tcp(const Address& at, const SockAddr& to, const ListenOptions& options, int own) {
  LATEEN_TRY(Fd fd, open_socket(to, at));
  set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
  if (at.family == Address::Family::kIpv6) set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (options.transparent_freebind) set_flag(fd, IPPROTO_IP, IP_FREEBIND);
  set_flag(fd, IPPROTO_TCP, TCP_NODELAY);  // inherited by what it accepts
  const bool alone = options.exclusive && own == 0;
  if (!alone && options.reuse_port) set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
  if (::bind(fd.get(), to.get(), to.size) != 0) return bind_error(at, errno);
  if (alone && options.reuse_port) set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
  if (::listen(fd.get(), options.backlog) != 0) return bind_error(at, errno);
  const Address address = bound_address(fd);
  return ListeningFd{std::move(fd), address, to_string(address), ""};
}

}  // namespace

Result<ListeningFd> open_listening_fd(const Address& at, const ListenOptions& options) {
  LATEEN_TRY(const SockAddr to, to_sockaddr(at));
  if (at.family == Address::Family::kUnix) return listen_unix(at, to, options);

  OwnAddresses& own = own_addresses();
  const std::lock_guard lock(own.mutex);
  const auto listed = own.sockets.find(to_string(at));
  const int count = listed == own.sockets.end() ? 0 : listed->second;
  if (count > 0 && !options.reuse_port) {
    return fail(ErrorCode::kConflict, to_string(at) + ": this process listens there already");
  }
  LATEEN_TRY(ListeningFd listening, listen_tcp(at, to, options, count));
  ++own.sockets[listening.registry_key];
  return listening;
}

Result<ListeningFd> adopt_listening_fd(int fd) {
  Fd owned(fd);
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0) {
    return fail(ErrorCode::kInvalidConfig, "descriptor " + std::to_string(fd) + " is not a listening socket");
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  const Address address = bound_address(owned);
  if (address.family != Address::Family::kUnix) set_flag(owned, IPPROTO_TCP, TCP_NODELAY);
  return ListeningFd{std::move(owned), address, "", ""};
}

void close_listening(ListeningFd& listening) {
  if (!listening.unlink_path.empty()) ::unlink(listening.unlink_path.c_str());
  listening.fd = Fd();
  if (listening.registry_key.empty()) return;
  OwnAddresses& own = own_addresses();
  const std::lock_guard lock(own.mutex);
  const auto listed = own.sockets.find(listening.registry_key);
  if (listed != own.sockets.end() && --listed->second == 0) own.sockets.erase(listed);
}

Result<std::unique_ptr<ListenSocket>> EpollListenSocket::create(EpollLoop& loop, ListeningFd listening,
                                                                ListenSocketEvents& events) {
  std::unique_ptr<EpollListenSocket> socket(new EpollListenSocket(loop, std::move(listening), events));
  // By level: what one batch leaves in the queue is announced again.
  LATEEN_TRY(socket->token_, loop.add_fd(socket->listening_.fd.get(), EPOLLIN, *socket));
  return socket;
}

EpollListenSocket::~EpollListenSocket() {
  if (token_.generation != 0) loop_.remove_fd(token_, listening_.fd.get());
  close_listening(listening_);
}

void EpollListenSocket::pause() {
  if (paused_) return;
  paused_ = true;
  loop_.modify_fd(token_, listening_.fd.get(), 0);
}

void EpollListenSocket::resume() {
  if (!paused_) return;
  paused_ = false;
  loop_.modify_fd(token_, listening_.fd.get(), EPOLLIN);
}

// False: nothing waits, or nothing can be accepted now.
bool EpollListenSocket::accept_one() {
  SockAddr remote;
  remote.size = sizeof remote.storage;
  Fd fd(::accept4(listening_.fd.get(), remote.get(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause();
      loop_.arm<&EpollListenSocket::resume>(retry_, kOutOfDescriptorsPause, this);
    }
    return errno == ECONNABORTED || errno == EINTR;
  }
  std::unique_ptr<Socket> socket = EpollSocket::accepted(loop_, std::move(fd), from_sockaddr(remote));
  if (socket != nullptr) events_.on_accept(std::move(socket));
  return true;
}

void EpollListenSocket::on_fd_events(std::uint32_t) {
  EpollLoop& loop = loop_;
  const FdToken token = token_;
  for (int i = 0; i < kAcceptBatchMax && loop.stands(token) && !paused_; ++i) {
    if (!accept_one()) return;
  }
}

void EpollListenSocket::accept_waiting() {
  EpollLoop& loop = loop_;
  const FdToken token = token_;
  // Bounded by the queue as it is: what comes while we accept may be left to the other listeners.
  for (int i = 0; i < kAcceptWaitingMax && loop.stands(token) && !paused_; ++i) {
    if (!accept_one()) return;
  }
}

}  // namespace lateen::net
