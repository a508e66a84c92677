// Which DestinationRule holds for a service seen by a client, with rules for the same host merged.
#pragma once

#include <map>
#include <optional>
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

  const SubsetSource* find_subset(std::string_view name) const;
};

// Keeps pointers into the mesh, which must outlive it.
class DestinationRules {
 public:
  explicit DestinationRules(const model::Mesh& mesh);

  // The client's namespace, then the service's, then the root namespace; in each the most specific host. A rule with a
  // workloadSelector holds only for clients of its own namespace that it selects. Null: no rule.
  const MergedRule* find(const View& client, const Service& service) const;

 private:
  using ByHost = std::map<std::string, std::vector<MergedRule>, std::less<>>;
  struct Rules {
    ByHost exact, wildcard;
  };
  using ByNamespace = std::map<std::string, Rules, std::less<>>;

  static void add(Rules& rules, const model::Object& object, const model::DestinationRule& rule,
                  const std::string& host);
  static const MergedRule* find_in(const ByNamespace& index, std::string_view namespace_, const View& client,
                                   std::string_view host, bool only_exported);

  std::string root_namespace_;
  ByNamespace local_;         // every rule, under its namespace
  ByNamespace root_private_;  // of the root namespace: what is meant for its own clients alone
  ByNamespace exported_;      // those that other namespaces may see
};

// The blocks that hold on `port`: the port's own wholesale, else the policy's (portLevelSettings inherit nothing).
model::PolicyBlocks blocks_on_port(const model::TrafficPolicy* policy, std::uint32_t port);
// A subset's blocks over those of its rule, block by block; the subset's own portLevelSettings replace all of them.
model::PolicyBlocks blocks_of_subset(model::PolicyBlocks base, const model::TrafficPolicy* subset, std::uint32_t port);
// The same choice of where a block was written, for messages: "spec.trafficPolicy.portLevelSettings[1]".
std::string blocks_path(const model::TrafficPolicy* policy, std::uint32_t port);

}  // namespace lateen::translate
