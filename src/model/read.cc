#include "model/read.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

#include "model/kinds.h"
#include "model/metadata.h"
#include "text/edit_distance.h"
#include "text/json.h"
#include "text/yaml.h"
#include "text/yaml_writer.h"

namespace lateen::model {

namespace {

constexpr int kMaxListDepth = 2;  // a List in a List is read, no deeper

bool is_namespaced(Kind kind) { return kind != Kind::kNamespace; }

// Reads the documents of one text into one result.
class ManifestReader {
 public:
  ManifestReader(std::string_view file, ReadResult& result) : file_(file), result_(result) {}

  void document(const text::Node& node, std::string_view yaml, int depth) {
    if (!node.is_mapping()) return refuse(node, "", kNotAManifest, "is " + std::string(text::describe(node.type)) + ", not a manifest", "a manifest has apiVersion, kind and metadata");
    const text::Node* kind = node.find("kind");
    if (kind == nullptr || kind->text().empty()) return refuse(node, "", kNotAManifest, "the document has no kind", "write kind: VirtualService");
    const text::Node* version = node.find("apiVersion");
    if (kind->text() == "List" || (kind->text().ends_with("List") && node.find("items") != nullptr)) return list(node, depth);
    if (version == nullptr || version->text().empty())
      return refuse(node, label(node), kNotAManifest, "the document has no apiVersion", "write apiVersion: networking.istio.io/v1");
    const Classified classified = classify(version->text(), kind->text(), node);
    switch (classified.as) {
      case Classified::As::kOurs: return object(*classified.reader, node, yaml);
      case Classified::As::kRefused: return refuse_at(*kind, node, classified);
      case Classified::As::kIgnored: break;
    }
    const text::Node* name = node.at({"metadata", "name"});
    result_.ignored.push_back({std::string(version->text()), std::string(kind->text()), std::string(name == nullptr ? "" : name->text()),
                               Origin{std::string(file_), node.line, node.column, label(node), {}}});
  }

  void unreadable(const Error& error, std::string_view text) {
    Diagnostic problem{std::string(kSyntax), Severity::kError, error.origin, error.message, ""};
    if (const auto key = guess_key(text)) {
      problem.origin.object = to_string(*key);
      result_.unreadable.emplace(*key, problem);
    }
    result_.problems.push_back(std::move(problem));
  }

 private:
  // "VirtualService default/reviews" of a document that may be anything.
  static std::string label(const text::Node& node) {
    const auto word = [&](std::initializer_list<std::string_view> path, std::string_view otherwise) {
      const text::Node* found = node.at(path);
      return std::string(found == nullptr || found->text().empty() ? otherwise : found->text());
    };
    return word({"kind"}, "") + " " + word({"metadata", "namespace"}, "default") + "/" + word({"metadata", "name"}, "");
  }

  void refuse(const text::Node& node, std::string object, std::string_view code, std::string message, std::string fix) {
    result_.problems.push_back({std::string(code), Severity::kError, Origin{std::string(file_), node.line, node.column, std::move(object), {}}, std::move(message), std::move(fix)});
  }

  void refuse_at(const text::Node& kind, const text::Node& node, const Classified& classified) {
    result_.problems.push_back({std::string(classified.code), Severity::kError, Origin{std::string(file_), kind.line, kind.column, label(node), "kind"}, classified.message, classified.fix});
  }

  void list(const text::Node& node, int depth) {
    const text::Node* items = node.find("items");
    if (depth >= kMaxListDepth) return refuse(node, "List", kNotAManifest, "Lists are nested too deep", "");
    if (items == nullptr || items->is_null()) return;
    if (!items->is_sequence()) return refuse(*items, "List", kWrongType, "items must be a list", "");
    for (const text::Node& item : items->items) document(item, text::write_yaml(item), depth + 1);
  }

  void object(const KindReader& kind, const text::Node& node, std::string_view yaml) {
    const KindNames& known = names(kind.kind);
    Reader reader(file_, label(node), known.is_istio ? Reader::Mode::kStrict : Reader::Mode::kTolerant);
    reader.start_at({node.line, node.column});
    Object out;
    out.kind = kind.kind;
    out.meta = read_metadata(reader, node, is_namespaced(kind.kind));
    if (out.meta.name.empty() && reader.error_count() == 0)
      reader.error_below("metadata.name", kMissingField, "the object has no name", "write metadata: {name: NAME}");
    const Key key = out.key();
    reader.set_object(to_string(key), key.namespace_);
    read_spec(reader, kind, node, out.spec);
    if (kind.kind == Kind::kDestinationRule) check_load_balancer_annotation(reader, out.meta);
    finish(reader, std::move(out), node, yaml);
  }

