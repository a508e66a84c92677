// Any bytes into the manifest reader: it never crashes, every position lies inside the text, what it accepts is
// accepted again when it is written down, and means the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/read.h"
#include "model/supported.h"
#include "text/yaml.h"
#include "text/yaml_writer.h"

namespace {

using lateen::text::Node;

void expect(bool condition) {
  if (!condition) std::abort();
}

void check_place(int line, int column, int lines) { expect(line >= 0 && line <= lines && column >= 0); }

void check_places(const Node& node, int lines) {
  check_place(node.line, node.column, lines);
  for (const Node& item : node.items) check_places(item, lines);
  for (const lateen::text::Member& member : node.members) {
    check_place(member.line, member.column, lines);
    check_places(member.value, lines);
  }
}

bool same(const Node& a, const Node& b) {
  if (a.type != b.type || a.scalar != b.scalar || a.items.size() != b.items.size() || a.members.size() != b.members.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!same(a.items[i], b.items[i])) return false;
  for (std::size_t i = 0; i < a.members.size(); ++i)
    if (a.members[i].key != b.members[i].key || !same(a.members[i].value, b.members[i].value)) return false;
  return true;
}

// Bytes that are no UTF-8 are replaced when they are written, so the way back is not exact for them.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const int lines = static_cast<int>(std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r')) + 1;

  lateen::text::YamlLimits limits;
  limits.max_alias_nodes = 2'000;
  const lateen::text::YamlStream stream = lateen::text::read_yaml(text, "fuzz.yaml", limits);
  for (const auto& bad : stream.bad) check_place(bad.error.origin.line, bad.error.origin.column, lines);
  for (const auto& document : stream.documents) {
    check_places(document.root, lines);
    if (!is_ascii(text)) continue;
    const lateen::text::YamlStream again = lateen::text::read_yaml(lateen::text::write_yaml(document.root), "again.yaml");
    expect(again.bad.empty() && again.documents.size() == 1 && same(again.documents.front().root, document.root));
  }

  for (const char* name : {"fuzz.yaml", "fuzz.json"}) {
    const lateen::model::ReadResult result = lateen::model::read_manifests(text, name);
    for (const lateen::Diagnostic& problem : result.problems) {
      expect(!problem.code.empty() && !problem.message.empty());
      check_place(problem.origin.line, problem.origin.column, lines);
    }
    for (const lateen::model::ObjectPtr& object : result.objects) {
      expect(!object->meta.name.empty());
      object->positions.each([&](std::string_view, lateen::model::Position position) { check_place(position.line, position.column, lines); });
      lateen::model::unsupported(*object);
    }
  }
  return 0;
}
