#include "net/capture.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/address.h"

namespace lateen::net {

namespace {

constexpr int kBacklog = 1024;
constexpr int kWatchBufferBytes = 16 * 1024;

// Classic BPF over the packet from its network header on; see packet(7). Keeps TCP segments with RST and ACK and the
// sequence number 0: the kernel's answer to a SYN that no socket wants (RFC 9293, 3.10.7.1).
constexpr sock_filter kIpv4Refusals[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 9},                   // protocol
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 7, IPPROTO_TCP},
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
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 6},                   // next header; the kernel's own RST has no extensions
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 6, IPPROTO_TCP},
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 53},
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x14},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0x14},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, 44},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
    {BPF_RET | BPF_K, 0, 0, 128},
    {BPF_RET | BPF_K, 0, 0, 0},
};

tl::unexpected<Error> failure(const std::string& what) {
  const ErrorCode code = errno == EADDRINUSE ? ErrorCode::kConflict : ErrorCode::kSystem;
  return fail(code, what + ": " + std::strerror(errno));
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
  // Made without a protocol, so that nothing arrives before the filter is in place; bind() then starts it. A socket for
  // one protocol sees a packet of the loopback device once, on its way in.
  Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failure("packet socket");
  sock_fprog program{};
  program.filter = const_cast<sock_filter*>(family == 4 ? kIpv4Refusals : kIpv6Refusals);
  program.len = static_cast<unsigned short>(family == 4 ? std::size(kIpv4Refusals) : std::size(kIpv6Refusals));
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0) return failure("packet filter");
  set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, kWatchBufferBytes);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(family == 4 ? ETH_P_IP : ETH_P_IPV6);
  address.sll_ifindex = static_cast<int>(::if_nametoindex("lo"));
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) return failure("packet socket");
  return socket;
}

std::optional<Address> read_refusal(int watch) {
  std::array<unsigned char, 128> packet{};
  const ssize_t got = ::recv(watch, packet.data(), packet.size(), MSG_DONTWAIT);
  if (got < 0) return std::nullopt;
  // The one who refuses is the one who was dialled.
  char text[INET6_ADDRSTRLEN] = {};
  const bool v6 = (packet[0] >> 4U) == 6;
  const std::size_t tcp = v6 ? 40 : std::size_t{4} * (packet[0] & 0x0FU);
  if (static_cast<std::size_t>(got) < tcp + 2) return Address{};
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, packet.data() + (v6 ? 8 : 12), text, sizeof(text));
  const auto port = static_cast<std::uint16_t>((packet[tcp] << 8U) | packet[tcp + 1]);
  return Address{v6 ? Address::Family::kIpv6 : Address::Family::kIpv4, text, port};
}

}  // namespace lateen::net
