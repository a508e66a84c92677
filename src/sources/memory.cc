#include "sources/memory.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sources/stored_object.h"

namespace lateen::sources {

namespace {

// "# object 123\n", then so many bytes.
constexpr std::string_view kFrame = "# object ";

}  // namespace

Result<void> store_memory(const std::string& path, const std::map<model::Key, model::ObjectPtr>& serving) {
  const std::string temporary = path + ".new";
  {
    std::ofstream output(temporary, std::ios::binary | std::ios::trunc);
    for (const auto& [key, object] : serving) {
      const std::string text = stored_text(*object);
      output << kFrame << text.size() << '\n' << text;
    }
    output.flush();
    if (!output) return fail(ErrorCode::kSystem, "cannot write " + temporary + ": " + std::strerror(errno));
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return fail(ErrorCode::kSystem, "cannot store " + path + ": " + std::strerror(errno));
  return {};
}

Result<std::map<model::Key, model::ObjectPtr>> load_memory(const std::string& path) {
  std::map<model::Key, model::ObjectPtr> serving;
  std::ifstream input(path, std::ios::binary);
  if (!input) return serving;
  const std::string text((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
  std::string_view rest = text;
  while (!rest.empty()) {
    std::size_t size = 0;
    const std::size_t end = rest.find('\n');
    if (!rest.starts_with(kFrame) || end == std::string_view::npos)
      return fail(ErrorCode::kInvalidConfig, path + " is damaged");
    const char* const last = rest.data() + end;
    const auto [stop, error] = std::from_chars(rest.data() + kFrame.size(), last, size);
    rest.remove_prefix(end + 1);
    if (error != std::errc() || stop != last || size > rest.size()) return fail(ErrorCode::kInvalidConfig, path + " is damaged");
    // An object that an older program could read and this one cannot is left out.
    if (const auto object = parse_stored(rest.substr(0, size), path)) serving[(*object)->key()] = *object;
    rest.remove_prefix(size);
  }
  return serving;
}

FirstSeen first_seen_of(const std::map<model::Key, model::ObjectPtr>& serving) {
  FirstSeen seen;
  for (const auto& [key, object] : serving)
    if (object->meta.created) seen[key] = *object->meta.created;
  return seen;
}

}  // namespace lateen::sources
