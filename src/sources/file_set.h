// FileSet: the manifests below some paths, read again only where they changed on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "sources/sources.h"

namespace lateen::sources {

class FileSet {
 public:
  enum class Outcome {
    kSame,      // nothing changed
    kChanged,   // files() is new
    kUnsure,    // something lost documents or vanished: scan again after Directory::kSettle
    kChangedAndUnsure,
  };

  FileSet(std::vector<std::string> paths, FirstSeen first_seen);

  // Looks at every path. What is new and no worse is taken at once; what lost documents, became unreadable or vanished
  // is taken only when the scan before saw just the same. `believe_all`: take everything as it is (the first scan).
  enum class Trust { kCautious, kAll };
  Outcome scan(WallTime now, Trust trust);

  const std::map<std::string, Directory::File>& files() const { return files_; }
  // Every folder that holds or could hold a manifest, and the folder of every single file: what to watch.
  const std::set<std::string>& folders() const { return folders_; }

 private:
  // What tells one version of a file from the next without reading it.
  struct Stamp {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    static Stamp of(const struct stat& info);
    bool operator==(const Stamp&) const = default;
  };
  using Listing = std::map<std::string, Stamp>;

  Listing list();
  void list_folder(const std::string& folder, int depth, Listing& listing);
  // Whether something new was taken.
  bool scan_file(const std::string& path, const Stamp& stamp, WallTime now, Trust trust, Listing& doubted);
  bool forget_vanished(const Listing& listing, Trust trust, Listing& doubted);
  bool believed(const std::string& path, const Stamp& stamp, Trust trust) const;
  void take(const std::string& path, model::ReadResult content, WallTime now);
  bool loses(const std::string& path, const model::ReadResult& content) const;

  std::vector<std::string> paths_;
  FirstSeen first_seen_;
  std::map<std::string, Directory::File> files_;
  Listing taken_;     // of files_
  std::map<std::string, std::uint64_t> text_hashes_;   // of files_
  // Changed so shortly before they were read that a second change may have left the same stamp: read again.
  std::set<std::string> hot_;
  std::size_t listed_ = 0;
  std::set<std::string> unlistable_;   // folders that are there but cannot be listed: what was below them stays
  Listing doubted_;   // seen in the last scan and not believed; a zero stamp: was gone
  std::set<std::string> folders_;
};

}  // namespace lateen::sources
