// Findings about a mesh, and the explanation of one request. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"
#include "runtime/decide.h"
#include "translate/translate.h"

namespace lateen::analyze {

// All findings of a mesh: the cautions of Istio and of the tutorial. Sorted by file, line, code.
// `objects`: everything that was read, accepted or not; `compat` decides which cautions hold.
std::vector<Diagnostic> analyze(const model::Mesh& mesh, translate::Compat compat);

// Of those, the errors about Secrets that TLS asks for: what serves goes on with what it had, so it has to be told.
std::vector<Diagnostic> secret_problems(const model::Mesh& mesh, translate::Compat compat);

struct ExplainRequest {
  std::string method = "GET";
  std::string url;                                        // "http://reviews:9080/reviews/1"
  std::vector<std::pair<std::string, std::string>> headers;
  std::uint64_t random = 0;
};

// The live state of an endpoint, when a running mesh is asked.
struct EndpointState {
  std::string address;
  bool healthy = true;
  std::string why;                                        // "ejected, 57 s left"
};
using EndpointStates = std::map<std::string, std::vector<EndpointState>>;  // by cluster name

// Text for people and JSON for programs from the same structure. An origin that is empty is a default: `note` says whose.
struct Explanation {
  struct Rule {
    Origin origin;
    std::string name;                                     // what it asks for: 'header end-user exact "jason"'
    bool taken = false;
    std::string why;                                      // the first predicate that failed, or why it was left out
  };
  struct Destination {
    std::string cluster, subset;
    std::string share;                                    // "90/100 = 90 %"; "" where there is but one
    Origin origin;                                        // of the subset, or of the DestinationRule
    std::vector<EndpointState> endpoints;
    std::string problem;                                  // why a request cannot be carried there; "" if it can
  };
  struct Setting {
    std::string name, value;
    Origin origin;
    std::string note;
  };
  std::string method, url, view, host, route_table, virtual_host;
  std::string outcome;                                    // "forwarded to reviews, subset v1"
  std::string cluster, subset;                            // of the destination that `random` picks
  std::vector<Rule> rules;                                // in their order; what translation left out comes last
  std::vector<Destination> destinations;
  std::vector<Setting> settings;                          // timeout, tries, faults, limits: each with where it came from
  std::vector<std::string> notes;
};

Explanation explain(const model::Mesh& mesh, const translate::Translation& translation,
                    const runtime::Snapshot& snapshot, const translate::View& view, const ExplainRequest& request,
                    const EndpointStates& states);
std::string to_text(const Explanation& explanation, bool colour);
std::string to_json(const Explanation& explanation);

}  // namespace lateen::analyze
