// Tables as kubectl and istioctl print them: left-aligned columns.
#pragma once

#include <string>
#include <vector>

namespace lateen::cli {

class Table {
 public:
  // `gap`: blanks between two columns. Go's tabwriter, which both tools use, also pads the last column unless the
  // cells there end their lines without a tab.
  enum class PadLast : bool { kNo, kYes };
  explicit Table(std::vector<std::string> header, std::size_t gap = 3, PadLast pad_last = PadLast::kNo)
      : gap_(gap), pad_last_(pad_last) {
    rows_.push_back(std::move(header));
  }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::size_t size() const { return rows_.size() - 1; }
  std::string to_text() const;

 private:
  std::size_t gap_;
  PadLast pad_last_;
  std::vector<std::vector<std::string>> rows_;
};

// Whether text for people may be coloured: standard output is a terminal, and NO_COLOR is not set.
bool colour_on_stdout();

}  // namespace lateen::cli
