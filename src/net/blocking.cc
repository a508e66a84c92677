#include "net/blocking.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "net/address.h"

namespace lateen::net {

namespace {

tl::unexpected<Error> failure(const std::string& what, int error) {
  ErrorCode code = ErrorCode::kSystem;
  if (error == ECONNREFUSED) code = ErrorCode::kNotFound;
  if (error == EAGAIN || error == EWOULDBLOCK || error == ETIMEDOUT || error == EINPROGRESS) {
    return fail(ErrorCode::kTimeout, what + ": no answer in time");
  }
  return fail(code, what + ": " + std::strerror(error));
}

}  // namespace

Result<Descriptor> connect_blocking(const Address& to, Duration timeout) {
  LATEEN_TRY(const SockAddr address, to_sockaddr(to));
  Descriptor socket(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failure("socket", errno);
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(timeout).count();
  const timeval limit{static_cast<time_t>(microseconds / 1'000'000), static_cast<suseconds_t>(microseconds % 1'000'000)};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  if (::connect(socket.get(), address.get(), address.size) < 0) return failure(to_string(to), errno);
  return socket;
}

Result<void> write_all(const Descriptor& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return failure("write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> read_some(const Descriptor& socket, std::size_t most) {
  std::string bytes(most, '\0');
  ssize_t got = 0;
  do {
    got = ::recv(socket.get(), bytes.data(), most, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return failure("read", errno);
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

}  // namespace lateen::net
