#include "model/connection_settings.h"

namespace lateen::model {

ConnectionSettings effective(const ConnectionSettings& settings) {
  ConnectionSettings out = settings;
  if (settings.profile == ConnectionSettings::Profile::kSidecar) return out;
  const auto fill = [](auto& field, auto value) {
    if (!field) field = value;
  };
  fill(out.http_idle_timeout, std::chrono::hours(1));
  fill(out.http_request_timeout, std::chrono::minutes(5));
  fill(out.http_stream_idle_timeout, std::chrono::minutes(5));
  fill(out.http_request_headers_timeout, std::chrono::seconds(60));
  fill(out.listener_per_connection_buffer_limit_bytes, 32768);
  fill(out.http_max_concurrent_streams, 100);
  fill(out.http2_initial_stream_window_size, 65536);
  fill(out.http2_initial_connection_window_size, 1 << 20);
  fill(out.http_merge_slashes, true);
  fill(out.http_path_with_escaped_slashes_action, ConnectionSettings::EscapedSlashes::kUnescapeAndRedirect);
  fill(out.http_headers_with_underscores_action, ConnectionSettings::Underscores::kRejectRequest);
  return out;
}

}  // namespace lateen::model
