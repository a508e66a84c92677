// Shapes that several kinds share.
#pragma once

#include "model/checks.h"
#include "model/reader.h"

namespace lateen::model {

// {number: 9080}, {value: 50.0}, {labels: {...}} and {matchLabels: {...}}: one value in a mapping of its own.
struct PortSelector {
  std::uint32_t number = 0;
};
struct Percent {
  double value = 0;
};
struct LabelSelector {
  std::map<std::string, std::string> labels;
};
struct MatchLabels {
  std::map<std::string, std::string> labels;
};

template <>
struct Shape<PortSelector> : Table<PortSelector> {
  static constexpr Field<PortSelector> kFields[] = {{"number", at<&PortSelector::number, port_number>}};
  static void check(Reader& reader, const PortSelector&, const text::Node& node) {
    if (node.find("number") == nullptr) reader.error(kMissingField, "the port has no number", "write port: {number: 9080}");
  }
};
template <>
struct Shape<Percent> : Table<Percent> {
  static constexpr Field<Percent> kFields[] = {{"value", at<&Percent::value>}};
};
template <>
struct Shape<LabelSelector> : Table<LabelSelector> {
  static constexpr Field<LabelSelector> kFields[] = {{"labels", at<&LabelSelector::labels, workload_selector>}};
};
template <>
struct Shape<MatchLabels> : Table<MatchLabels> {
  static constexpr Field<MatchLabels> kFields[] = {{"matchLabels", at<&MatchLabels::labels, workload_selector>}};
};

// Reads {number: N} into a plain number.
template <class T, auto Member>
void port_selector(Reader& reader, const text::Node& node, T& out) {
  PortSelector selector;
  if (read_value(reader, node, selector)) out.*Member = selector.number;
}
// Reads {value: 50.0} into an optional number. An empty mapping is 0, as in protobuf.
template <class T, auto Member, auto... Checks>
void percent_value(Reader& reader, const text::Node& node, T& out) {
  Percent percent;
  if (!read_value(reader, node, percent)) return;
  (Checks(reader, percent.value), ...);
  out.*Member = percent.value;
}

inline bool has(const text::Node& node, std::string_view key) {
  const text::Node* value = node.find(key);
  return value != nullptr && !value->is_null();
}

}  // namespace lateen::model
