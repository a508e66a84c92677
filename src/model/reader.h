// Reader: what the field tables of the kinds are read with. It knows where it is, collects every problem with its
// place, remembers the position of each field and hashes what was read.
//
// A kind is described by Shape<T>: a table of fields (name, how to read, checks) and, where fields depend on each
// other, a check of the whole. read_value() walks a Node by these tables; there is no other reading code.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/diagnostics.h"
#include "base/time.h"
#include "model/codes.h"
#include "model/common.h"
#include "model/field_positions.h"
#include "text/node.h"

namespace lateen::model {

class Reader {
 public:
  // kStrict: unknown fields are errors (Istio's kinds). kTolerant: they are skipped (Kubernetes' kinds).
  enum class Mode { kStrict, kTolerant };

  Reader(std::string_view file, std::string object, Mode mode) : file_(file), object_(std::move(object)), mode_(mode) {}

  // Steps into a member of a mapping or an item of a list, for as long as it lives.
  class In {
   public:
    In(Reader& reader, const text::Member& member);
    In(Reader& reader, std::size_t index, const text::Node& item);
    ~In();
    In(const In&) = delete;
    In& operator=(const In&) = delete;

   private:
    Reader& reader_;
    std::size_t parent_length_;
    Position parent_place_;
  };

  bool strict() const { return mode_ == Mode::kStrict; }

  // Where the document starts, and the namespace of its object once it is known.
  void start_at(Position place) { place_ = place; }
  void set_object(std::string object, std::string own_namespace) {
    object_ = std::move(object);
    namespace_ = std::move(own_namespace);
  }
  const std::string& own_namespace() const { return namespace_; }

  // Problems with the field where the reader stands.
  void error(std::string_view code, std::string message, std::string fix = "");
  void warn(std::string_view code, std::string message, std::string fix = "");
  // With a field below it ("port.number"); its place, or that of its nearest parent.
  void error_below(std::string_view field, std::string_view code, std::string message, std::string fix = "");
  void unknown_field(const text::Member& member, std::span<const std::string_view> known);
  // Reports and returns false unless the node has the type. `example` says what to write.
  bool expect(const text::Node& node, text::Node::Type type, std::string_view example = "");

  std::vector<Diagnostic> take_problems() { return std::move(problems_); }
  PositionsByPath take_positions() { return std::move(positions_); }
  std::uint64_t content_hash() const { return hash_; }
  std::size_t error_count() const { return errors_; }
  std::string_view path() const { return path_; }

 private:
  friend class In;
  void enter(Position place, const text::Node& value);
  Diagnostic diagnostic(std::string_view code, Severity severity, std::string message, std::string fix) const;

