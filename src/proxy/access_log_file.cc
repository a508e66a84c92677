#include "proxy/access_log_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lateen::proxy {

namespace {

// What a pipe that is ready for writing takes at once without waiting (pipe(7)).
constexpr std::size_t kPipeBytes = PIPE_BUF;

bool is_regular(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool is_ready(int fd) {
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLOUT) != 0;
}

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

AccessLogFile::AccessLogFile(int fd, bool owned) : fd_(fd), owned_(owned), regular_(is_regular(fd)) {}

Result<AccessLogFile> AccessLogFile::open(const std::string& path) {
  if (path == "-") return AccessLogFile(STDOUT_FILENO, false);
  constexpr mode_t kMode = 0644;
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode);
  if (fd < 0) return fail(ErrorCode::kSystem, "access log " + path + ": " + std::strerror(errno));
  return AccessLogFile(fd, true);
}

AccessLogFile AccessLogFile::over(int fd) { return AccessLogFile(fd, true); }

AccessLogFile::~AccessLogFile() {
  if (owned_ && fd_ >= 0) ::close(fd_);
}

void AccessLogFile::write(std::string lines) {
  if (pending_.empty()) {
    pending_ = std::move(lines);
  } else {
    pending_ += lines;
  }
  std::size_t written = 0;
  while (written < pending_.size()) {
    const std::size_t bytes = write_some(pending_.data() + written, pending_.size() - written);
    if (bytes == 0) break;
    written += bytes;
  }
  pending_.erase(0, written);
  if (pending_.size() <= kPendingBytesMax) return;
  // The newest lines go: what has begun to be written is to end.
  std::size_t keep = pending_.rfind('\n', kPendingBytesMax);
  keep = keep == std::string::npos ? 0 : keep + 1;
  dropped_ += lines_in(std::string_view(pending_).substr(keep));
  pending_.resize(keep);
}

// 0: not now.
std::size_t AccessLogFile::write_some(const char* data, std::size_t size) {
  if (!regular_) {
    if (!is_ready(fd_)) return 0;
    size = std::min(size, kPipeBytes);
  }
  const ssize_t bytes = ::write(fd_, data, size);
  if (bytes > 0) return static_cast<std::size_t>(bytes);
  if (bytes < 0 && errno == EINTR) return write_some(data, size);
  if (bytes < 0 && errno != EAGAIN) {
    // The disk is full or the reader has gone: these lines are lost, the next may find it better.
    dropped_ += lines_in({data, size});
    return size;
  }
  return 0;
}

}  // namespace lateen::proxy
