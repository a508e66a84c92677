#include "proxy/dns_cluster.h"

#include <algorithm>
#include <set>

#include "proxy/cluster.h"

namespace lateen::proxy {

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

namespace {

// Auto means IPv6 where there is any, V4_PREFERRED the other way round (envoy.config.cluster.v3.Cluster.DnsLookupFamily).
void keep_preferred(std::vector<net::Address>& addresses, runtime::Cluster::Dns::Family family) {
  using Family = runtime::Cluster::Dns::Family;
  if (family == Family::kAll || family == Family::kV4Only || family == Family::kV6Only) return;
  const auto wanted = family == Family::kAuto ? net::Address::Family::kIpv6 : net::Address::Family::kIpv4;
  const auto is_wanted = [&](const net::Address& address) { return address.family == wanted; };
  if (std::none_of(addresses.begin(), addresses.end(), is_wanted)) return;
  std::erase_if(addresses, [&](const net::Address& address) { return !is_wanted(address); });
}

// The one that is in use, if the name still has it, else the first.
void keep_one(std::vector<net::Address>& addresses, const std::vector<net::Address>& before) {
  const bool stays = !before.empty() && std::find(addresses.begin(), addresses.end(), before.front()) != addresses.end();
  addresses = {stays ? before.front() : addresses.front()};
}

bool is_name(const runtime::Endpoint& endpoint) { return !Cluster::address_of(endpoint).has_value(); }

}  // namespace

void DnsCluster::set(std::shared_ptr<const runtime::Cluster> policy, std::shared_ptr<const runtime::EndpointSet> endpoints) {
  if (policy == policy_ && endpoints == endpoints_) return;
  const bool asks_anew = policy_ == nullptr || policy_->dns.family != policy->dns.family;
  policy_ = std::move(policy);
  endpoints_ = std::move(endpoints);
  std::set<std::string> wanted;
  if (endpoints_ != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints_->endpoints) {
      if (is_name(endpoint)) wanted.insert(endpoint.host);
    }
  }
  std::erase_if(names_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const std::string& text : wanted) {
    std::unique_ptr<Name>& name = names_[text];
    const bool is_new = name == nullptr;
    if (is_new) name = std::make_unique<Name>(*this, text);
    if (is_new || asks_anew) loop_.arm<&Name::ask>(name->timer, Duration::zero(), name.get());
  }
  // Addresses that need no asking, and another description of those that are known.
  loop_.arm<&DnsCluster::publish>(publish_soon_, Duration::zero(), this);
}

void DnsCluster::ask(Name& name) {
  // An older question may have been about another family.
  name.query = resolver_.resolve(name.name, family_of(policy_->dns.family),
                                 [this, &name](Result<net::Resolved> answer) { on_answer(name, std::move(answer)); });
}

void DnsCluster::on_answer(Name& name, Result<net::Resolved> answer) {
  const std::unique_ptr<net::DnsQuery> answered = std::move(name.query);   // to the end of this function, which it calls
  if (!answer) {
    // The last good answer serves on.
    loop_.arm<&Name::ask>(name.timer, refresh_after_failure(name), &name);
    ++name.failures;
    return;
  }
  name.failures = 0;
  loop_.arm<&Name::ask>(name.timer, refresh_after(*answer), &name);
  keep_preferred(answer->addresses, policy_->dns.family);
  if (policy_->discovery == runtime::Cluster::Discovery::kLogicalDns) keep_one(answer->addresses, name.addresses);
  name.addresses = std::move(answer->addresses);
  publish();
}

Duration DnsCluster::refresh_after(const net::Resolved& answer) {
  const runtime::Cluster::Dns& dns = policy_->dns;
  Duration delay = std::max(dns.respect_ttl && answer.ttl > Duration::zero() ? answer.ttl : dns.refresh, kRefreshMin);
  if (dns.jitter > Duration::zero()) delay += Duration(static_cast<Duration::rep>(loop_.random() % static_cast<std::uint64_t>(dns.jitter.count())));
  return delay;
}

Duration DnsCluster::refresh_after_failure(const Name& name) {
  const Duration longest = std::max(policy_->dns.refresh, kFailureRefreshMin);
  const Duration delay = std::min(kFailureRefreshMin * (std::int64_t{1} << std::min(name.failures, 16U)), longest);
  // Names that failed together are not asked for together again.
  return delay / 2 + Duration(static_cast<Duration::rep>(loop_.random() % static_cast<std::uint64_t>(delay.count() / 2)));
}

void DnsCluster::publish() {
  std::vector<runtime::Endpoint> list;
  if (endpoints_ != nullptr) {
    for (const runtime::Endpoint& endpoint : endpoints_->endpoints) {
      const auto named = names_.find(endpoint.host);
      if (named == names_.end()) {
        list.push_back(endpoint);
        continue;
      }
      for (const net::Address& address : named->second->addresses) {
        list.push_back(endpoint);
        list.back().host = address.host;
        if (endpoint.hostname.empty()) list.back().hostname = endpoint.host;
      }
    }
  }
  // Before the first answer there is nothing to tell.
  if (list == published_ && (endpoints_ == published_from_ || list.empty())) return;
  published_ = list;
  published_from_ = endpoints_;
  auto set = std::make_shared<runtime::EndpointSet>();
  if (endpoints_ != nullptr) *set = *endpoints_;
  set->endpoints = std::move(list);
  on_change_(std::move(set));
}

}  // namespace lateen::proxy
