// decide(): where one request goes. The only place in the program where a request is matched against routes; the proxy
// asks for the answer, `lateen explain` and `lateen test` ask for the reasons too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/path_index.h"
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
  // These live as long as the table or the virtual host does. A request pins the table, as long as that is current: counting
  // the owners of a virtual host would make the processor wait for its memory twice, among thousands of hosts.
  const VirtualHost* virtual_host = nullptr;
  // Null for kNoVirtualHost and kNoRoute. For a virtual host that wants TLS: a redirect to https that belongs to nobody.
  const Route* route = nullptr;
  const WeightedCluster* cluster = nullptr;          // for kForward
  // For kForward by Forward::cluster_header: the cluster that the request names, "" if it names none; `cluster` has no
  // name then. Snapshot::find_cluster knows its id. Points into the request's headers.
  std::string_view cluster_name;
};

// What decide() is going to look at, asked for one step after the other by whoever has something else to do between them:
// among thousands of hosts or routes each of these steps is a cache miss, and one tells where the next one is. Decides
// nothing: a wrong guess costs time only. Each step may be left out, and the object be used again.
class Lookahead {
 public:
  // First step: the host's domain. `table` may be null, and must live until decide() or end().
  void begin(const RouteTable* table, std::string_view authority);
  // Second: its virtual host, with the only route.
  void find_host();
  // Third: the route. What `path` points to must not change until decide() or end(). Fourth: what it names.
  void find_route(std::string_view path);
  void find_names();
  void end() {
    table_ = nullptr;
    host_ = nullptr;
    route_ = nullptr;
    path_ = {};
    candidates_.clear();
  }

 private:
  friend class PathSearch;
  const RouteTable* table_ = nullptr;
  const VirtualHost* host_ = nullptr;
  const Route* route_ = nullptr;
  std::size_t hash_ = 0;
  std::string_view path_;                // searched for in the index of host_; empty: nothing was
  PathIndex::Candidates candidates_;
};

// `random` chooses among weighted clusters and runtime fractions: the same request with the same number gets the same
// answer. `reasons` may be null: traffic does not pay for them. So may `ahead`; it is used up.
Decision decide(const RouteTable& table, const RequestView& request, std::uint64_t random,
                std::vector<Reason>* reasons = nullptr, Lookahead* ahead = nullptr);

// The virtual host that serves `authority`, or null.
const VirtualHost* find_virtual_host(const RouteTable& table, std::string_view authority);

// The plain reference of the property test: walks every route in order. Same answer as decide(), by other means.
const Route* match_linear(const VirtualHost& host, const RequestView& request, std::uint64_t random);

}  // namespace lateen::runtime
