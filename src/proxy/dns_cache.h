// DnsCache: addresses of names that requests give: those outside the mesh, and dynamic forward proxy clusters. Control
// thread. Answers are kept for their time to live; questions about one name at the same time are one question.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/dns.h"
#include "net/loop.h"

namespace lateen::proxy {

class DnsCache {
 public:
  using Done = std::function<void(Result<net::Address>)>;

  // Envoy's max_hosts. A name beyond them takes the place of one that nobody waits for; if there is none, kOverLimit.
  static constexpr std::size_t kNamesMax = 1024;
  // Who may wait for one name; more are told kOverLimit.
  static constexpr std::size_t kWaitingMax = 1024;
  // Bounds of the time for which an answer is kept. What has no time to live (/etc/hosts) is kept for the second.
  static constexpr Duration kKeptMin = std::chrono::seconds(1), kKeptWithoutTtl = std::chrono::seconds(5),
                            kKeptMax = std::chrono::minutes(5);

  // Both must outlive this object.
  DnsCache(net::Loop& loop, net::Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  // The first address of `name` in that family; its port is 0. `done` may be called from inside find(). Failures are not
  // kept, but a name that can not be resolved for a while keeps its last address.
  void find(const std::string& name, net::DnsFamily family, Done done);

 private:
  struct Name {
    std::optional<net::Address> address;
    Time good_until{};
    std::unique_ptr<net::DnsQuery> query;   // set while one is under way
    std::vector<Done> waiting;
  };

  using Question = std::pair<std::string, net::DnsFamily>;

  bool make_room();
  void on_answer(const Question& question, Result<net::Resolved> answer);

  net::Loop& loop_;
  net::Resolver& resolver_;
  std::map<Question, Name> names_;
};

}  // namespace lateen::proxy
