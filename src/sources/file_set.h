// FileSet: the manifests below some paths, read again only where they changed on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
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
    bool operator==(const Stamp&) const = default;
  };
  using Listing = std::map<std::string, Stamp>;

  Listing list();
  void list_folder(const std::string& folder, int depth, Listing& listing);
  void take(const std::string& path, const Stamp& stamp, model::ReadResult content, WallTime now);
  model::ReadResult read(const std::string& path) const;
  bool loses(const std::string& path, const model::ReadResult& content) const;

  std::vector<std::string> paths_;
  FirstSeen first_seen_;
  std::map<std::string, Directory::File> files_;
  Listing taken_;     // of files_
  Listing doubted_;   // seen in the last scan and not believed; a zero stamp: was gone
  std::set<std::string> folders_;
};

}  // namespace lateen::sources
