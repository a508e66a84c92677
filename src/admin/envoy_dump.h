// Envoy's own pages about one view: /config_dump, /clusters, /listeners, as Envoy writes them, so that istioctl and
// other tools read them.
#pragma once

#include <string>

#include "admin/backend.h"

namespace lateen::admin {

enum class IncludeEndpoints : bool { kNo, kYes };

// envoy.admin.v3.ConfigDump as JSON: Bootstrap, Clusters, (Endpoints,) Listeners, Routes.
Result<std::string> config_dump_json(const ViewPage& view, const ServerFacts& facts, IncludeEndpoints endpoints);

// envoy.admin.v3.Clusters as JSON.
Result<std::string> clusters_json(const ViewPage& view, const std::vector<proxy::ClusterStatus>& clusters);
// The text form: "outbound|80||x::10.0.0.1:80::cx_active::0".
std::string clusters_text(const std::vector<proxy::ClusterStatus>& clusters);

// "name::address" lines, and envoy.admin.v3.Listeners as JSON.
std::string listeners_text(const ServerFacts& facts);
Result<std::string> listeners_json(const ServerFacts& facts);

// envoy.admin.v3.ServerInfo as JSON.
Result<std::string> server_info_json(const ServerFacts& facts);

}  // namespace lateen::admin
