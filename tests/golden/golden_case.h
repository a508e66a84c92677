// One golden case: inputs, and what istiod sends for them as differences from a base.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace lateen::golden {

// Resources as canonical JSON by "clusters/NAME", "endpoints/NAME", "listeners/NAME", "ecds/NAME", "routes/TABLE" (without
// virtual hosts) and "routes/TABLE/VIRTUAL_HOST".
using Pieces = std::map<std::string, std::string>;

struct Case {
  std::string name;
  std::string folder;
};

// Every folder of tests/golden/cases and tests/golden/translated, sorted. What is in the latter is for control planes alone:
// filters that patches add and the like, which no traffic goes through.
std::vector<Case> all_cases();

// What istiod sends. Ends the test program where the corpus cannot be read.
Pieces expected(const Case& golden);
// What we make of the case's inputs with --compat istio.
Pieces translated(const Case& golden);

// "clusters/X: .circuit_breakers.thresholds[0].max_requests: wanted 1, got 2"; in the order of names.
std::vector<std::string> differences(const Pieces& wanted, const Pieces& got);

}  // namespace lateen::golden
