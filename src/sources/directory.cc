#include "sources/file_set.h"
#include "sources/sources.h"

#include <filesystem>

namespace lateen::sources {

namespace {

class FollowedDirectory final : public Directory {
 public:
  FollowedDirectory(net::Loop& loop, std::vector<std::string> paths, std::function<void()> on_change, FirstSeen first_seen)
      : loop_(loop), files_(std::move(paths), std::move(first_seen)), on_change_(std::move(on_change)) {
    files_.scan(loop_.wall_now(), FileSet::Trust::kAll);
    wait(poll_interval());
  }

  const std::map<std::string, File>& files() const override { return files_.files(); }

 private:
  // Asking for the state of every file works on every file system and needs no watches, of which there is a limit. The
  // more files there are the rarer it is done, so that the cost stays below some hundredths of a core.
  static constexpr Duration kPoll = std::chrono::milliseconds(100);
  static constexpr Duration kPollPerFile = std::chrono::microseconds(100);

  Duration poll_interval() const { return kPoll + kPollPerFile * static_cast<int>(files_.files().size()); }

  void wait(Duration delay) { loop_.arm<&FollowedDirectory::look>(timer_, delay, this); }

  void look() {
    const FileSet::Outcome outcome = files_.scan(loop_.wall_now(), FileSet::Trust::kCautious);
    const bool unsure = outcome == FileSet::Outcome::kUnsure || outcome == FileSet::Outcome::kChangedAndUnsure;
    wait(unsure ? kSettle : poll_interval());
    if (outcome == FileSet::Outcome::kChanged || outcome == FileSet::Outcome::kChangedAndUnsure) on_change_();
  }

  net::Loop& loop_;
  FileSet files_;
  std::function<void()> on_change_;
  net::Timer timer_;
};

}  // namespace

Result<std::unique_ptr<Directory>> Directory::open(net::Loop& loop, std::vector<std::string> paths,
                                                   std::function<void()> on_change, FirstSeen first_seen) {
  for (const std::string& path : paths) {
    std::error_code error;
    if (!std::filesystem::exists(path, error))
      return fail(ErrorCode::kNotFound, "there is no file or folder " + path);
  }
  return std::make_unique<FollowedDirectory>(loop, std::move(paths), std::move(on_change), std::move(first_seen));
}

}  // namespace lateen::sources
