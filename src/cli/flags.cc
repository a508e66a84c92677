#include "cli/flags.h"

#include <algorithm>
#include <cstdio>

#include "text/edit_distance.h"

namespace lateen::cli {

namespace {

constexpr Flag kHelp{.name = "help", .short_name = 'h', .value = "", .help = "this text"};

std::string left_column(const Flag& flag) {
  std::string text = flag.short_name != 0 ? std::string("-") + flag.short_name + ", " : std::string("    ");
  text.append("--").append(flag.name);
  if (!flag.value.empty()) text.append(" ").append(flag.value);
  return text;
}

class Parser {
 public:
  Parser(std::span<const std::string> args, std::span<const Flag> flags, Positional positional)
      : args_(args), flags_(flags), positional_(positional) {}

  Result<ParsedFlags> run() {
    for (; next_ < args_.size(); ++next_) {
      const std::string& word = args_[next_];
      if (word == "--") {
        parsed_.rest.assign(args_.begin() + static_cast<std::ptrdiff_t>(next_) + 1, args_.end());
        break;
      }
      if (word.starts_with("--")) {
        LATEEN_TRY_VOID(long_flag(std::string_view(word).substr(2)));
      } else if (word.size() > 1 && word.front() == '-') {
        LATEEN_TRY_VOID(short_flag(word));
      } else if (positional_ == Positional::kEndsFlags) {
        parsed_.positional.assign(args_.begin() + static_cast<std::ptrdiff_t>(next_), args_.end());
        break;
      } else {
        parsed_.positional.push_back(word);
      }
    }
    return std::move(parsed_);
  }

 private:
  Result<void> long_flag(std::string_view text) {
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const std::optional<std::string_view> value =
        equals == std::string_view::npos ? std::nullopt : std::optional(text.substr(equals + 1));
    if (name == kHelp.name) return found(kHelp, value);
    for (const Flag& flag : flags_)
      if (flag.name == name) return found(flag, value);
    return unknown(name);
  }

  Result<void> short_flag(const std::string& word) {
    const char letter = word[1];
    const std::string_view rest = std::string_view(word).substr(2);
    const auto use = [&](const Flag& flag) -> Result<void> {
      if (rest.empty()) return found(flag, std::nullopt);
      if (flag.value.empty()) return fail(ErrorCode::kInvalidConfig, std::string("-") + letter + " takes no value");
      return found(flag, rest.front() == '=' ? rest.substr(1) : rest);
    };
    if (letter == kHelp.short_name) return use(kHelp);
    for (const Flag& flag : flags_)
      if (flag.short_name == letter) return use(flag);
    return fail(ErrorCode::kInvalidConfig, "unknown flag " + word.substr(0, 2));
  }

  Result<void> found(const Flag& flag, std::optional<std::string_view> value) {
    const std::string name(flag.name);
    if (flag.value.empty()) {
      if (value) return fail(ErrorCode::kInvalidConfig, "--" + name + " takes no value");
      if (flag.name == kHelp.name) parsed_.help = true;
      parsed_.values[name].emplace_back();
      return {};
    }
    if (!value) {
      if (next_ + 1 >= args_.size())
        return fail(ErrorCode::kInvalidConfig, "--" + name + " needs a value: " + std::string(flag.value));
      value = args_[++next_];
    }
    parsed_.values[name].emplace_back(*value);
    return {};
  }

  Result<void> unknown(std::string_view name) const {
    std::vector<std::string_view> names{kHelp.name};
    for (const Flag& flag : flags_) names.push_back(flag.name);
    std::string message = "unknown flag --" + std::string(name);
    if (const auto near = text::closest(name, names)) message += "; did you mean --" + std::string(*near) + "?";
    return fail(ErrorCode::kInvalidConfig, std::move(message));
  }

  std::span<const std::string> args_;
  std::span<const Flag> flags_;
  Positional positional_;
  std::size_t next_ = 0;
  ParsedFlags parsed_;
};

}  // namespace

std::optional<std::string> ParsedFlags::get(std::string_view name) const {
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  return found->second.back();
}

std::string ParsedFlags::get(std::string_view name, std::string_view otherwise) const {
  return get(name).value_or(std::string(otherwise));
}

std::span<const std::string> ParsedFlags::all(std::string_view name) const {
  const auto found = values.find(name);
  if (found == values.end()) return {};
  return found->second;
}

Result<ParsedFlags> parse_flags(std::span<const std::string> args, std::span<const Flag> flags, Positional positional) {
  return Parser(args, flags, positional).run();
}

std::string to_text(const Usage& usage) {
  std::string text = "usage: " + std::string(usage.synopsis) + "\n\n" + std::string(usage.text) + "\n\nflags:\n";
  std::size_t width = left_column(kHelp).size();
  for (const Flag& flag : usage.flags) width = std::max(width, left_column(flag).size());
  const auto line = [&](const Flag& flag) {
    std::string left = left_column(flag);
    left.resize(width, ' ');
    text += "  " + left + "  " + std::string(flag.help) + "\n";
  };
  for (const Flag& flag : usage.flags) line(flag);
  line(kHelp);
  if (!usage.examples.empty()) text += "\nexamples:\n" + std::string(usage.examples) + "\n";
  return text;
}

int usage_error(const Usage& usage, std::string_view message) {
  const std::string_view synopsis = usage.synopsis;
  std::string name = "lateen";
  if (const std::size_t space = synopsis.find(' '); space != std::string_view::npos)
    name = synopsis.substr(0, synopsis.find(' ', space + 1));
  std::fprintf(stderr, "%s: %.*s\nusage: %.*s\n%s --help says more\n", name.c_str(), static_cast<int>(message.size()),
               message.data(), static_cast<int>(synopsis.size()), synopsis.data(), name.c_str());
  return 2;
}

}  // namespace lateen::cli
