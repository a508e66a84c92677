#include "cli/table.h"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>

namespace lateen::cli {

std::string Table::to_text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    if (row.size() > widths.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      const bool last = i + 1 == row.size();
      if (!last || pad_last_ == PadLast::kYes) text.append(widths[i] - row[i].size() + gap_, ' ');
    }
    text += '\n';
  }
  return text;
}

bool colour_on_stdout() {
  const char* no_colour = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace lateen::cli
