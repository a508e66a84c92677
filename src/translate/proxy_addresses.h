// The addresses on which a proxy listens, by the IP families that its workload has.
#pragma once

#include <string>
#include <vector>

#include "translate/registry.h"
#include "translate/translate.h"

namespace lateen::translate {

struct ProxyAddresses {
  bool has_v4 = true, has_v6 = false;
  std::string any = "0.0.0.0";
  std::string loopback = "127.0.0.1";
  std::string inbound_source = "127.0.0.6";    // from which connections to the workload itself are made
  std::vector<std::string> more_any;           // "::" beside "0.0.0.0", where the workload has both families
  std::vector<std::string> more_loopback;
  std::string own;                             // the first address that others can reach; "" if there is none
};

// A view without addresses has IPv4.
ProxyAddresses proxy_addresses(const View& view);
// The addresses of a service that a proxy with these can use: of Kubernetes' services those of its own families.
std::vector<std::string> usable_addresses(const Service& service, const ProxyAddresses& proxy);

}  // namespace lateen::translate
