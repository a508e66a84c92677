#include "cli/describe_text.h"

#include <cctype>

#include "text/json_writer.h"
#include "text/yaml.h"
#include "text/yaml_writer.h"

namespace lateen::cli {

namespace {

using text::Node;

Node string_node(std::string value) {
  Node node;
  node.type = Node::Type::kString;
  node.scalar = std::move(value);
  return node;
}

Node* member(Node& mapping, std::string_view key) {
  for (text::Member& member : mapping.members)
    if (member.key == key) return &member.value;
  return nullptr;
}

void set_if_missing(Node& mapping, std::string_view key, std::string value) {
  if (member(mapping, key) != nullptr || value.empty()) return;
  mapping.members.push_back({std::string(key), 0, 0, string_node(std::move(value))});
}

// The document as it was written, with what the mesh knows of it besides: namespace and time of creation.
Node document_of(const ObjectRow& row) {
  const text::YamlStream stream = text::read_yaml(row.text, row.name);
  Node root;
  root.type = Node::Type::kMapping;
  if (!stream.documents.empty()) root = stream.documents.front().root;
  // One item of a List was applied: the list is not the object.
  Node* metadata = member(root, "metadata");
  if (metadata == nullptr || !metadata->is_mapping()) return root;
  std::string created = row.created;
  if (const std::size_t dot = created.find('.'); dot != std::string::npos) created = created.substr(0, dot) + "Z";
  set_if_missing(*metadata, "namespace", row.namespace_);
  set_if_missing(*metadata, "creationTimestamp", created);
  return root;
}

Node list_of(const std::vector<ObjectRow>& rows) {
  Node list, items;
  list.type = Node::Type::kMapping;
  items.type = Node::Type::kSequence;
  for (const ObjectRow& row : rows) items.items.push_back(document_of(row));
  list.members.push_back({"apiVersion", 0, 0, string_node("v1")});
  list.members.push_back({"items", 0, 0, std::move(items)});
  list.members.push_back({"kind", 0, 0, string_node("List")});
  return list;
}

// "perTryTimeout" -> "Per Try Timeout".
std::string words_of(const std::string& key) {
  std::string words;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto c = static_cast<unsigned char>(key[i]);
    const bool starts = i == 0 || (std::isupper(c) != 0 && std::islower(static_cast<unsigned char>(key[i - 1])) != 0);
    if (starts && i > 0) words += ' ';
    words += static_cast<char>(starts ? std::toupper(c) : c);
  }
  return words;
}

void describe_node(const Node& node, int indent, std::string& out);

void describe_member(const std::string& name, const Node& value, int indent, std::string& out) {
  out.append(static_cast<std::size_t>(indent), ' ').append(name).append(":");
  if (value.is_mapping() || value.is_sequence()) {
    out += '\n';
    describe_node(value, indent + 2, out);
  } else {
    out.append(value.scalar.empty() ? "" : "  ").append(value.scalar).append("\n");
  }
}

void describe_node(const Node& node, int indent, std::string& out) {
  for (const text::Member& member : node.members) describe_member(words_of(member.key), member.value, indent, out);
  for (const Node& item : node.items) {
    if (item.is_mapping() || item.is_sequence())
      describe_node(item, indent, out);
    else
      out.append(static_cast<std::size_t>(indent), ' ').append(item.scalar).append("\n");
  }
}

std::string pairs_text(const Node* mapping) {
  if (mapping == nullptr || mapping->members.empty()) return "<none>";
  std::string text;
  for (const text::Member& member : mapping->members)
    text += (text.empty() ? "" : "\n              ") + member.key + "=" + member.value.scalar;
  return text;
}

}  // namespace

std::string objects_yaml(const std::vector<ObjectRow>& rows, bool one) {
  return text::write_yaml(one ? document_of(rows.front()) : list_of(rows));
}

std::string objects_json(const std::vector<ObjectRow>& rows, bool one) {
  std::string out;
  text::JsonWriter(out, 4).node(one ? document_of(rows.front()) : list_of(rows));
  return out + "\n";
}

std::string describe_text(const ObjectRow& row) {
  const Node document = document_of(row);
  const Node* metadata = document.find("metadata");
  std::string out;
  const auto line = [&](std::string name, const std::string& value) {
    name += ':';
    name.resize(14, ' ');
    out += name + value + "\n";
  };
  line("Name", row.name);
  line("Namespace", row.namespace_);
  line("Labels", pairs_text(metadata == nullptr ? nullptr : metadata->find("labels")));
  line("Annotations", pairs_text(metadata == nullptr ? nullptr : metadata->find("annotations")));
  line("API Version", row.api_version);
  line("Kind", row.kind);
  line("Created", row.created + (row.created.empty() ? "" : " (" + age_text(row.age_seconds) + " ago)"));
  line("Source", source_text(row));
  line("Status", status_text(row));
  for (const text::Member& member : document.members) {
    if (member.key == "apiVersion" || member.key == "kind" || member.key == "metadata") continue;
    describe_member(words_of(member.key), member.value, 0, out);
  }
  return out;
}

}  // namespace lateen::cli
