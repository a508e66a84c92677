// The files that a mesh reads once or writes: Istio's mesh.yaml, the ports file.
#pragma once

#include <string>

#include "base/result.h"
#include "model/mesh.h"

namespace lateen::cli {

// The whole file. Errors: kNotFound, kSystem, kOverLimit above `bytes_max`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

// "": the defaults. Errors: kInvalidConfig with the first problem.
Result<model::MeshConfig> read_mesh_config_file(const std::string& path);

// Whole or not at all: written beside its place and renamed.
Result<void> put_file(const std::string& path, const std::string& text);

}  // namespace lateen::cli
