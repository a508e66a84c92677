// The FileDescriptorSet of Envoy's whole v3 API that tools/envoy_api/all_types.sh makes, as a part of the program.
#pragma once

#include <string_view>

namespace lateen::xds {

std::string_view type_descriptors();

}  // namespace lateen::xds
