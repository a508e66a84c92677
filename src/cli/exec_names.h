// Names and addresses as a program inside the mesh sees them. Pure: text in, text out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exec_protocol.h"

namespace lateen::cli {

// An index over one list of services.
class ExecNames {
 public:
  explicit ExecNames(ExecServices services);
  // Maps point into services_.
  ExecNames(const ExecNames&) = delete;
  ExecNames& operator=(const ExecNames&) = delete;

  const ExecServices& services() const { return services_; }
  // Exact names before wildcard ones ("*.example.com"), the longest wildcard first. `host` in lower case.
  const ExecService* by_host(std::string_view host) const;
  const ExecService* by_address(std::string_view address) const;
  // The known name that is nearest to a wrong one, if one is near.
  std::optional<std::string> suggestion(std::string_view wrong) const;
  // Whether `host` ends in a search domain: then the resolver tried it, not the user.
  bool in_search_domain(std::string_view host) const;

 private:
  const ExecServices services_;
  std::map<std::string, const ExecService*, std::less<>> by_host_;
  std::map<std::string, const ExecService*, std::less<>> by_address_;
};

// hosts(5): what the machine's own file says (without names that the mesh has), then every service.
std::string hosts_file(const ExecNames& names, std::string_view original);
// resolv.conf(5) for the responder on `nameserver`.
std::string resolv_conf(const ExecServices& services, std::string_view nameserver);
// nsswitch.conf(5) with the hosts line replaced: other sources (resolve, mdns) would ask outside the namespace.
std::string nsswitch_conf(std::string_view original);

struct DnsReply {
  std::string bytes;
  std::string unknown_name;  // asked for by the user and not in the mesh; empty otherwise
};
// Answers one DNS query (RFC 1035, 4.1): addresses of services; a known name with no address of the asked kind has an
// empty answer; other names do not exist. Nothing: not a query that deserves an answer.
std::optional<DnsReply> answer_dns(std::string_view query, const ExecNames& names);

// "reviews (10.96.0.2) has no port 8080; its ports: 9080", or that the address is none of the mesh. Empty: the service has
// the port now, and had not when it was dialled.
std::string describe_refusal(const ExecNames& names, std::string_view address, std::uint16_t port);

}  // namespace lateen::cli
