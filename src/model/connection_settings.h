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
  std::optional<std::int32_t> listener_per_connection_buffer_limit_bytes, cluster_per_connection_buffer_limit_bytes;
  std::optional<Duration> http_max_connection_duration, http_drain_timeout, http_max_stream_duration;
  std::optional<std::int32_t> http_max_concurrent_streams, http2_initial_stream_window_size, http2_initial_connection_window_size;
  bool operator==(const ConnectionSettings&) const = default;
};

// The settings with the profile's defaults filled in (EDGE: Envoy's recommendations for an edge proxy, of which Istio
// takes some for gateways alone).
ConnectionSettings effective(const ConnectionSettings& settings);

}  // namespace lateen::model
