// Which DestinationRule holds for a service seen by a client, with rules for the same host merged.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"
#include "translate/registry.h"
#include "translate/translate.h"

namespace lateen::translate {

struct SubsetSource {
  const model::Subset* subset = nullptr;
  const model::Object* object = nullptr;   // the rule that defines it
  std::size_t index = 0;                   // in that rule
};

// Rules of one namespace for one host: the subsets of all, the traffic policy of the first that has one (ISTIO_FACTS 3.4).
struct MergedRule {
  const model::Object* first = nullptr;
  const model::DestinationRule* rule = nullptr;      // of `first`
  const model::TrafficPolicy* policy = nullptr;      // null: none
  const model::Object* policy_object = nullptr;
  std::vector<SubsetSource> subsets;
  std::set<std::string> export_to;                   // of `first`; empty: to all

  const SubsetSource* find_subset(std::string_view name) const;
};

// Keeps pointers into the mesh, which must outlive it.
class DestinationRules {
 public:
  explicit DestinationRules(const model::Mesh& mesh);

  // The client's namespace, then the service's, then the root namespace; in each the most specific host. A rule with a
  // workloadSelector holds only for clients of its own namespace that it selects. Null: no rule. A namespace that has
  // rules for the host ends the search, also where none of them selects the client.
  const MergedRule* find(const View& client, const Service& service) const;

 private:
  using ByHost = std::map<std::string, std::vector<MergedRule>, std::less<>>;
  struct Rules {
    ByHost exact, wildcard;

    const std::vector<MergedRule>* find(std::string_view host) const;
  };
  using ByNamespace = std::map<std::string, Rules, std::less<>>;

  static void add(Rules& rules, const model::Object& object, const model::DestinationRule& rule,
                  const std::string& host);
  const std::vector<MergedRule>* exported_from(std::string_view namespace_, std::string_view host) const;

  std::string root_namespace_;
  ByNamespace local_;         // those that hold for their own namespace
  Rules root_private_;        // of the root namespace: what is meant for its own clients alone
  ByNamespace exported_;      // those that other namespaces may see
};

// What holds for one cluster.
struct EffectivePolicy : model::PolicyBlocks {
  std::optional<model::RetryBudget> retry_budget;
  std::optional<model::ProxyProtocolVersion> proxy_protocol;
};
// What holds on `port`: the port's own wholesale, else the policy's (portLevelSettings inherit nothing).
EffectivePolicy policy_on_port(const model::TrafficPolicy* policy, std::uint32_t port);
// A subset's over that of its rule, block by block; the subset's own portLevelSettings replace all four blocks.
EffectivePolicy policy_of_subset(EffectivePolicy base, const model::TrafficPolicy* subset, std::uint32_t port);
// The TLS mode that a rule's policies say for endpoints, the subset's (null: none) before the whole's. Null: none.
// Unlike for clusters, a port's settings without tls inherit that of the policy.
const model::ClientTls* tls_of_endpoints(const model::TrafficPolicy* whole, const model::TrafficPolicy* subset, std::uint32_t port);
// The same choice of where a block was written, for messages: "spec.trafficPolicy.portLevelSettings[1]".
std::string blocks_path(const model::TrafficPolicy* policy, std::uint32_t port);

}  // namespace lateen::translate
