#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/namespace.h"

namespace lateen::net {

namespace {

tl::unexpected<Error> failure(const char* what, int error) {
  const ErrorCode code = error == EPERM || error == EACCES ? ErrorCode::kUnsupported : ErrorCode::kSystem;
  return fail(code, std::string(what) + ": " + std::strerror(error));
}

Result<void> bring_loopback_up() {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failure("socket", errno);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0) return failure("loopback up", errno);
  return {};
}

// As `ip route add local default dev lo` does for the family.
struct LocalDefaultRoute {
  nlmsghdr header;
  rtmsg route;
  rtattr attribute;
  std::uint32_t interface_index;
};
static_assert(sizeof(LocalDefaultRoute) == NLMSG_LENGTH(sizeof(rtmsg)) + RTA_LENGTH(sizeof(std::uint32_t)));

Result<void> add_local_default_route(unsigned char family) {
  const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return failure("netlink", errno);
  LocalDefaultRoute request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_NEWROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.route.rtm_family = family;
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_protocol = RTPROT_BOOT;
  request.route.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  request.route.rtm_type = RTN_LOCAL;
  request.attribute.rta_type = RTA_OIF;
  request.attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(sizeof(std::uint32_t)));
  request.interface_index = ::if_nametoindex("lo");
  if (::send(socket.get(), &request, sizeof(request), 0) < 0) return failure("netlink route", errno);

  alignas(nlmsghdr) char answer[1024];
  const ssize_t got = ::recv(socket.get(), answer, sizeof(answer), 0);
  if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) return failure("netlink answer", got < 0 ? errno : EPROTO);
  nlmsghdr header{};
  nlmsgerr error{};
  std::memcpy(&header, answer, sizeof(header));
  std::memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
  if (header.nlmsg_type != NLMSG_ERROR) return failure("netlink answer", EPROTO);
  if (error.error != 0 && error.error != -EEXIST) return failure("local default route", -error.error);
  return {};
}

}  // namespace

Result<void> make_every_address_local() {
  LATEEN_TRY_VOID(bring_loopback_up());
  LATEEN_TRY_VOID(add_local_default_route(AF_INET));
  // Services with IPv6 addresses are rare, kernels without IPv6 are not.
  [[maybe_unused]] const auto ipv6 = add_local_default_route(AF_INET6);
  return {};
}

}  // namespace lateen::net
