// The objects of the running mesh as the commands see them, and the words of kubectl for them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/admin_client.h"
#include "model/common.h"

namespace lateen::cli {

struct ObjectRow {
  std::string kind, resource, namespace_, name, api_version;
  std::string source, file;                        // source: file, applied, registered
  int line = 0;
  std::string created;
  std::int64_t age_seconds = 0;
  std::vector<std::pair<std::string, std::string>> columns;
  std::string standing, reason, because_of;
  bool last_good_serves = false;
  std::string text;                                // the document; only where asked for
};
ObjectRow read_row(const text::Node& node);

// What a command asks for: "vs", "vs/NAME", "vs NAME NAME", "vs,dr", or the objects of files.
struct Wanted {
  std::vector<model::Kind> kinds;                  // with `names`: one kind
  std::vector<std::string> names;
  std::vector<model::Key> keys;                    // of files or KIND/NAME words; if not empty, these alone
};
// Errors: kInvalidConfig, with "did you mean".
Result<Wanted> parse_wanted(const std::vector<std::string>& words, const std::string& namespace_);
Result<model::Kind> parse_kind_word(std::string_view word);

// Files, folders (their *.yaml, *.yml, *.json; not below them) and "-" for standard input, with their text. Messages
// call standard input so, to have a place for its lines.
inline constexpr std::string_view kStandardInput = "stdin";
struct NamedText {
  std::string name, text;
};
Result<std::vector<NamedText>> read_manifest_files(std::span<const std::string> paths);

// "VirtualService" -> "virtualservices.networking.istio.io", as in kubectl's errors.
std::string plural_resource(model::Kind kind);

// "in effect"; "pending (waits for ...)".
std::string status_text(const ObjectRow& row);
// kubectl's age: 47s, 3m12s, 5h, 8d.
std::string age_text(std::int64_t seconds);
// "rules.yaml:12", "applied (rules.yaml:12)", "registered".
std::string source_text(const ObjectRow& row);

}  // namespace lateen::cli
