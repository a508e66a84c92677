// The pages that Envoy has: /config_dump, /clusters, /listeners, /ready, /server_info, /stats, /logging, /help.
#pragma once

#include "admin/backend.h"
#include "admin/router.h"

namespace lateen::admin {

// Both must outlive the router's use.
void add_envoy_pages(Router& router, Backend& backend);

}  // namespace lateen::admin
