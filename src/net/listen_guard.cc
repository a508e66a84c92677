#include "net/listen_guard.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "net/address.h"

namespace lateen::net {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "say here which AUDIT_ARCH_ this machine has"
#endif

// Another architecture's calls (a 32-bit program) go on unwatched: the guard is a hint, not a wall.
constexpr sock_filter kWatchListen[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, kArchitecture},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_listen},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
};

// The program's socket, as ours. Invalid when it is gone or not to be had.
Descriptor borrow_socket(pid_t process, int number) {
  const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!handle.valid()) return {};
  return Descriptor(static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), number, 0)));
}

std::optional<Address> tcp_address(const Descriptor& socket) {
  const auto option = [&](int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    return ::getsockopt(socket.get(), SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
  };
  const int domain = option(SO_DOMAIN);
  if ((domain != AF_INET && domain != AF_INET6) || option(SO_TYPE) != SOCK_STREAM) return std::nullopt;
  SockAddr local;
  local.size = sizeof(local.storage);
  if (::getsockname(socket.get(), local.get(), &local.size) < 0) return Address{};
  return from_sockaddr(local);
}

}  // namespace

Result<Descriptor> guard_listen() {
  sock_fprog program{};
  program.filter = const_cast<sock_filter*>(kWatchListen);
  program.len = static_cast<unsigned short>(std::size(kWatchListen));
  const auto guard = [&] {
    return Descriptor(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)));
  };
  Descriptor descriptor = guard();
  if (!descriptor.valid() && errno == EACCES && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) descriptor = guard();
  if (!descriptor.valid()) return fail(ErrorCode::kUnsupported, std::string("seccomp: ") + std::strerror(errno));
  return descriptor;
}

std::optional<Address> answer_listen(int guard) {
  seccomp_notif call{};
  if (::ioctl(guard, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) return std::nullopt;
  const Descriptor socket = borrow_socket(static_cast<pid_t>(call.pid), static_cast<int>(call.data.args[0]));
  const auto address = socket.valid() ? tcp_address(socket) : std::nullopt;
  seccomp_notif_resp answer{};
  answer.id = call.id;
  if (address) {
    answer.error = -EACCES;
  } else {
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  }
  // The program may be gone meanwhile; then there is nobody to answer.
  if (::ioctl(guard, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0) return std::nullopt;
  return address;
}

}  // namespace lateen::net
