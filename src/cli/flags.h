// Flags of a command: read, checked, and shown by --help; one table says all of it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lateen::cli {

struct Flag {
  std::string_view name;          // "namespace", given as --namespace
  char short_name = 0;            // 'n', given as -n; 0: none
  std::string_view value;         // "NS": takes a value, shown by that name; "": takes none
  std::string_view help;
};

struct Usage {
  std::string_view synopsis;      // "lateen get KIND [NAME] [-n NS] [-o yaml|json|wide]"
  std::string_view text;          // what the command does, a few lines
  std::span<const Flag> flags;
  std::string_view examples;      // lines as a user types them
};
std::string to_text(const Usage& usage);

struct ParsedFlags {
  std::map<std::string, std::vector<std::string>, std::less<>> values;  // by name; "" for a flag without value
  std::vector<std::string> positional;
  std::vector<std::string> rest;                                        // what stands behind "--"
  bool help = false;

  bool has(std::string_view name) const { return values.contains(name); }
  // The last one given, or nullopt.
  std::optional<std::string> get(std::string_view name) const;
  std::string get(std::string_view name, std::string_view otherwise) const;
  std::span<const std::string> all(std::string_view name) const;
};

// "--name value", "--name=value", "-n value", "-nvalue"; -h and --help always. Flags may stand anywhere before "--".
// Errors (kInvalidConfig) carry a hint: "unknown flag --namspace; did you mean --namespace?".
// `stop_at_positional`: everything from the first word that is no flag on is positional (`exec CMD -x`).
enum class Positional { kAnywhere, kEndsFlags };
Result<ParsedFlags> parse_flags(std::span<const std::string> args, std::span<const Flag> flags,
                                Positional positional = Positional::kAnywhere);

// Prints the message and how to get help to standard error; returns 2.
int usage_error(const Usage& usage, std::string_view message);

}  // namespace lateen::cli
