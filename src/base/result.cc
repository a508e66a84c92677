#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace lateen {

std::string to_string(const Origin& origin) {
  if (origin.file.empty()) return {};
  std::string text = origin.file;
  if (origin.line == 0) return text;
  text += ":" + std::to_string(origin.line);
  if (origin.column != 0) text += ":" + std::to_string(origin.column);
  return text;
}

std::string to_string(const Error& error) {
  std::string text = to_string(error.origin);
  const auto join = [&text](const std::string& part) {
    if (part.empty()) return;
    if (!text.empty()) text += ": ";
    text += part;
  };
  join(error.origin.object);
  join(error.origin.field_path);
  join(error.message);
  return text;
}

void check_failed(const char* text, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, text);
  std::abort();
}

}  // namespace lateen
