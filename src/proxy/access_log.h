// The access log: lines formatted on the workers, gathered in bounded buffers, written by the control thread in one
// call a flush. A line that finds its buffer full is dropped and counted; a worker never waits for a reader of the log.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "proxy/access_log_file.h"
#include "proxy/access_log_format.h"
#include "proxy/request_record.h"

namespace lateen::proxy {

inline constexpr Duration kAccessLogFlushInterval = std::chrono::seconds(1);
inline constexpr std::size_t kAccessLogBufferBytesMax = 1024 * 1024;  // a worker

// One worker's lines. record() is called by that worker, take() by the control thread.
class WorkerAccessLog {
 public:
  // `wake` is called from record(), at most once between two take()s, when the buffer is half full: it is to see to it
  // that the log is flushed soon. May be empty.
  explicit WorkerAccessLog(std::function<void()> wake) : wake_(std::move(wake)) {}

  void record(const AccessLogFormat& format, const RequestRecord& record);
  // Appends what has been gathered to `into` and empties the buffer.
  void take(std::string& into);
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::function<void()> wake_;
  std::string line_;                       // the worker's; keeps its capacity
  std::atomic<std::uint64_t> dropped_{0};  // written by the worker
  std::mutex lock_;                        // guards what follows; held for a copy or a swap, never for I/O
  std::string gathered_;
  bool woken_ = false;
};

// The log of the process. Belongs to the control thread, which calls flush() every kAccessLogFlushInterval, when woken,
// and at the end. Outlives the workers.
class AccessLog {
 public:
  // `path`: "-" for standard output, else a file that is appended to. Errors: kSystem.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path, unsigned workers, std::function<void()> wake);

  WorkerAccessLog& worker(unsigned index) { return *workers_[index]; }
  void flush();
  // Lines lost so far, by workers and by a file that could not take them.
  std::uint64_t dropped() const;

 private:
  explicit AccessLog(AccessLogFile file) : file_(std::move(file)) {}

  AccessLogFile file_;
  std::vector<std::unique_ptr<WorkerAccessLog>> workers_;
};

}  // namespace lateen::proxy
