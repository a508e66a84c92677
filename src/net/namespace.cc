#include "net/namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace lateen::net {

namespace {

constexpr std::size_t kSmallFileBytesMax = 4096;

std::string error_text() { return std::strerror(errno); }

Result<void> write_file(const std::string& path, std::string_view content) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return fail(ErrorCode::kSystem, path + ": " + error_text());
  // The kernel takes these files in one write or not at all.
  const ssize_t written = ::write(file.get(), content.data(), content.size());
  if (written != static_cast<ssize_t>(content.size())) return fail(ErrorCode::kSystem, path + ": " + error_text());
  return {};
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line.substr(0, kSmallFileBytesMax);
}

// Every id of this namespace, mapped to itself: "0 0 4294967295" on a plain machine.
std::string identity_map(const char* path) {
  std::ifstream file(path);
  std::string map;
  unsigned long long inside = 0, outside = 0, count = 0;
  while (file >> inside >> outside >> count) {
    map += std::to_string(inside) + " " + std::to_string(inside) + " " + std::to_string(count) + "\n";
    if (map.size() > kSmallFileBytesMax) break;
  }
  return map;
}

// Which switch forbids it, and how to set it; the usual ones of Debian, Ubuntu and containers.
std::string why_forbidden(const std::string& what, int error) {
  std::string text = what + ": " + std::strerror(error);
  if (first_line("/proc/sys/kernel/unprivileged_userns_clone") == "0") return text + "; sysctl kernel.unprivileged_userns_clone=1 would allow it";
  if (first_line("/proc/sys/user/max_user_namespaces") == "0") return text + "; sysctl user.max_user_namespaces is 0";
  if (first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return text + "; sysctl kernel.apparmor_restrict_unprivileged_userns=0 would allow it";
  }
  return text;
}

Result<void> map_own_ids(unsigned user, unsigned group) {
  const std::string u = std::to_string(user), g = std::to_string(group);
  LATEEN_TRY_VOID(write_file("/proc/self/uid_map", u + " " + u + " 1\n"));
  // Without the privilege to set groups the kernel wants this promise before it takes a group map (user_namespaces(7)).
  LATEEN_TRY_VOID(write_file("/proc/self/setgroups", "deny"));
  return write_file("/proc/self/gid_map", g + " " + g + " 1\n");
}

// By a file of our own that is bound over the path and then loses its name: the mount keeps it. (A tmpfs mounted for a
// moment would do too, but taking it away again waits for the kernel for some 10 ms.)
Result<CoveredFile> cover_file(const std::string& directory, const FileCover& cover) {
  std::string source = directory + "/cover-XXXXXX";
  CoveredFile covered{cover.path, Descriptor(::mkostemp(source.data(), O_CLOEXEC))};
  if (!covered.file.valid()) return fail(ErrorCode::kSystem, source + ": " + error_text());
  ::fchmod(covered.file.get(), 0644);  // everybody may read these
  Result<void> result = rewrite(covered, cover.content);
  if (result && ::mount(source.c_str(), cover.path.c_str(), nullptr, MS_BIND, nullptr) < 0) {
    result = fail(ErrorCode::kUnsupported, why_forbidden("mount over " + cover.path, errno));
  }
  ::unlink(source.c_str());
  if (!result) return tl::unexpected(result.error());
  return covered;
}

}  // namespace

Result<void> map_all_ids(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  LATEEN_TRY_VOID(write_file(folder + "/gid_map", identity_map("/proc/self/gid_map")));
  return write_file(folder + "/uid_map", identity_map("/proc/self/uid_map"));
}

Result<void> enter_namespaces(bool (*map_ids)(void* argument), void* argument) {
  const unsigned user = ::geteuid(), group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0) {
    return fail(ErrorCode::kUnsupported, why_forbidden("unshare", errno));
  }
  if (map_ids == nullptr || !map_ids(argument)) {
    if (auto mapped = map_own_ids(user, group); !mapped) {
      return fail(ErrorCode::kUnsupported, why_forbidden(mapped.error().message, EPERM));
    }
  }
  // What is mounted outside later shows up inside; nothing goes the other way.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0) {
    return fail(ErrorCode::kUnsupported, why_forbidden("mount", errno));
  }
  return {};
}

Result<std::vector<CoveredFile>> cover_files(const std::string& directory, const std::vector<FileCover>& covers) {
  std::vector<CoveredFile> covered;
  for (const FileCover& cover : covers) {
    struct stat status {};
    if (::stat(cover.path.c_str(), &status) < 0) continue;
    LATEEN_TRY(CoveredFile file, cover_file(directory, cover));
    covered.push_back(std::move(file));
  }
  return covered;
}

Result<void> rewrite(const CoveredFile& file, std::string_view content) {
  std::size_t written = 0;
  while (written < content.size()) {
    const ssize_t count = ::pwrite(file.file.get(), content.data() + written, content.size() - written, static_cast<off_t>(written));
    if (count <= 0) return fail(ErrorCode::kSystem, file.path + ": " + error_text());
    written += static_cast<std::size_t>(count);
  }
  if (::ftruncate(file.file.get(), static_cast<off_t>(content.size())) < 0) {
    return fail(ErrorCode::kSystem, file.path + ": " + error_text());
  }
  return {};
}

}  // namespace lateen::net
