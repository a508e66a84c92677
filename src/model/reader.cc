#include "model/reader.h"

#include <algorithm>
#include <limits>

#include "text/duration.h"
#include "text/edit_distance.h"
#include "text/scalar.h"

namespace lateen::model {

namespace {

constexpr std::uint64_t kFnvOffset = 14695981039346656037ULL;
constexpr std::uint64_t kFnvPrime = 1099511628211ULL;

std::uint64_t fnv(std::uint64_t hash, std::string_view bytes) {
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

// Spreads the bits, so that sums of leaves do not cancel out.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::string join(std::span<const std::string_view> words) {
  std::string text;
  for (std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

bool read_whole(Reader& reader, const text::Node& node, std::int64_t lowest, std::int64_t highest, std::int64_t& out) {
  if (node.is_string() && text::parse_integer(node.scalar)) {
    reader.error(kWrongType, "must be a number, not the string \"" + node.scalar + "\"", "write " + node.scalar + " without quotes");
    return false;
  }
  if (!reader.expect(node, text::Node::Type::kNumber)) return false;
  const auto value = text::parse_integer(node.scalar);
  if (!value) {
    reader.error(kWrongType, "must be a whole number, not " + node.scalar);
    return false;
  }
  if (*value < lowest || *value > highest) {
    reader.error(kBadValue, node.scalar + " is not in range " + std::to_string(lowest) + ".." + std::to_string(highest));
    return false;
  }
  out = *value;
  return true;
}

template <class Number>
bool read_number(Reader& reader, const text::Node& node, Number& out) {
  std::int64_t value = 0;
  using Limits = std::numeric_limits<Number>;
  const auto highest = static_cast<std::int64_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(Limits::max()), std::numeric_limits<std::int64_t>::max()));
  if (!read_whole(reader, node, static_cast<std::int64_t>(Limits::min()), highest, value)) return false;
  out = static_cast<Number>(value);
  return true;
}

}  // namespace

Reader::In::In(Reader& reader, const text::Member& member)
    : reader_(reader), parent_length_(reader.path_.size()), parent_place_(reader.place_) {
  if (!reader.path_.empty()) reader.path_ += '.';
  reader.path_ += member.key;
  reader.enter({member.line, member.column}, member.value);
}

Reader::In::In(Reader& reader, std::size_t index, const text::Node& item)
    : reader_(reader), parent_length_(reader.path_.size()), parent_place_(reader.place_) {
  reader.path_ += '[' + std::to_string(index) + ']';
  reader.enter({item.line, item.column}, item);
}

Reader::In::~In() {
  reader_.path_.resize(parent_length_);
  reader_.place_ = parent_place_;
}

// The hash is a sum over leaves and containers, each with its path: the order of keys does not matter, that of lists
// does, as their paths hold indexes. A second visit of a path adds nothing.
void Reader::enter(Position place, const text::Node& value) {
  if (place.line != 0) place_ = place;
  if (!positions_.emplace(path_, place_).second || value.is_null()) return;
  const char type[2] = {'\0', static_cast<char>('0' + static_cast<int>(value.type))};
  hash_ += mix(fnv(fnv(fnv(kFnvOffset, path_), {type, 2}), value.scalar));
}

Diagnostic Reader::diagnostic(std::string_view code, Severity severity, std::string message, std::string fix) const {
  return Diagnostic{std::string(code), severity, Origin{file_, place_.line, place_.column, object_, path_}, std::move(message), std::move(fix)};
}

void Reader::error(std::string_view code, std::string message, std::string fix) {
  ++errors_;
  problems_.push_back(diagnostic(code, Severity::kError, std::move(message), std::move(fix)));
}

void Reader::warn(std::string_view code, std::string message, std::string fix) {
  problems_.push_back(diagnostic(code, Severity::kWarning, std::move(message), std::move(fix)));
}

void Reader::error_below(std::string_view field, std::string_view code, std::string message, std::string fix) {
  error(code, std::move(message), std::move(fix));
  Origin& origin = problems_.back().origin;
  origin.field_path += origin.field_path.empty() ? std::string(field) : "." + std::string(field);
  // The place of the field, or of its nearest parent that was read.
  std::string_view path = origin.field_path;
  while (!path.empty()) {
    if (const auto found = positions_.find(path); found != positions_.end()) {
      origin.line = found->second.line;
      origin.column = found->second.column;
      return;
    }
    const auto cut = path.find_last_of(".[");
    path = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
  }
}

void Reader::unknown_field(const text::Member& member, std::span<const std::string_view> known) {
  const In in(*this, member);
  const auto guess = text::closest(member.key, known);
  error(kUnknownField, "unknown field \"" + member.key + "\"",
        guess ? "did you mean \"" + std::string(*guess) + "\"?" : "the fields here are " + join(known));
}

bool Reader::expect(const text::Node& node, text::Node::Type type, std::string_view example) {
  if (node.type == type) return true;
  std::string fix(example);
  if (type == text::Node::Type::kString && (node.type == text::Node::Type::kBool || node.type == text::Node::Type::kNumber))
    fix = "write \"" + node.scalar + "\" in quotes";
  if (type == text::Node::Type::kSequence && fix.empty()) fix = "write it as a list: \"- ...\", one a line";
  error(kWrongType, "must be " + std::string(text::describe(type)) + ", not " + text::describe(node), std::move(fix));
  return false;
}

namespace {

// What YAML 1.1, which Istio and Kubernetes read, takes for true or false where it is not quoted.
std::optional<bool> old_boolean(const text::Node& node) {
  constexpr std::string_view kTrue[] = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"};
  constexpr std::string_view kFalse[] = {"n", "N", "no", "No", "NO", "off", "Off", "OFF"};
  if (!node.is_string() || node.quoted) return std::nullopt;
  if (std::find(std::begin(kTrue), std::end(kTrue), node.scalar) != std::end(kTrue)) return true;
  if (std::find(std::begin(kFalse), std::end(kFalse), node.scalar) != std::end(kFalse)) return false;
  return std::nullopt;
}

}  // namespace

bool read_value(Reader& reader, const text::Node& node, std::string& out) {
  if (!reader.expect(node, text::Node::Type::kString)) return false;
  // Of names and labels istiod makes a string whatever they are.
  if (const auto boolean = old_boolean(node); boolean && !reader.path().starts_with("metadata")) {
    reader.error(kWrongType, node.scalar + " without quotes is read as " + (*boolean ? "true" : "false") + " by Istio, not as a string",
                 "write \"" + node.scalar + "\" with quotes");
    return false;
  }
  out = node.scalar;
  return true;
}

bool read_value(Reader& reader, const text::Node& node, bool& out) {
  if (const auto boolean = old_boolean(node)) {
    out = *boolean;
    return true;
  }
  if (node.is_string() && (node.scalar == "true" || node.scalar == "false")) {
    reader.error(kWrongType, "must be true or false, not the string \"" + node.scalar + "\"", "write " + node.scalar + " without quotes");
    return false;
  }
  if (!reader.expect(node, text::Node::Type::kBool)) return false;
  out = node.scalar == "true";
  return true;
}

bool read_value(Reader& reader, const text::Node& node, std::int32_t& out) { return read_number(reader, node, out); }
bool read_value(Reader& reader, const text::Node& node, std::uint32_t& out) { return read_number(reader, node, out); }
bool read_value(Reader& reader, const text::Node& node, std::int64_t& out) { return read_number(reader, node, out); }
bool read_value(Reader& reader, const text::Node& node, std::uint64_t& out) { return read_number(reader, node, out); }

bool read_value(Reader& reader, const text::Node& node, double& out) {
  if (!reader.expect(node, text::Node::Type::kNumber)) return false;
  const auto value = text::parse_number(node.scalar);
  if (!value) {
    reader.error(kBadValue, node.scalar + " is beyond what a number can hold");
    return false;
  }
  out = *value;
  return true;
}

bool read_value(Reader& reader, const text::Node& node, Duration& out) {
  if (node.type == text::Node::Type::kNumber) {
    reader.error(kWrongType, "must be a duration, not the bare number " + node.scalar,
                 "give it a unit: " + node.scalar + "s, or " + node.scalar + "ms");
    return false;
  }
  if (!reader.expect(node, text::Node::Type::kString, "write a duration such as 10s, 1.5s, 250ms or 1h30m")) return false;
  auto duration = text::parse_duration(node.scalar);
  if (!duration) {
    reader.error(kBadValue, text::describe(node) + " " + duration.error().message, "write a duration such as 10s, 1.5s, 250ms or 1h30m");
    return false;
  }
  out = *duration;
  return true;
}

bool read_word(Reader& reader, const text::Node& node, std::span<const std::string_view> words, std::size_t& index) {
  if (!reader.expect(node, text::Node::Type::kString, "write one of " + join(words))) return false;
  const auto found = std::find(words.begin(), words.end(), node.scalar);
  if (found != words.end()) {
    index = static_cast<std::size_t>(found - words.begin());
    return true;
  }
  const auto guess = text::closest(node.scalar, words);
  reader.error(kBadValue, text::describe(node) + " is not one of " + join(words),
               guess ? "did you mean " + std::string(*guess) + "?" : "");
  return false;
}

}  // namespace lateen::model
