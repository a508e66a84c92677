#include "base/diagnostics.h"

#include <algorithm>

namespace lateen {

namespace {

std::string_view word(Severity severity) {
  switch (severity) {
    case Severity::kInfo: return "info";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return "error";
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = to_string(diagnostic.origin);
  if (!text.empty()) text += ": ";
  text += word(diagnostic.severity);
  if (!diagnostic.code.empty()) text += " " + diagnostic.code;
  if (!diagnostic.origin.object.empty()) text += ": " + diagnostic.origin.object;
  if (!diagnostic.origin.field_path.empty()) text += ": " + diagnostic.origin.field_path;
  text += ": " + diagnostic.message;
  if (!diagnostic.fix.empty()) text += "\n    fix: " + diagnostic.fix;
  return text;
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

}  // namespace lateen
