#include "proxy/tls_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace lateen::proxy {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<Error> cannot_read(const std::string& path, int error) {
  return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kSystem, path + ": " + std::strerror(error));
}

Result<std::shared_ptr<const std::string>> read_whole(const std::string& path, int fd) {
  std::string text;
  std::vector<char> piece(64 * 1024);
  for (;;) {
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(path, errno);
    if (count == 0) return std::make_shared<const std::string>(std::move(text));
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > TlsFiles::kFileBytesMax) {
      return fail(ErrorCode::kOverLimit, path + ": more than " + std::to_string(TlsFiles::kFileBytesMax) + " bytes");
    }
  }
}

}  // namespace

// What has not changed since `before` keeps its text.
TlsFiles::File TlsFiles::read(const std::string& path, const File& before) {
  File file;
  // Not to wait for a pipe's other end.
  const Descriptor opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat facts{};
  if (opened.fd < 0 || ::fstat(opened.fd, &facts) != 0) {
    file.text = cannot_read(path, errno);
    return file;
  }
  if (!S_ISREG(facts.st_mode)) {
    file.text = fail(ErrorCode::kSystem, path + ": not a regular file");
    return file;
  }
  file.size = static_cast<std::uint64_t>(facts.st_size);
  file.changed = static_cast<std::uint64_t>(facts.st_mtim.tv_sec) * kNanosecondsPerSecond + static_cast<std::uint64_t>(facts.st_mtim.tv_nsec);
  file.node = facts.st_ino;
  const bool same = file.size == before.size && file.changed == before.changed && file.node == before.node;
  file.text = same ? before.text : read_whole(path, opened.fd);
  return file;
}

void TlsFiles::put(const std::string& path, File file) {
  const std::lock_guard guard(lock_);
  File& kept = files_[path];
  const bool other = kept.text.has_value() != file.text.has_value() || (file.text && **file.text != **kept.text);
  kept = std::move(file);
  if (other) generation_.fetch_add(1, std::memory_order_release);
}

void TlsFiles::watch(const runtime::DataSource& source) {
  if (source.file.empty() || files_.contains(source.file) || files_.size() >= kFilesMax) return;
  put(source.file, read(source.file, {}));
}

void TlsFiles::watch(const runtime::TlsCertificate& certificate) {
  watch(certificate.chain);
  watch(certificate.private_key);
  watch(certificate.password);
}

void TlsFiles::watch(const runtime::TlsValidation& validation) {
  watch(validation.trusted_ca);
  watch(validation.crl);
}

void TlsFiles::watch(const runtime::CommonTls& common) {
  for (const runtime::TlsCertificate& certificate : common.certificates) watch(certificate);
  if (common.validation) watch(*common.validation);
}

void TlsFiles::watch(const runtime::Snapshot& snapshot) {
  for (const auto& [name, secret] : snapshot.secrets) {
    std::visit([&](const auto& value) { watch(value); }, secret->value);
  }
  for (const auto& [name, listener] : snapshot.listeners) {
    for (const runtime::FilterChain& chain : listener->filter_chains) {
      if (chain.tls != nullptr) watch(chain.tls->common);
    }
    if (listener->default_chain && listener->default_chain->tls != nullptr) watch(listener->default_chain->tls->common);
  }
  for (const auto& cluster : snapshot.clusters) {
    if (cluster == nullptr) continue;
    if (cluster->transport.tls != nullptr) watch(cluster->transport.tls->common);
    for (const auto& match : cluster->transport_matches) {
      if (match.transport.tls != nullptr) watch(match.transport.tls->common);
    }
  }
}

void TlsFiles::look_again() {
  for (const auto& [path, file] : files_) put(path, read(path, file));
}

Result<std::shared_ptr<const std::string>> TlsFiles::text(const std::string& path) const {
  const std::lock_guard guard(lock_);
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(ErrorCode::kOverLimit, path + ": more than " + std::to_string(kFilesMax) + " files");
  return found->second.text;
}

}  // namespace lateen::proxy
