// Diagnostic: one finding about the user's input; the same text for `analyze`, `apply`, logs, NACKs and tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen {

enum class Severity { kInfo, kWarning, kError };

struct Diagnostic {
  std::string code;      // "LTN0101"; listed once, in docs/diagnostics.md, with level, template and fix
  Severity severity = Severity::kError;
  Origin origin;
  std::string message;   // what is wrong, lower case, no final full stop
  std::string fix;       // what to write instead; may be empty

  bool operator==(const Diagnostic&) const = default;
};

// "file:3:7: error LTN0101: VirtualService default/reviews: spec.http[0].timeout: ...\n    fix: ..."
std::string to_string(const Diagnostic& diagnostic);

bool has_errors(const std::vector<Diagnostic>& diagnostics);

}  // namespace lateen
