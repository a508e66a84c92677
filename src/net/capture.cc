#include "net/capture.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "net/address.h"

namespace lateen::net {

namespace {

constexpr int kBacklog = 1024;
constexpr int kWatchBufferBytes = 16 * 1024;

// Classic BPF. Keeps TCP segments with RST and ACK and the sequence number 0: the kernel's answer to a SYN that no socket
// wants (RFC 9293, 3.10.7.1). A raw IPv4 socket sees the packet from its IP header on, a raw IPv6 socket from the TCP
// header on (raw(7), ipv6(7)).
constexpr sock_filter kIpv4Refusals[] = {
    {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},                  // X = length of the IP header
    {BPF_LD | BPF_B | BPF_IND, 0, 0, 13},                  // flags
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x14},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0x14},
    {BPF_LD | BPF_W | BPF_IND, 0, 0, 4},                   // sequence number
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
    {BPF_RET | BPF_K, 0, 0, 128},
    {BPF_RET | BPF_K, 0, 0, 0},
};
constexpr sock_filter kIpv6Refusals[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x14},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0x14},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
    {BPF_RET | BPF_K, 0, 0, 128},
    {BPF_RET | BPF_K, 0, 0, 0},
};
constexpr sock_filter kNothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};

tl::unexpected<Error> failure(const std::string& what) {
  const ErrorCode code = errno == EADDRINUSE ? ErrorCode::kConflict : ErrorCode::kSystem;
  return fail(code, what + ": " + std::strerror(errno));
}

Result<void> attach_filter(int socket, std::span<const sock_filter> filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0) return failure("packet filter");
  return {};
}

void set_option(int socket, int level, int name, int value) { ::setsockopt(socket, level, name, &value, sizeof(value)); }

}  // namespace

Result<std::vector<Descriptor>> open_capture_sockets(std::uint16_t port, int family, std::size_t count) {
  const bool v4 = family == 4;
  LATEEN_TRY(const SockAddr any, to_sockaddr({v4 ? Address::Family::kIpv4 : Address::Family::kIpv6, v4 ? "0.0.0.0" : "::", port}));
  std::vector<Descriptor> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    Descriptor socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return failure("socket");
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (!v4) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (::bind(socket.get(), any.get(), any.size) < 0) return failure("port " + std::to_string(port));
    if (::listen(socket.get(), kBacklog) < 0) return failure("port " + std::to_string(port));
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

Result<Descriptor> open_datagram_socket(const Address& at) {
  LATEEN_TRY(const SockAddr address, to_sockaddr(at));
  Descriptor socket(::socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failure("socket");
  if (::bind(socket.get(), address.get(), address.size) < 0) return failure(to_string(at));
  return socket;
}

std::optional<Datagram> read_datagram(int socket, std::size_t most) {
  Datagram datagram;
  datagram.bytes.resize(most);
  SockAddr from;
  from.size = sizeof(from.storage);
  const ssize_t got = ::recvfrom(socket, datagram.bytes.data(), most, MSG_DONTWAIT, from.get(), &from.size);
  if (got < 0) return std::nullopt;
  datagram.bytes.resize(static_cast<std::size_t>(got));
  datagram.from = from_sockaddr(from);
  return datagram;
}

void write_datagram(int socket, const Datagram& to) {
  const auto address = to_sockaddr(to.from);
  if (!address) return;
  ::sendto(socket, to.bytes.data(), to.bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address->get(), address->size);
}

Result<Descriptor> watch_refusals(int family) {
  // A raw socket, not a packet socket: closing one of those waits for the kernel for some 10 ms.
  Descriptor socket(::socket(family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.valid()) return failure("raw socket");
  LATEEN_TRY_VOID(attach_filter(socket.get(), kNothing));
  std::array<char, 256> early;
  while (::recv(socket.get(), early.data(), early.size(), MSG_DONTWAIT) >= 0) {  // what came before the filter
  }
  if (family == 4) LATEEN_TRY_VOID(attach_filter(socket.get(), kIpv4Refusals));
  if (family == 6) LATEEN_TRY_VOID(attach_filter(socket.get(), kIpv6Refusals));
  set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, kWatchBufferBytes);
  return socket;
}

std::optional<Address> read_refusal(int watch) {
  std::array<unsigned char, 128> segment{};
  SockAddr from;
  from.size = sizeof(from.storage);
  const ssize_t got = ::recvfrom(watch, segment.data(), segment.size(), MSG_DONTWAIT, from.get(), &from.size);
  if (got < 0) return std::nullopt;
  // The one who refuses is the one who was dialled; its port is the segment's source port.
  const std::size_t tcp = from.storage.ss_family == AF_INET6 ? 0 : std::size_t{4} * (segment[0] & 0x0FU);
  if (static_cast<std::size_t>(got) < tcp + 2) return Address{};
  Address dialled = from_sockaddr(from);
  dialled.port = static_cast<std::uint16_t>((segment[tcp] << 8U) | segment[tcp + 1]);
  return dialled;
}

}  // namespace lateen::net
