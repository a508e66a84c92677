#include "sources/stored_object.h"

#include <cctype>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "model/read.h"

namespace lateen::sources {

namespace {

constexpr std::string_view kHeader = "# applied ";
constexpr std::string_view kFromWord = " from ";
constexpr int kLineMax = 1'000'000;
constexpr std::size_t kFileNameBytesMax = 200;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_') {
      out += c;
      continue;
    }
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", byte);
    out += hex;
  }
  return out;
}

// FNV-1a: only to keep two long names apart.
std::uint64_t name_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

}  // namespace

std::string stored_file_name(const model::Key& key) {
  std::string name = std::string(model::names(key.kind).hyphenated) + "." + escaped(key.namespace_) + "." + escaped(key.name);
  if (name.size() > kFileNameBytesMax) {
    const std::uint64_t hash = name_hash(name);
    name.resize(kFileNameBytesMax);
    name += "~" + std::to_string(hash);
  }
  return name + ".yaml";
}

std::string format_time(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time - seconds).count();
  const std::time_t whole = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09lldZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<long long>(nanoseconds));
  return text;
}

std::optional<WallTime> parse_time(std::string_view text) {
  std::tm parts{};
  int used = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour,
                  &parts.tm_min, &parts.tm_sec, &used) != 6)
    return std::nullopt;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  std::string_view rest = text.substr(static_cast<std::size_t>(used));
  long long nanoseconds = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    long long unit = 100'000'000;
    while (!rest.empty() && std::isdigit(static_cast<unsigned char>(rest.front())) != 0) {
      nanoseconds += (rest.front() - '0') * unit;
      unit /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z") return std::nullopt;
  return WallTime(std::chrono::seconds(timegm(&parts)) + std::chrono::nanoseconds(nanoseconds));
}

std::string stored_text(const model::Object& object) {
  std::string text(kHeader);
  text += format_time(object.meta.created.value_or(WallTime{}));
  // Where it came from, so that messages name the user's file and line after a restart too.
  const bool one_line = object.file.find('\n') == std::string::npos;
  if (!object.file.empty() && one_line) text.append(kFromWord).append(std::to_string(object.positions.first_line())).append(" ").append(object.file);
  text += "\n" + object.yaml;
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

namespace {

struct Header {
  WallTime created;
  int line = 0;
  std::string file;
};

std::optional<Header> parse_header(std::string_view text) {
  const std::size_t from = text.find(kFromWord);
  const auto created = parse_time(text.substr(0, from));
  if (!created) return std::nullopt;
  Header header{*created, 0, {}};
  if (from == std::string_view::npos) return header;
  text.remove_prefix(from + kFromWord.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), header.line);
  if (error != std::errc() || header.line < 0 || header.line > kLineMax) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(' ')) return std::nullopt;
  header.file = text.substr(1);
  return header;
}

Result<model::ObjectPtr> read_one(std::string_view document, const std::string& file, const Origin& whole) {
  const model::ReadResult read = model::read_manifests(document, file);
  if (read.objects.size() == 1) return read.objects.front();
  for (const Diagnostic& problem : read.problems)
    if (problem.severity == Severity::kError) return fail(ErrorCode::kInvalidConfig, problem.message, problem.origin);
  return fail(ErrorCode::kInvalidConfig, "has " + std::to_string(read.objects.size()) + " objects instead of one", whole);
}

}  // namespace

Result<model::ObjectPtr> parse_stored(std::string_view text, std::string_view path) {
  const Origin whole{.file = std::string(path), .line = 1, .column = 1, .object = {}, .field_path = {}};
  const std::size_t end = text.find('\n');
  if (!text.starts_with(kHeader) || end == std::string_view::npos)
    return fail(ErrorCode::kInvalidConfig, "is not a stored object: its first line has no time of creation", whole);
  const auto header = parse_header(text.substr(kHeader.size(), end - kHeader.size()));
  if (!header) return fail(ErrorCode::kInvalidConfig, "has a first line that cannot be read", whole);
  const std::string_view document = text.substr(end + 1);
  const std::string file = header->file.empty() ? std::string(path) : header->file;
  LATEEN_TRY(model::ObjectPtr read, read_one(document, file, whole));
  if (const int shift = header->line - read->positions.first_line(); header->line > 0 && shift > 0) {
    const std::string shifted = std::string(static_cast<std::size_t>(shift), '\n') + std::string(document);
    LATEEN_TRY(read, read_one(shifted, file, whole));
  }
  model::Object object = *read;
  object.meta.created = header->created;
  object.file = header->file;
  object.yaml = document;
  return std::make_shared<const model::Object>(std::move(object));
}

}  // namespace lateen::sources
