// DnsCluster: keeps the endpoints of one cluster whose hosts are names resolved: asks again when the answer is old, and
// keeps the last good answer when a name can not be resolved for a while. Control thread.
//
// STRICT_DNS: every address of every name is an endpoint, with the name's weight, priority and locality. LOGICAL_DNS: one
// address at a time, kept as long as the name still has it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "net/dns.h"
#include "net/loop.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// What is asked for; of the answers to kAll, DnsCluster keeps those that are preferred.
net::DnsFamily family_of(runtime::Cluster::Dns::Family family);

class DnsCluster {
 public:
  using OnChange = std::function<void(std::shared_ptr<const runtime::EndpointSet>)>;
  // A name server that says "0 seconds" must not be asked all the time.
  static constexpr Duration kRefreshMin = std::chrono::seconds(1);
  // After a failure: first so long, then twice as long each time, never longer than the refresh rate.
  static constexpr Duration kFailureRefreshMin = std::chrono::seconds(1);

  // `loop` and `resolver` must outlive this object. `on_change` is told each new set of addresses, never from inside
  // set().
  DnsCluster(net::Loop& loop, net::Resolver& resolver, OnChange on_change)
      : loop_(loop), resolver_(resolver), on_change_(std::move(on_change)) {}

  // New names or another policy; costs nothing where both are what they were.
  void set(std::shared_ptr<const runtime::Cluster> policy, std::shared_ptr<const runtime::EndpointSet> endpoints);

 private:
  // One name, asked for in its own time.
  struct Name {
    Name(DnsCluster& owner, std::string text) : cluster(owner), name(std::move(text)) {}
    void ask() { cluster.ask(*this); }

    DnsCluster& cluster;
    const std::string name;
    std::unique_ptr<net::DnsQuery> query;        // set while one is under way
    std::vector<net::Address> addresses;         // of the last good answer
    std::uint32_t failures = 0;                  // since then
    net::Timer timer;
  };

  void ask(Name& name);
  void on_answer(Name& name, Result<net::Resolved> answer);
  Duration refresh_after(const net::Resolved& answer);
  Duration refresh_after_failure(const Name& name);
  void publish();

  net::Loop& loop_;
  net::Resolver& resolver_;
  OnChange on_change_;
  std::shared_ptr<const runtime::Cluster> policy_;
  std::shared_ptr<const runtime::EndpointSet> endpoints_, published_from_;
  std::map<std::string, std::unique_ptr<Name>> names_;
  std::vector<runtime::Endpoint> published_;
  net::Timer publish_soon_;
};

}  // namespace lateen::proxy
