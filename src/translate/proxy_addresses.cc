#include "translate/proxy_addresses.h"

#include <algorithm>

#include "translate/names.h"

namespace lateen::translate {
namespace {

bool is_v6(const std::string& address) { return address.find(':') != std::string::npos; }

// Loopback, link-local, multicast and unspecified addresses are nobody else's to reach.
bool is_global_unicast(const std::string& address) {
  if (!is_ip(address)) return false;
  if (is_v6(address)) {
    const std::string text = lower(address);
    return text != "::" && text != "::1" && !text.starts_with("ff") && !text.starts_with("fe8") && !text.starts_with("fe9") &&
           !text.starts_with("fea") && !text.starts_with("feb");
  }
  const int first = std::stoi(address.substr(0, address.find('.')));
  constexpr int kLoopback = 127, kMulticast = 224, kMulticastEnd = 240;
  return address != "0.0.0.0" && address != "255.255.255.255" && first != kLoopback &&
         !(first >= kMulticast && first < kMulticastEnd) && !address.starts_with("169.254.");
}

}  // namespace

ProxyAddresses proxy_addresses(const View& view) {
  ProxyAddresses out;
  const auto& all = view.addresses;
  if (const auto it = std::find_if(all.begin(), all.end(), is_global_unicast); it != all.end()) out.own = *it;
  if (all.empty()) return out;
  out.has_v6 = std::any_of(all.begin(), all.end(), is_v6);
  out.has_v4 = std::any_of(all.begin(), all.end(), [](const std::string& address) { return !is_v6(address); });
  if (!out.has_v4) {
    out.any = "::";
    out.loopback = "::1";
    out.inbound_source = "::6";
  } else if (out.has_v6) {
    out.more_any = {"::"};
    out.more_loopback = {"::1"};
  }
  return out;
}

std::vector<std::string> usable_addresses(const Service& service, const ProxyAddresses& proxy) {
  if (!service.kubernetes) return service.addresses;
  std::vector<std::string> out;
  for (const std::string& address : service.addresses)
    if (is_v6(address) ? proxy.has_v6 : proxy.has_v4) out.push_back(address);
  return out;
}

}  // namespace lateen::translate
