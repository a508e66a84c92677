#include "net/namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
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

Result<std::vector<CoveredFile>> cover_files(const std::vector<FileCover>& covers) {
  // The contents live on a tmpfs which is mounted somewhere only until the single files are bound to their places.
  const char* place = nullptr;
  for (const char* candidate : {"/tmp", "/var/tmp", "/mnt", "/run"}) {
    if (::mount("lateen", candidate, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64m") == 0) {
      place = candidate;
      break;
    }
  }
  if (place == nullptr) return fail(ErrorCode::kUnsupported, why_forbidden("mount tmpfs", errno));
  std::vector<CoveredFile> covered;
  Result<void> result;
  for (const FileCover& cover : covers) {
    struct stat status {};
    if (::stat(cover.path.c_str(), &status) < 0) continue;
    const std::string source = std::string(place) + "/" + std::to_string(covered.size());
    Descriptor file(::open(source.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.valid()) {
      result = fail(ErrorCode::kSystem, source + ": " + error_text());
      break;
    }
    ::fchmod(file.get(), 0644);  // whatever the umask
    covered.push_back({cover.path, std::move(file)});
    result = rewrite(covered.back(), cover.content);
    if (!result) break;
    if (::mount(source.c_str(), cover.path.c_str(), nullptr, MS_BIND, nullptr) < 0) {
      result = fail(ErrorCode::kUnsupported, why_forbidden("mount over " + cover.path, errno));
      break;
    }
  }
  ::umount2(place, MNT_DETACH);
  if (!result) return tl::unexpected(result.error());
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
