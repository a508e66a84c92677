// TlsFiles: the texts of the files that TLS contexts and secrets name. Read by the control thread, looked at again when
// they change; workers see only texts.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

class TlsFiles {
 public:
  static constexpr std::size_t kFileBytesMax = 1024 * 1024;   // certificates of all the world's authorities have 250 KiB
  static constexpr std::size_t kFilesMax = 4096;
  static constexpr Duration kLookAgain = std::chrono::seconds(1);

  // ---- control thread
  // Reads what `snapshot` names and was not known. Files stay known from then on.
  void watch(const runtime::Snapshot& snapshot);
  // Reads those anew whose size or time of change is another.
  void look_again();
  bool empty() const { return files_.empty(); }

  // ---- any thread
  // Errors: kNotFound, kOverLimit, kSystem; they name the file.
  Result<std::shared_ptr<const std::string>> text(const std::string& path) const;
  // Moves whenever a text changes.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  struct File {
    std::uint64_t size = 0, changed = 0, node = 0;   // as the file system tells; all 0: not there
    Result<std::shared_ptr<const std::string>> text = fail(ErrorCode::kNotFound, "not read");
  };
  void watch(const runtime::DataSource& source);
  void watch(const runtime::TlsCertificate& certificate);
  void watch(const runtime::TlsValidation& validation);
  void watch(const runtime::CommonTls& common);
  static File read(const std::string& path, const File& before);
  void put(const std::string& path, File file);

  std::map<std::string, File> files_;              // written by the control thread, under the lock
  mutable std::mutex lock_;
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace lateen::proxy
