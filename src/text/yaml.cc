#include "text/yaml.h"

#include <libfyaml.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "text/scalar.h"
#include "text/utf8.h"

namespace lateen::text {

namespace {

struct Piece {
  std::string_view text;
  int line;
};

bool is_marker(std::string_view line, std::string_view marker) {
  return line.starts_with(marker) && (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
}

bool is_blank_or_comment(std::string_view line) {
  const auto first = line.find_first_not_of(" \t\r");
  return first == std::string_view::npos || line[first] == '#';
}

// Cuts a stream at its document markers. YAML forbids them at the start of a line everywhere else, block scalars and
// quoted strings included, so this needs no parser. A marker's own line belongs to the document that it opens, so
// that `--- {a: 1}` and directives before it stay whole.
std::vector<Piece> split_stream(std::string_view input) {
  std::vector<Piece> pieces;
  std::size_t start = 0, position = 0;
  int start_line = 1, line_number = 1;
  bool content = false, directives = false;
  const auto cut = [&](std::size_t end, std::size_t next, int next_line) {
    if (content) pieces.push_back({input.substr(start, end - start), start_line});
    start = next;
    start_line = next_line;
    content = directives = false;
  };
  while (position < input.size()) {
    const std::size_t newline = std::min(input.find('\n', position), input.size());
    const std::string_view line = input.substr(position, newline - position);
    const std::size_t next = std::min(newline + 1, input.size());
    if (is_marker(line, "---")) {
      if (!directives) cut(position, position, line_number);
      content = true;
      directives = false;
    } else if (is_marker(line, "...")) {
      cut(position, next, line_number + 1);
    } else if (!content && line.starts_with('%')) {
      content = directives = true;
    } else if (!is_blank_or_comment(line)) {
      content = true;
    }
    position = next;
    ++line_number;
  }
  cut(input.size(), input.size(), line_number);
  return pieces;
}

// What is shown and kept as the text of a document: without the line of its bare `---`.
std::string_view without_marker(std::string_view text) {
  const std::size_t newline = text.find('\n');
  if (newline == std::string_view::npos || !is_marker(text.substr(0, newline), "---")) return text;
  return is_blank_or_comment(text.substr(3, newline - 3)) ? text.substr(newline + 1) : text;
}

// One document: events of libfyaml in, a Node out.
class DocumentReader {
 public:
  DocumentReader(Piece piece, std::string_view file, const YamlLimits& limits) : piece_(piece), file_(file), limits_(limits) {
    fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = nullptr;
    diag_config.output_fn = [](fy_diag*, void*, const char*, std::size_t) {};
    diag_.reset(fy_diag_create(&diag_config));
    fy_diag_set_collect_errors(diag_.get(), true);
    fy_parse_cfg config{};
    config.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_COLLECT_DIAG);
    config.diag = diag_.get();
    parser_.reset(fy_parser_create(&config));
  }

  // Nothing for a stream without a document.
  Result<std::vector<Node>> read() {
    std::vector<Node> roots;
    if (piece_.text.size() > limits_.max_document_bytes)
      return error_at(piece_.line, 1, ErrorCode::kOverLimit, "the document is larger than " + std::to_string(limits_.max_document_bytes) + " bytes");
    if (const auto zero = piece_.text.find('\0'); zero != std::string_view::npos) return error_at_offset(zero, "the file holds a NUL byte");
    // Also because libfyaml 0.7.12 never comes back from such a byte in a directive ("%" FD LF).
    if (const auto bad = find_invalid_utf8(piece_.text)) return error_at_offset(*bad, "the file is not UTF-8 here");
    if (parser_ == nullptr || fy_parser_set_string(parser_.get(), piece_.text.data(), piece_.text.size()) != 0)
      return error_at(piece_.line, 1, ErrorCode::kSystem, "the YAML reader could not be started");
    while (true) {
      Event event = next();
      if (event == nullptr) return syntax_error();
      if (event->type == FYET_STREAM_END) return roots;
      if (event->type != FYET_DOCUMENT_START) continue;
      anchors_.clear();
      alias_nodes_ = 0;
      event = next();
      if (event == nullptr) return syntax_error();
      if (event->type == FYET_DOCUMENT_END) continue;
      LATEEN_TRY(Node root, value(event.get(), 0, {piece_.line, 1}));
      roots.push_back(std::move(root));
    }
  }

 private:
  struct ParserFree {
    void operator()(fy_parser* parser) const { fy_parser_destroy(parser); }
  };
  struct DiagFree {
    void operator()(fy_diag* diag) const { fy_diag_destroy(diag); }
  };
  struct EventFree {
    fy_parser* parser;
    void operator()(fy_event* event) const { fy_parser_event_free(parser, event); }
  };
  using Event = std::unique_ptr<fy_event, EventFree>;
  struct Place {
    int line, column;
  };

  Event next() { return Event(fy_parser_parse(parser_.get()), EventFree{parser_.get()}); }

  Place place(fy_event* event, Place otherwise) const {
    const fy_mark* mark = fy_event_start_mark(event);
    if (mark == nullptr || mark->line < 0 || mark->column < 0) return otherwise;
    // The mark of a quoted scalar and of an alias stands behind its first character.
    const bool quoted = event->type == FYET_SCALAR && event->scalar.value != nullptr &&
                        (fy_token_scalar_style(event->scalar.value) == FYSS_SINGLE_QUOTED || fy_token_scalar_style(event->scalar.value) == FYSS_DOUBLE_QUOTED);
    const int behind = (quoted || event->type == FYET_ALIAS) && mark->column > 0 ? 1 : 0;
    return {piece_.line + mark->line, mark->column + 1 - behind};
  }

  static std::string token_text(fy_token* token) {
    if (token == nullptr) return {};
    std::size_t size = 0;
    const char* data = fy_token_get_text(token, &size);
    return data == nullptr ? std::string() : std::string(data, size);
  }

  tl::unexpected<Error> error_at(int line, int column, ErrorCode code, std::string message) const {
    return fail(code, std::move(message), Origin{std::string(file_), line, column, {}, {}});
  }
  tl::unexpected<Error> error_at(Place where, std::string message) const {
    return error_at(where.line, where.column, ErrorCode::kInvalidConfig, std::move(message));
  }
  tl::unexpected<Error> error_at_offset(std::size_t offset, std::string message) const {
    const std::string_view before = piece_.text.substr(0, offset);
    const auto newline = before.rfind('\n');
    const int line = piece_.line + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t column = newline == std::string_view::npos ? offset : offset - newline - 1;
    return error_at({line, static_cast<int>(column) + 1}, std::move(message));
  }

  tl::unexpected<Error> syntax_error() const {
    void* cursor = nullptr;
    const fy_diag_error* first = fy_diag_errors_iterate(diag_.get(), &cursor);
    if (first == nullptr || first->msg == nullptr) return error_at({piece_.line, 1}, "is not valid YAML");
    return error_at(within({piece_.line + std::max(first->line, 0), std::max(first->column, 0) + 1}), "is not valid YAML: " + std::string(first->msg));
  }

  // libfyaml counts the end of the input as a line or two of its own; a message names a line that is there.
  Place within(Place where) const {
    std::string_view text = piece_.text;
    while (text.ends_with('\n')) text.remove_suffix(1);
    const int last = piece_.line + static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    if (where.line <= last) return where;
    const auto newline = text.rfind('\n');
    return {last, static_cast<int>(newline == std::string_view::npos ? text.size() : text.size() - newline - 1) + 1};
  }

  Result<Node> value(fy_event* event, int depth, Place otherwise) {
    const Place where = place(event, otherwise);
    if (depth > limits_.max_depth) return error_at(where, "is nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    switch (event->type) {
      case FYET_SCALAR: {
        LATEEN_TRY(Node node, scalar(event, where));
        return anchored(event->scalar.anchor, std::move(node), where);
      }
      case FYET_SEQUENCE_START: {
        const std::string anchor = token_text(event->sequence_start.anchor);
        LATEEN_TRY_VOID(check_collection_tag(event->sequence_start.tag, "tag:yaml.org,2002:seq", where));
        LATEEN_TRY(Node node, sequence(depth, where));
        return remember(anchor, std::move(node), where);
      }
      case FYET_MAPPING_START: {
        const std::string anchor = token_text(event->mapping_start.anchor);
        LATEEN_TRY_VOID(check_collection_tag(event->mapping_start.tag, "tag:yaml.org,2002:map", where));
        LATEEN_TRY(Node node, mapping(depth, where));
        return remember(anchor, std::move(node), where);
      }
      case FYET_ALIAS: return alias(event, where);
      case FYET_NONE:
      case FYET_STREAM_START:
      case FYET_STREAM_END:
      case FYET_DOCUMENT_START:
      case FYET_DOCUMENT_END:
      case FYET_SEQUENCE_END:
      case FYET_MAPPING_END: break;
    }
    return error_at(where, "is not valid YAML: a value is missing here");
  }

  Result<Node> scalar(fy_event* event, Place where) const {
    Node node;
    node.line = where.line;
    node.column = where.column;
    node.scalar = token_text(event->scalar.value);
    const std::string tag = token_text(event->scalar.tag);
    const bool plain = event->scalar.value == nullptr || fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    if (!tag.empty() && tag != "!" && !tag.starts_with("tag:yaml.org,2002:")) return error_at(where, "carries the tag " + tag + ", which means nothing here");
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!plain || text) {
      node.type = Node::Type::kString;
      node.quoted = true;
      return node;
    }
    node.type = plain_scalar_type(node.scalar);
    if (node.type == Node::Type::kBool) node.scalar = plain_bool(node.scalar) ? "true" : "false";
    if (node.type == Node::Type::kNull) node.scalar.clear();
    return node;
  }

