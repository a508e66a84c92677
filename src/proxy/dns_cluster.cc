#include "proxy/dns_cluster.h"

#include <algorithm>
#include <set>

#include "proxy/cluster.h"

namespace lateen::proxy {
namespace {

// A name server that says "0 seconds" must not be asked all the time.
constexpr Duration kRefreshMin = std::chrono::seconds(1);

net::DnsFamily family_of(runtime::Cluster::Dns::Family family) {
  using Family = runtime::Cluster::Dns::Family;
  switch (family) {
    case Family::kV4Only: return net::DnsFamily::kV4;
    case Family::kV6Only: return net::DnsFamily::kV6;
    case Family::kAuto:
    case Family::kV4Preferred:
    case Family::kAll: break;
  }
  return net::DnsFamily::kAll;
}

// Auto means IPv6 where there is any, V4_PREFERRED the other way round (envoy.config.cluster.v3.Cluster.DnsLookupFamily).
void keep_preferred(std::vector<net::Address>& addresses, runtime::Cluster::Dns::Family family) {
  using Family = runtime::Cluster::Dns::Family;
  if (family == Family::kAll || family == Family::kV4Only || family == Family::kV6Only) return;
  const auto wanted = family == Family::kAuto ? net::Address::Family::kIpv6 : net::Address::Family::kIpv4;
  const auto is_wanted = [&](const net::Address& address) { return address.family == wanted; };
  if (std::none_of(addresses.begin(), addresses.end(), is_wanted)) return;
  std::erase_if(addresses, [&](const net::Address& address) { return !is_wanted(address); });
}

bool is_name(const runtime::Endpoint& endpoint) { return !Cluster::address_of(endpoint).has_value(); }

}  // namespace

void DnsCluster::set(std::shared_ptr<const runtime::Cluster> policy, std::shared_ptr<const runtime::EndpointSet> endpoints) {
  if (policy == policy_ && endpoints == endpoints_) return;
  policy_ = std::move(policy);
  endpoints_ = std::move(endpoints);
  std::set<std::string> wanted;
  if (endpoints_ != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints_->endpoints) {
      if (is_name(endpoint)) wanted.insert(endpoint.host);
    }
  }
  std::erase_if(names_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const std::string& name : wanted) names_.try_emplace(name);
  loop_.arm<&DnsCluster::ask>(timer_, Duration::zero(), this);
}

void DnsCluster::ask() {
  next_in_ = std::max(policy_->dns.refresh, kRefreshMin);
  for (auto& [name, entry] : names_) {
    if (entry.query != nullptr) continue;
    entry.query = resolver_.resolve(name, family_of(policy_->dns.family),
                                    [this, asked = name](Result<net::Resolved> answer) { on_answer(asked, std::move(answer)); });
  }
  publish();   // addresses that need no asking
  loop_.arm<&DnsCluster::ask>(timer_, next_in_, this);
}

void DnsCluster::on_answer(const std::string& name, Result<net::Resolved> answer) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  Name& entry = found->second;
  entry.query.reset();
  entry.answered = true;
  if (!answer) return;   // the last good answer serves on; asked again at the next refresh
  entry.addresses = std::move(answer->addresses);
  keep_preferred(entry.addresses, policy_->dns.family);
  if (policy_->dns.respect_ttl && answer->ttl > Duration::zero()) {
    next_in_ = std::max(answer->ttl, kRefreshMin);
    loop_.arm<&DnsCluster::ask>(timer_, next_in_, this);
  }
  publish();
}

void DnsCluster::publish() {
  std::vector<runtime::Endpoint> list;
  const bool logical = policy_->discovery == runtime::Cluster::Discovery::kLogicalDns;
  if (endpoints_ != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints_->endpoints) {
      const auto named = names_.find(endpoint.host);
      if (named == names_.end()) {
        list.push_back(endpoint);
        continue;
      }
      for (const net::Address& address : named->second.addresses) {
        list.push_back(endpoint);
        list.back().host = address.host;
        if (logical) break;   // one address at a time
      }
    }
  }
  if (list == published_) return;
  published_ = list;
  auto set = std::make_shared<runtime::EndpointSet>();
  set->endpoints = std::move(list);
  on_change_(std::move(set));
}

}  // namespace lateen::proxy
