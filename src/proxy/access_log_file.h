// AccessLogFile: where access log lines end up. Appends to a file or to standard output without ever waiting for a slow
// reader of a pipe: what does not go out is kept up to a bound, then dropped by whole lines and counted.
// The process must ignore SIGPIPE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace lateen::proxy {

class AccessLogFile {
 public:
  static constexpr std::size_t kPendingBytesMax = 8 * 1024 * 1024;

  // "-": standard output, which is not closed. Errors: kSystem.
  static Result<AccessLogFile> open(const std::string& path);
  // Takes over `fd`; for tests.
  static AccessLogFile over(int fd);

  AccessLogFile(AccessLogFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), owned_(other.owned_), regular_(other.regular_),
        pending_(std::move(other.pending_)), dropped_(other.dropped_) {}
  AccessLogFile& operator=(AccessLogFile&&) = delete;
  ~AccessLogFile();

  // Whole lines. Writes what the file takes.
  void write(std::string lines);
  std::uint64_t dropped() const { return dropped_; }   // lines

 private:
  AccessLogFile(int fd, bool owned);
  std::size_t write_some(const char* data, std::size_t size);

  int fd_ = -1;
  bool owned_ = false;
  bool regular_ = false;      // a file: always ready, one call takes everything
  std::string pending_;
  std::uint64_t dropped_ = 0;
};

}  // namespace lateen::proxy