  Result<void> check_collection_tag(fy_token* token, std::string_view allowed, Place where) const {
    const std::string tag = token_text(token);
    if (!tag.empty() && tag != "!" && tag != allowed) return error_at(where, "carries the tag " + tag + ", which means nothing here");
    return {};
  }

  Result<Node> sequence(int depth, Place where) {
    Node node;
    node.type = Node::Type::kSequence;
    node.line = where.line;
    node.column = where.column;
    while (true) {
      const Event event = next();
      if (event == nullptr) return syntax_error();
      if (event->type == FYET_SEQUENCE_END) return node;
      LATEEN_TRY(Node item, value(event.get(), depth + 1, where));
      node.items.push_back(std::move(item));
    }
  }

  Result<Node> mapping(int depth, Place where) {
    Node node;
    node.type = Node::Type::kMapping;
    node.line = where.line;
    node.column = where.column;
    std::unordered_map<std::string, int> lines;
    std::vector<Node> merged;
    while (true) {
      const Event key_event = next();
      if (key_event == nullptr) return syntax_error();
      if (key_event->type == FYET_MAPPING_END) break;
      const Place key_place = place(key_event.get(), where);
      LATEEN_TRY(Node key, value(key_event.get(), depth + 1, key_place));
      if (key.is_mapping() || key.is_sequence()) return error_at(key_place, "a key must be a word, not " + std::string(describe(key.type)));
      if (key.is_null()) return error_at(key_place, "a key is missing here");
      const Event event = next();
      if (event == nullptr) return syntax_error();
      LATEEN_TRY(Node item, value(event.get(), depth + 1, key_place));
      if (key.scalar == "<<" && !key.quoted) {
        LATEEN_TRY_VOID(merge_sources(std::move(item), key_place, merged));
        continue;
      }
      const auto [first, is_new] = lines.emplace(key.scalar, key_place.line);
      if (!is_new)
        return error_at(key_place, "the key \"" + key.scalar + "\" occurs twice, first in line " + std::to_string(first->second));
      node.members.push_back(Member{std::move(key.scalar), key_place.line, key_place.column, std::move(item)});
    }
    for (Node& source : merged)
      for (Member& member : source.members)
        if (lines.emplace(member.key, member.line).second) node.members.push_back(std::move(member));
    return node;
  }

