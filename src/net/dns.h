// Resolver: names to addresses, without blocking a loop. By c-ares, with the machine's /etc/resolv.conf and /etc/hosts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/epoll_loop.h"

namespace lateen::net {

struct Resolved {
  std::vector<Address> addresses;  // port 0; in the order of the answer; not empty; at most kResolvedAddressesMax
  Duration ttl{};                  // the smallest of the answer; zero where there is none (/etc/hosts, IP literals)
};
inline constexpr std::size_t kResolvedAddressesMax = 256;

enum class DnsFamily : std::uint8_t { kV4, kV6, kAll };

// A question that is under way; destroying it gives it up, without a call.
class DnsQuery {
 public:
  virtual ~DnsQuery() = default;
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  // "localhost" and what ends with ".localhost" are this machine, whatever name servers say (RFC 6761, section 6.3).
  // `done` is called exactly once, from the loop and never from inside resolve(); inside it the query may be destroyed.
  // Errors: kNotFound (no such name, or no address of that family), kTimeout, kSystem.
  [[nodiscard]] virtual std::unique_ptr<DnsQuery> resolve(const std::string& name, DnsFamily family,
                                                          std::function<void(Result<Resolved>)> done) = 0;
};

struct ResolverOptions {
  std::string servers;                              // "127.0.0.1:5353,..."; empty: the machine's
  Duration timeout = std::chrono::seconds(2);       // of the first try; it doubles with each
  int tries = 3;
};

// `loop` must outlive the resolver, the resolver its queries' use (queries that are left when it goes become silent).
Result<std::unique_ptr<Resolver>> make_resolver(EpollLoop& loop, const ResolverOptions& options = {});

}  // namespace lateen::net