  std::string file_, object_, namespace_, path_;
  Mode mode_;
  Position place_;
  std::vector<Diagnostic> problems_;
  std::size_t errors_ = 0;
  PositionsByPath positions_;
  std::uint64_t hash_ = 0;
};

template <class T>
struct Field {
  std::string_view name;
  void (*read)(Reader&, const text::Node&, T&);
};

template <class T>
struct Shape;  // specialised by each struct: `static constexpr Field<T> kFields[]`, optionally `check(Reader&, const T&, const Node&)`

template <class E>
struct Words;  // specialised by each enum: `static constexpr std::pair<std::string_view, E> kWords[]`

template <class T>
concept HasShape = requires { Shape<T>::kFields; };
template <class T>
concept HasWords = requires { Words<T>::kWords; };

// Scalars. False: it was reported.
bool read_value(Reader& reader, const text::Node& node, std::string& out);
bool read_value(Reader& reader, const text::Node& node, bool& out);
bool read_value(Reader& reader, const text::Node& node, std::int32_t& out);
bool read_value(Reader& reader, const text::Node& node, std::uint32_t& out);
bool read_value(Reader& reader, const text::Node& node, std::int64_t& out);
bool read_value(Reader& reader, const text::Node& node, std::uint64_t& out);
bool read_value(Reader& reader, const text::Node& node, double& out);
bool read_value(Reader& reader, const text::Node& node, Duration& out);
bool read_word(Reader& reader, const text::Node& node, std::span<const std::string_view> words, std::size_t& index);

template <HasWords E>
bool read_value(Reader& reader, const text::Node& node, E& out);
template <HasShape T>
bool read_value(Reader& reader, const text::Node& node, T& out);
template <class T>
bool read_value(Reader& reader, const text::Node& node, std::optional<T>& out);
template <class T>
bool read_value(Reader& reader, const text::Node& node, std::vector<T>& out);
template <class T>
bool read_value(Reader& reader, const text::Node& node, std::map<std::string, T>& out);

template <HasWords E>
bool read_value(Reader& reader, const text::Node& node, E& out) {
  constexpr std::size_t kCount = std::size(Words<E>::kWords);
  std::string_view words[kCount];
  for (std::size_t i = 0; i < kCount; ++i) words[i] = Words<E>::kWords[i].first;
  std::size_t index = 0;
  if (!read_word(reader, node, words, index)) return false;
  out = Words<E>::kWords[index].second;
  return true;
}

template <HasShape T>
bool read_value(Reader& reader, const text::Node& node, T& out) {
  if (!reader.expect(node, text::Node::Type::kMapping)) return false;
  constexpr std::size_t kCount = std::size(Shape<T>::kFields);
  const std::size_t errors_before = reader.error_count();
  for (const text::Member& member : node.members) {
    const Field<T>* field = nullptr;
    for (const Field<T>& candidate : Shape<T>::kFields)
      if (candidate.name == member.key) field = &candidate;
    if (field == nullptr) {
      if (!reader.strict()) continue;
      std::string_view names[kCount];
      for (std::size_t i = 0; i < kCount; ++i) names[i] = Shape<T>::kFields[i].name;
      reader.unknown_field(member, names);
      continue;
    }
    const Reader::In in(reader, member);
    if (!member.value.is_null()) field->read(reader, member.value, out);
    else if (reader.strict()) reader.warn(kEmptyField, "has no value and is ignored, as in Kubernetes", "give it a value or take it out");
  }
  if constexpr (requires { Shape<T>::check(reader, out, node); }) Shape<T>::check(reader, out, node);
  return reader.error_count() == errors_before;
}

template <class T>
bool read_value(Reader& reader, const text::Node& node, std::optional<T>& out) {
  out = T{};   // not emplace(): clang takes a struct that is declared within the one that holds it for not constructible
  return read_value(reader, node, *out);
}

template <class T>
bool read_value(Reader& reader, const text::Node& node, std::vector<T>& out) {
  if (!reader.expect(node, text::Node::Type::kSequence)) return false;
  bool good = true;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Reader::In in(reader, i, node.items[i]);
    good = read_value(reader, node.items[i], out.emplace_back()) && good;
  }
  return good;
}

template <class T>
bool read_value(Reader& reader, const text::Node& node, std::map<std::string, T>& out) {
  if (!reader.expect(node, text::Node::Type::kMapping)) return false;
  bool good = true;
  for (const text::Member& member : node.members) {
    const Reader::In in(reader, member);
    good = read_value(reader, member.value, out[member.key]) && good;
  }
  return good;
}

// The readers that a table names. at<&T::member, check...>: read the member, then run each check on its value.
template <class T>
struct Table {
  template <auto Member, auto... Checks>
  static void at(Reader& reader, const text::Node& node, T& out) {
    auto& value = out.*Member;
    if (!read_value(reader, node, value)) return;
    if constexpr (requires { value.has_value(); *value; }) {
      (Checks(reader, *value), ...);
    } else {
      (Checks(reader, value), ...);
    }
  }
  // A list or map whose every element is checked.
  template <auto Member, auto... Checks>
  static void each(Reader& reader, const text::Node& node, T& out) {
    auto& values = out.*Member;
    if (!read_value(reader, node, values)) return;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Reader::In in(reader, i, node.items[i]);
      (Checks(reader, values[i]), ...);
    }
  }
  // A field that Istio has and this version does not: refused, never ignored.
  static void unsupported(Reader& reader, const text::Node&, T&) {
    reader.error(kUnsupportedField, "is not supported yet", "take it out");
  }
  // A field that is read by nobody and harms nobody (status).
  static void skip(Reader&, const text::Node&, T&) {}
};

}  // namespace lateen::model
