#include "net/unix_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace lateen::net {

namespace {

tl::unexpected<Error> system_failure(const std::string& what, ErrorCode code = ErrorCode::kSystem) {
  return fail(code, what + ": " + std::strerror(errno));
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::kInvalidConfig, path + ": not a possible path of a unix socket (1 to 107 bytes)");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Descriptor> unix_socket() {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return system_failure("unix socket");
  return socket;
}

Result<void> make_non_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return system_failure("fcntl");
  return {};
}

IoResult io_failure(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return {IoStatus::kWouldBlock, 0, 0};
  return {IoStatus::kError, 0, error};
}

union DescriptorsBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kDescriptorsPerMessageMax)];
};

}  // namespace

Result<void> make_private_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return system_failure(path);
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0) return system_failure(path);
  if (!S_ISDIR(status.st_mode)) return fail(ErrorCode::kConflict, path + ": is not a directory");
  if (status.st_uid != ::geteuid()) return fail(ErrorCode::kConflict, path + ": belongs to another user");
  if ((status.st_mode & 077U) != 0) return fail(ErrorCode::kConflict, path + ": is open to other users; chmod 700 it");
  return {};
}

Result<Descriptor> listen_unix(const std::string& path) {
  LATEEN_TRY(const sockaddr_un address, unix_address(path));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (auto other = connect_unix(path)) return fail(ErrorCode::kConflict, path + ": another process listens there");
  LATEEN_TRY(Descriptor socket, unix_socket());
  // The mode of a socket file is that of its descriptor at bind(), cut by the umask.
  if (::fchmod(socket.get(), 0600) < 0) return system_failure(path);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  if (::bind(socket.get(), generic, sizeof(address)) < 0) return system_failure(path);
  if (::listen(socket.get(), 64) < 0) return system_failure(path);
  LATEEN_TRY_VOID(make_non_blocking(socket.get()));
  return socket;
}

Result<Descriptor> accept_unix(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) return Descriptor(fd);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED) return Descriptor();
  return system_failure("accept");
}

Result<Descriptor> connect_unix(const std::string& path) {
  LATEEN_TRY(const sockaddr_un address, unix_address(path));
  LATEEN_TRY(Descriptor socket, unix_socket());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    const bool is_forbidden = errno == EACCES || errno == EPERM;
    if (is_forbidden) return system_failure(path, ErrorCode::kConflict);
    const bool is_nobody = errno == ENOENT || errno == ECONNREFUSED;
    return system_failure(path, is_nobody ? ErrorCode::kNotFound : ErrorCode::kSystem);
  }
  LATEEN_TRY_VOID(make_non_blocking(socket.get()));
  return socket;
}

Result<unsigned> peer_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return system_failure("SO_PEERCRED");
  return peer.uid;
}

IoResult write_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors) {
  LATEEN_CHECK(descriptors.size() <= kDescriptorsPerMessageMax);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  DescriptorsBuffer buffer{};
  if (!descriptors.empty()) {
    message.msg_control = buffer.bytes;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return io_failure(errno);
  return {IoStatus::kOk, static_cast<std::size_t>(sent), 0};
}

IoResult read_with_descriptors(int socket, std::span<char> into, std::vector<Descriptor>& descriptors) {
  iovec part{into.data(), into.size()};
  msghdr message{};
  DescriptorsBuffer buffer{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = buffer.bytes;
  message.msg_controllen = sizeof(buffer.bytes);
  const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return io_failure(errno);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) return {IoStatus::kError, 0, EMSGSIZE};
  if (got == 0) return {IoStatus::kEnd, 0, 0};
  return {IoStatus::kOk, static_cast<std::size_t>(got), 0};
}

}  // namespace lateen::net
