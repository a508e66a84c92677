// NamesInMemory: a Resolver without a network, for tests over any Loop. Answers come from the loop, a millisecond later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/dns.h"
#include "net/loop.h"

namespace lateen::testing {

class NamesInMemory final : public net::Resolver {
 public:
  // `loop` must outlive this object.
  explicit NamesInMemory(net::Loop& loop) : loop_(loop) {}

  std::map<std::string, std::vector<std::string>> addresses;   // IPs; missing: no such name
  Duration ttl{};
  int questions = 0;

  std::unique_ptr<net::DnsQuery> resolve(const std::string& name, net::DnsFamily family,
                                         std::function<void(Result<net::Resolved>)> done) override {
    ++questions;
    Result<net::Resolved> answer = fail(ErrorCode::kNotFound, "no such name");
    if (const auto found = addresses.find(name); found != addresses.end()) {
      net::Resolved resolved;
      resolved.ttl = ttl;
      for (const std::string& text : found->second) {
        const bool ipv6 = text.find(':') != std::string::npos;
        if (family != net::DnsFamily::kAll && ipv6 != (family == net::DnsFamily::kV6)) continue;
        resolved.addresses.push_back({ipv6 ? net::Address::Family::kIpv6 : net::Address::Family::kIpv4, text, 0});
      }
      if (!resolved.addresses.empty()) answer = std::move(resolved);
    }
    return std::make_unique<Query>(loop_, std::move(answer), std::move(done));
  }

 private:
  class Query final : public net::DnsQuery {
   public:
    Query(net::Loop& loop, Result<net::Resolved> answer, std::function<void(Result<net::Resolved>)> done)
        : answer_(std::move(answer)), done_(std::move(done)) {
      loop.arm<&Query::tell>(timer_, std::chrono::milliseconds(1), this);
    }
    void tell() {
      const auto done = std::move(done_);
      Result<net::Resolved> answer = std::move(answer_);
      done(std::move(answer));   // may destroy this
    }

   private:
    Result<net::Resolved> answer_;
    std::function<void(Result<net::Resolved>)> done_;
    net::Timer timer_;
  };

  net::Loop& loop_;
};

}  // namespace lateen::testing
