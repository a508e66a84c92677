#include "cli/object_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "cli/mesh_files.h"
#include "text/edit_distance.h"

namespace lateen::cli {

namespace {

constexpr std::size_t kManifestBytesMax = 16 * 1024 * 1024;

std::string text_of(const text::Node& node, std::string_view key) {
  const text::Node* found = node.find(key);
  return found == nullptr ? std::string() : std::string(found->text());
}

std::int64_t number_of(const text::Node& node, std::string_view key) {
  std::int64_t value = 0;
  if (const text::Node* found = node.find(key))
    std::from_chars(found->scalar.data(), found->scalar.data() + found->scalar.size(), value);
  return value;
}

std::vector<model::Kind> all_kinds() {
  std::vector<model::Kind> kinds;
  for (int i = 0; i < model::kKindCount; ++i) kinds.push_back(static_cast<model::Kind>(i));
  return kinds;
}

std::vector<std::string_view> split_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

bool is_manifest_name(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

}  // namespace

ObjectRow read_row(const text::Node& node) {
  ObjectRow row;
  row.kind = text_of(node, "kind");
  row.resource = text_of(node, "resource");
  row.namespace_ = text_of(node, "namespace");
  row.name = text_of(node, "name");
  row.api_version = text_of(node, "api_version");
  row.source = text_of(node, "source");
  row.file = text_of(node, "file");
  row.line = static_cast<int>(number_of(node, "line"));
  row.created = text_of(node, "created");
  row.age_seconds = number_of(node, "age_seconds");
  if (const text::Node* columns = node.find("columns"))
    for (const text::Node& column : columns->items)
      if (column.items.size() == 2) row.columns.emplace_back(column.items[0].text(), column.items[1].text());
  if (const text::Node* status = node.find("status")) {
    row.standing = text_of(*status, "standing");
    row.reason = text_of(*status, "reason");
    row.because_of = text_of(*status, "because_of");
    const text::Node* last_good = status->find("last_good_serves");
    row.last_good_serves = last_good != nullptr && last_good->scalar == "true";
  }
  row.text = text_of(node, "text");
  return row;
}

Result<model::Kind> parse_kind_word(std::string_view word) {
  if (const auto kind = model::parse_kind(word)) return *kind;
  std::vector<std::string_view> known;
  for (const model::Kind kind : all_kinds()) {
    const model::KindNames& names = model::names(kind);
    known.insert(known.end(), {names.name, names.plural});
    if (!names.short_name.empty()) known.push_back(names.short_name);
  }
  std::string message = "the mesh has no kind \"" + std::string(word) + "\"";
  static constexpr std::array<std::string_view, 8> kWorkloads{"deploy", "deployment", "deployments", "rs", "replicasets", "sts", "statefulsets", "daemonsets"};
  if (std::find(kWorkloads.begin(), kWorkloads.end(), word) != kWorkloads.end())
    message += "; its workloads are workloadentries (we)";
  else if (const auto near = text::closest(word, known)) message += "; did you mean " + std::string(*near) + "?";
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

Result<Wanted> parse_wanted(const std::vector<std::string>& words, const std::string& namespace_) {
  Wanted wanted;
  if (words.empty()) return fail(ErrorCode::kInvalidConfig, "KIND is missing: vs, dr, gw, se, we, svc ...");
  if (words.front() == "all") {
    wanted.kinds = all_kinds();
  } else if (words.front().find('/') != std::string::npos) {
    for (const std::string& word : words) {
      const std::size_t slash = word.find('/');
      if (slash == std::string::npos) return fail(ErrorCode::kInvalidConfig, "write KIND/NAME everywhere, or KIND NAME...");
      LATEEN_TRY(const model::Kind kind, parse_kind_word(std::string_view(word).substr(0, slash)));
      wanted.keys.push_back({kind, namespace_, word.substr(slash + 1)});
    }
    return wanted;
  } else {
    for (const std::string_view word : split_commas(words.front())) {
      LATEEN_TRY(const model::Kind kind, parse_kind_word(word));
      wanted.kinds.push_back(kind);
    }
  }
  wanted.names.assign(words.begin() + 1, words.end());
  if (wanted.kinds.size() > 1 && !wanted.names.empty())
    return fail(ErrorCode::kInvalidConfig, "names go with one kind only");
  return wanted;
}

Result<std::vector<NamedText>> read_manifest_files(std::span<const std::string> paths) {
  std::vector<NamedText> files;
  for (const std::string& path : paths) {
    if (path == "-") {
      files.push_back({std::string(kStandardInput), std::string((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>())});
      continue;
    }
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      LATEEN_TRY(std::string text, read_file(path, kManifestBytesMax));
      files.push_back({path, std::move(text)});
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
      if (is_manifest_name(entry.path())) inside.push_back(entry.path().string());
    if (inside.empty()) return fail(ErrorCode::kNotFound, "the folder " + path + " has no *.yaml, *.yml or *.json");
    std::sort(inside.begin(), inside.end());
    for (const std::string& file : inside) {
      LATEEN_TRY(std::string text, read_file(file, kManifestBytesMax));
      files.push_back({file, std::move(text)});
    }
  }
  return files;
}

std::string plural_resource(model::Kind kind) {
  const model::KindNames& names = model::names(kind);
  std::string text(names.plural);
  if (!names.api_group.empty()) text.append(".").append(names.api_group);
  return text;
}

std::string status_text(const ObjectRow& row) {
  if (row.reason.empty()) return row.standing;
  // The reason of an object that is not in effect names the owner's place itself.
  const bool names_place = row.because_of.empty() || row.reason.find(row.because_of) != std::string::npos;
  std::string text = row.standing + " (" + (names_place ? "" : row.because_of + ": ") + row.reason;
  if (row.last_good_serves) text += "; its last good version serves";
  if (row.standing == "NOT IN EFFECT" && row.kind == "VirtualService" && row.source == "applied") text += "; `apply --takeover` makes this one the owner";
  return text + ")";
}

std::string age_text(std::int64_t seconds) {
  const auto unit = [](std::int64_t value, char letter) { return std::to_string(value) + letter; };
  const auto two = [&](std::int64_t first, char a, std::int64_t second, char b) {
    return second == 0 ? unit(first, a) : unit(first, a) + unit(second, b);
  };
  if (seconds < 0) return "0s";
  const std::int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (seconds < 120) return unit(seconds, 's');
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (hours < 3) return unit(minutes, 'm');
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return unit(hours, 'h');
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  return unit(days, 'd');
}

std::string source_text(const ObjectRow& row) {
  const std::string place = row.file.empty() ? "" : row.file + (row.line > 0 ? ":" + std::to_string(row.line) : "");
  if (row.source == "file") return place;
  return place.empty() ? row.source : row.source + " (" + place + ")";
}

}  // namespace lateen::cli
