// A private user, network and mount namespace for this process and all that it will start. Linux; needs no root.
//
// Only for a process with one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/descriptor.h"

namespace lateen::net {

// Writes the user and group maps of another process, which is in a new user namespace, so that every id that we have
// means the same there. Needs the privilege to set ids; else it fails and nothing is written.
Result<void> map_all_ids(int pid);

// Moves this process into a new user, network and mount namespace. The caller's own user and group keep their ids there.
// `map_ids` is asked first to map more ids (from a process outside that may); when it returns false only the
// caller's own are mapped. Errors: kUnsupported (the kernel or its policy forbids it; the message says what to change).
// After an error the process may be half inside: it must not be used for anything else.
Result<void> enter_namespaces(bool (*map_ids)(void* argument), void* argument);

// In a fresh network namespace: brings the loopback device up and makes every IPv4 and IPv6 address local to it.
// A kernel without IPv6 is no error.
Result<void> make_every_address_local();

// A file's content inside a mount namespace of our own: `path` shows it, the file beneath is untouched.
struct CoveredFile {
  std::string path;
  Descriptor file;  // for rewriting in place: see rewrite()
};
struct FileCover {
  std::string path;     // must exist; a symbolic link is followed
  std::string content;
};
// Covers files that exist; those that do not are left out of the result. The new contents are written to `directory`
// (private, on any file system), where nothing of them is left to see afterwards. Errors: kUnsupported, kSystem.
Result<std::vector<CoveredFile>> cover_files(const std::string& directory, const std::vector<FileCover>& covers);
// Replaces the whole content in place.
Result<void> rewrite(const CoveredFile& file, std::string_view content);

}  // namespace lateen::net
