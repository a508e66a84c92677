// Settings of the mesh config and of a proxy's own defaultConfig that change every listener in the same way: access log
// formats, headers that proxies write, what gateways trust, limits of connections. Most meshes have none of them.
#pragma once

#include "translate/scope.h"

namespace lateen::translate {

// Changes the listeners and virtual hosts that were made for the scope's view. Settings that only istiod's format of
// output knows (access logs) follow `options.access_log`.
void apply_mesh_settings(const Scope& scope, xds::Resources& resources);

}  // namespace lateen::translate
