// Names of statistics by the patterns of mesh config: outboundClusterStatName.
#pragma once

#include <string>
#include <string_view>

#include "translate/registry.h"

namespace lateen::translate {

// "%SERVICE%_%SERVICE_PORT%" with the service's words in it. `target`: the workload's port, of an inbound cluster.
std::string stat_prefix(std::string_view pattern, const Service& service, std::string_view subset, const Port& port,
                        std::uint32_t target = 0);

}  // namespace lateen::translate
