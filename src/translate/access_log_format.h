// The format of access logs as mesh config gives it.
#pragma once

#include "model/mesh_config.h"

namespace envoy::extensions::access_loggers::file::v3 {
class FileAccessLog;
}

namespace lateen::translate {

// Whether the format is another than Istio's default line to the standard output.
bool has_own_access_log(const model::MeshConfig& config);

void fill_file_access_log(envoy::extensions::access_loggers::file::v3::FileAccessLog& out, const model::MeshConfig& config);

}  // namespace lateen::translate
