#include "proxy/access_log.h"

#include <utility>

namespace lateen::proxy {

void WorkerAccessLog::record(const AccessLogFormat& format, const RequestRecord& record) {
  line_.clear();
  format.append(line_, record);
  bool wakes = false;
  {
    const std::lock_guard<std::mutex> guard(lock_);
    if (gathered_.size() + line_.size() > kAccessLogBufferBytesMax) {
      dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return;
    }
    gathered_ += line_;
    wakes = !woken_ && gathered_.size() > kAccessLogBufferBytesMax / 2;
    woken_ |= wakes;
  }
  if (wakes && wake_) wake_();
}

void WorkerAccessLog::take(std::string& into) {
  const std::lock_guard<std::mutex> guard(lock_);
  woken_ = false;
  if (into.empty()) {
    std::swap(into, gathered_);
  } else {
    into += gathered_;
  }
  gathered_.clear();
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path, unsigned workers, std::function<void()> wake) {
  LATEEN_TRY(AccessLogFile file, AccessLogFile::open(path));
  std::unique_ptr<AccessLog> log(new AccessLog(std::move(file)));
  for (unsigned i = 0; i < workers; ++i) log->workers_.push_back(std::make_unique<WorkerAccessLog>(wake));
  return log;
}

void AccessLog::flush() {
  std::string lines;
  for (const auto& worker : workers_) worker->take(lines);
  file_.write(std::move(lines));
}

std::uint64_t AccessLog::dropped() const {
  std::uint64_t dropped = file_.dropped();
  for (const auto& worker : workers_) dropped += worker->dropped();
  return dropped;
}

}  // namespace lateen::proxy