  static void read_spec(Reader& reader, const KindReader& kind, const text::Node& node, Spec& spec) {
    if (!kind.spec_only) {
      spec = kind.read(reader, node);
      return;
    }
    static constexpr std::string_view kTop[] = {"apiVersion", "kind", "metadata", "spec", "status"};
    bool found = false;
    for (const text::Member& member : node.members) {
      if (std::find(std::begin(kTop), std::end(kTop), member.key) == std::end(kTop)) reader.unknown_field(member, kTop);
      if (member.key != "spec" || member.value.is_null()) continue;
      found = true;
      const Reader::In in(reader, member);
      spec = kind.read(reader, member.value);
    }
    if (!found) reader.error(kMissingField, "the object has no spec");
  }

  void finish(Reader& reader, Object out, const text::Node& node, std::string_view yaml) {
    const Key key = out.key();
    std::vector<Diagnostic> problems = reader.take_problems();
    const bool good = reader.error_count() == 0;
    const auto [first, is_new] = seen_.emplace(key, node.line);
    if (good && !is_new) {
      Origin origin{std::string(file_), node.line, node.column, to_string(key), {}};
      problems.push_back({std::string(kDuplicateObject), Severity::kError, std::move(origin), "is defined twice, first in line " + std::to_string(first->second), "take one of them out, or give it another name"});
    } else if (!good && !out.meta.name.empty()) {
      for (const Diagnostic& problem : problems)
        if (problem.severity == Severity::kError) {
          result_.unreadable.emplace(key, problem);
          break;
        }
    } else if (good) {
      out.api_version = node.find("apiVersion")->text();
      out.file = file_;
      PositionsByPath positions = reader.take_positions();
      positions.emplace("", Position{node.line, node.column});
      out.positions = FieldPositions(positions);
      out.yaml = yaml;
      out.content_hash = reader.content_hash() ^ (static_cast<std::uint64_t>(key.kind) * 0x9e3779b97f4a7c15ULL);
      result_.objects.push_back(std::make_shared<const Object>(std::move(out)));
    }
    std::move(problems.begin(), problems.end(), std::back_inserter(result_.problems));
  }

  // Kind and name of a document that is no YAML, by its lines: enough to know which object's last good version serves on.
  static std::optional<Key> guess_key(std::string_view text) {
    Key key;
    key.namespace_ = "default";
    bool has_kind = false, in_metadata = false;
    while (!text.empty()) {
      const auto newline = text.find('\n');
      std::string_view line = text.substr(0, newline);
      text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
      const bool top = !line.empty() && line.front() != ' ' && line.front() != '\t' && line.front() != '#';
      if (top) in_metadata = line.starts_with("metadata:");
      const auto value_of = [&](std::string_view key_text) -> std::string_view {
        const auto start = line.find_first_not_of(" \t");
        if (start == std::string_view::npos || !line.substr(start).starts_with(key_text)) return {};
        std::string_view value = line.substr(start + key_text.size());
        const auto from = value.find_first_not_of(" \t\"'");
        if (from == std::string_view::npos) return {};
        value.remove_prefix(from);
        return value.substr(0, value.find_first_of(" \t\r\"'#"));
      };
      if (top && line.starts_with("kind:"))
        if (const auto kind = parse_kind(value_of("kind:"))) {
          key.kind = *kind;
          has_kind = true;
        }
      if (!in_metadata || top) continue;
      if (key.name.empty()) key.name = value_of("name:");
      if (const auto space = value_of("namespace:"); !space.empty()) key.namespace_ = space;
    }
    if (!has_kind || key.name.empty()) return std::nullopt;
    if (!is_namespaced(key.kind)) key.namespace_.clear();
    return key;
  }

  std::string_view file_;
  ReadResult& result_;
  std::map<Key, int> seen_;
};

}  // namespace

ReadResult read_manifests(std::string_view text, std::string_view file) {
  ReadResult result;
  ManifestReader reader(file, result);
  if (file.ends_with(".json")) {
    auto root = text::read_json(text, file);
    if (!root) reader.unreadable(root.error(), "");
    else reader.document(*root, text::write_yaml(*root), 0);
    return result;
  }
  const text::YamlStream stream = text::read_yaml(text, file);
  for (const text::YamlDocument& document : stream.documents) reader.document(document.root, document.text, 0);
  for (const text::YamlBadDocument& bad : stream.bad) reader.unreadable(bad.error, bad.text);
  return result;
}

ReadResult read_document(const text::Node& root, std::string_view file) {
  ReadResult result;
  ManifestReader(file, result).document(root, text::write_yaml(root), 0);
  return result;
}

}  // namespace lateen::model
