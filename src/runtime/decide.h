// decide(): where one request goes. The only place in the program where a request is matched against routes; the proxy
// asks for the answer, `lateen explain` and `lateen test` ask for the reasons too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/snapshot.h"

namespace lateen::runtime {

// Why a route did or did not take the request; in the order in which they were looked at.
struct Reason {
  const Route* route = nullptr;          // lives as long as the virtual host
  bool matched = false;
  std::string predicate;                 // the first predicate that failed: "header end-user exact \"jason\""
  std::string actual;                    // what the request had: "absent", "\"bob\""
};

enum class Outcome : std::uint8_t { kForward, kDirectResponse, kRedirect, kNoVirtualHost, kNoRoute, kUnsupported };

struct Decision {
  Outcome outcome = Outcome::kNoVirtualHost;
  // These live as long as the table, which is what a request pins: counting the owners of a virtual host would make the
  // processor wait for its memory twice a request, among thousands of hosts.
  const VirtualHost* virtual_host = nullptr;
  // Null for kNoVirtualHost and kNoRoute. For a virtual host that wants TLS: a redirect to https that belongs to nobody.
  const Route* route = nullptr;
  const WeightedCluster* cluster = nullptr;          // for kForward
  // For kForward by Forward::cluster_header: the cluster that the request names, "" if it names none; `cluster` has no
  // name then. Snapshot::find_cluster knows its id. Points into the request's headers.
  std::string_view cluster_name;
};

// `random` chooses among weighted clusters and runtime fractions: the same request with the same number gets the same
// answer. `reasons` may be null: traffic does not pay for them.
Decision decide(const RouteTable& table, const RequestView& request, std::uint64_t random,
                std::vector<Reason>* reasons = nullptr);

// The virtual host that serves `authority`, or null.
const VirtualHost* find_virtual_host(const RouteTable& table, std::string_view authority);

// Asks for the memory that decide() is going to look at, one step after the other, for whoever has something else to do
// between them. Among thousands of hosts each of these steps is a cache miss, and one tells where the next one is. Decides
// nothing: a wrong guess costs time only.
class Lookahead {
 public:
  Lookahead() = default;
  // First step: the host's domain. `table` may be null, and must live until the last step.
  Lookahead(const RouteTable* table, std::string_view authority);
  // Second: its virtual host, with the only route; third: what that names. Then nothing.
  void go_on();

 private:
  enum class Step : std::uint8_t { kDomain, kRoute, kDone };
  const RouteTable* table_ = nullptr;
  const VirtualHost* host_ = nullptr;
  std::size_t hash_ = 0;
  Step next_ = Step::kDone;
};

// The plain reference of the property test: walks every route in order. Same answer as decide(), by other means.
const Route* match_linear(const VirtualHost& host, const RequestView& request, std::uint64_t random);

}  // namespace lateen::runtime
