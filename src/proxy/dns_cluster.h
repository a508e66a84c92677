// DnsCluster: keeps the endpoints of one cluster whose hosts are names resolved: asks again when the answer is old, and
// keeps the last good answer when a name can not be resolved for a while. Control thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "net/dns.h"
#include "net/loop.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

class DnsCluster {
 public:
  using OnChange = std::function<void(std::shared_ptr<const runtime::EndpointSet>)>;
  // `loop` and `resolver` must outlive this object. `on_change` is told each new set of addresses, never from inside
  // set().
  DnsCluster(net::Loop& loop, net::Resolver& resolver, OnChange on_change)
      : loop_(loop), resolver_(resolver), on_change_(std::move(on_change)) {}

  // New names or another policy; costs nothing where both are what they were.
  void set(std::shared_ptr<const runtime::Cluster> policy, std::shared_ptr<const runtime::EndpointSet> endpoints);

 private:
  struct Name {
    std::unique_ptr<net::DnsQuery> query;        // set while one is under way
    std::vector<net::Address> addresses;         // of the last good answer
    bool answered = false;
  };

  void ask();
  void on_answer(const std::string& name, Result<net::Resolved> answer);
  void publish();

  net::Loop& loop_;
  net::Resolver& resolver_;
  OnChange on_change_;
  std::shared_ptr<const runtime::Cluster> policy_;
  std::shared_ptr<const runtime::EndpointSet> endpoints_;
  std::map<std::string, Name> names_;
  Duration next_in_{};                            // until the names are asked for again
  std::vector<runtime::Endpoint> published_;
  net::Timer timer_;
};

}  // namespace lateen::proxy