  Result<void> merge_sources(Node item, Place where, std::vector<Node>& merged) const {
    if (item.is_mapping()) {
      merged.push_back(std::move(item));
      return {};
    }
    for (Node& source : item.items) {
      if (!source.is_mapping()) return error_at(where, "`<<` merges mappings only");
      merged.push_back(std::move(source));
    }
    if (!item.is_sequence()) return error_at(where, "`<<` merges mappings only");
    return {};
  }

  Result<Node> anchored(fy_token* anchor, Node node, Place where) { return remember(token_text(anchor), std::move(node), where); }

  Result<Node> remember(const std::string& anchor, Node node, Place where) {
    if (anchor.empty()) return node;
    LATEEN_TRY_VOID(spend(node, where));
    anchors_[anchor] = node;
    return node;
  }

  Result<Node> alias(fy_event* event, Place where) {
    const std::string name = token_text(event->alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) return error_at(where, "the alias *" + name + " has no anchor &" + name + " before it");
    LATEEN_TRY_VOID(spend(found->second, where));
    return found->second;
  }

  Result<void> spend(const Node& node, Place where) {
    alias_nodes_ += count(node);
    if (alias_nodes_ > limits_.max_alias_nodes)
      return error_at(where.line, where.column, ErrorCode::kOverLimit, "anchors and aliases copy more than " + std::to_string(limits_.max_alias_nodes) + " values");
    return {};
  }

  static std::size_t count(const Node& node) {
    std::size_t total = 1;
    for (const Node& item : node.items) total += count(item);
    for (const Member& member : node.members) total += count(member.value);
    return total;
  }

  Piece piece_;
  std::string_view file_;
  YamlLimits limits_;
  std::unique_ptr<fy_diag, DiagFree> diag_;
  std::unique_ptr<fy_parser, ParserFree> parser_;
  std::map<std::string, Node> anchors_;
  std::size_t alias_nodes_ = 0;
};

bool is_empty(const Node& node) { return node.is_null(); }

}  // namespace

YamlStream read_yaml(std::string_view input, std::string_view file, const YamlLimits& limits) {
  YamlStream stream;
  const auto refuse = [&](std::string message, int line) {
    stream.bad.push_back({Error{ErrorCode::kOverLimit, std::move(message), Origin{std::string(file), line, 1, {}, {}}}, {}});
  };
  if (input.size() > limits.max_stream_bytes) {
    refuse("is larger than " + std::to_string(limits.max_stream_bytes) + " bytes", 1);
    return stream;
  }
  if (input.starts_with("\xEF\xBB\xBF")) input.remove_prefix(3);
  for (const Piece& piece : split_stream(input)) {
    if (stream.documents.size() + stream.bad.size() >= limits.max_documents) {
      refuse("holds more than " + std::to_string(limits.max_documents) + " documents", piece.line);
      break;
    }
    auto roots = DocumentReader(piece, file, limits).read();
    const std::string_view text = without_marker(piece.text);
    if (!roots) {
      stream.bad.push_back({std::move(roots).error(), text});
      continue;
    }
    for (Node& root : *roots)
      if (!is_empty(root)) stream.documents.push_back({std::move(root), text, piece.line});
  }
  return stream;
}

}  // namespace lateen::text
