// defaultConfig.connectionSettings of MeshConfig (Istio's ProxyConfig.ConnectionSettings): the downstream side of every
// listener. A profile gives defaults; a field that is set always wins over it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace lateen::model {

struct ConnectionSettings {
  enum class Profile { kSidecar, kEdge } profile = Profile::kSidecar;
  enum class EscapedSlashes { kKeepUnchanged, kRejectRequest, kUnescapeAndRedirect, kUnescapeAndForward };
  enum class Underscores { kAllow, kRejectRequest, kDropHeader };
  std::optional<Duration> http_idle_timeout, http_request_timeout, http_request_headers_timeout, http_stream_idle_timeout;
  std::optional<bool> http_merge_slashes;
  std::optional<EscapedSlashes> http_path_with_escaped_slashes_action;
  std::optional<Underscores> http_headers_with_underscores_action;
  bool operator==(const ConnectionSettings&) const = default;
};

// The settings with the profile's defaults filled in (EDGE: Envoy's recommendations for an edge proxy).
ConnectionSettings effective(const ConnectionSettings& settings);

}  // namespace lateen::model
