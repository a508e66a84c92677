#include "cli/mesh_files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include "model/read.h"

namespace lateen::cli {

namespace {

constexpr std::size_t kMeshConfigBytesMax = 1024 * 1024;

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream input(path, std::ios::binary);
  if (!input) return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kSystem, "cannot read " + path + ": " + std::strerror(errno));
  std::string text((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
  if (text.size() > bytes_max)
    return fail(ErrorCode::kOverLimit, path + " is larger than " + std::to_string(bytes_max >> 20) + " MiB");
  return text;
}

Result<model::MeshConfig> read_mesh_config_file(const std::string& path) {
  if (path.empty()) return model::MeshConfig{};
  LATEEN_TRY(const std::string text, read_file(path, kMeshConfigBytesMax));
  model::ReadMeshConfig read = model::read_mesh_config(text, path, {});
  for (const Diagnostic& problem : read.problems)
    if (problem.severity == Severity::kError) return fail(ErrorCode::kInvalidConfig, problem.message, problem.origin);
  return read.config;
}

Result<void> put_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new." + std::to_string(::getpid());
  {
    std::ofstream output(temporary, std::ios::binary | std::ios::trunc);
    output << text;
    output.flush();
    if (!output) return fail(ErrorCode::kSystem, "cannot write " + temporary + ": " + std::strerror(errno));
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return fail(ErrorCode::kSystem, "cannot put " + path + " in place: " + std::strerror(errno));
  return {};
}

}  // namespace lateen::cli
