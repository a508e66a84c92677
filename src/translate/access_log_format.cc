#include "translate/access_log_format.h"

#include <envoy/extensions/access_loggers/file/v3/file.pb.h>

#include "xds/types.h"

namespace lateen::translate {
namespace {

using FileAccessLog = envoy::extensions::access_loggers::file::v3::FileAccessLog;

constexpr const char* kStandardOutput = "/dev/stdout";

// Istio's default fields of JSON logs.
constexpr std::pair<const char*, const char*> kJsonFields[] = {
    {"start_time", "%START_TIME%"},
    {"route_name", "%ROUTE_NAME%"},
    {"method", "%REQ(:METHOD)%"},
    {"path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"},
    {"protocol", "%PROTOCOL%"},
    {"response_code", "%RESPONSE_CODE%"},
    {"response_flags", "%RESPONSE_FLAGS%"},
    {"response_code_details", "%RESPONSE_CODE_DETAILS%"},
    {"connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"},
    {"bytes_received", "%BYTES_RECEIVED%"},
    {"bytes_sent", "%BYTES_SENT%"},
    {"duration", "%DURATION%"},
    {"upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"},
    {"x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"},
    {"user_agent", "%REQ(USER-AGENT)%"},
    {"request_id", "%REQ(X-REQUEST-ID)%"},
    {"authority", "%REQ(:AUTHORITY)%"},
    {"upstream_host", "%UPSTREAM_HOST%"},
    {"upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"},
    {"upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"},
    {"downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"},
    {"downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"},
    {"requested_server_name", "%REQUESTED_SERVER_NAME%"},
    {"upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
};

void fill_json(FileAccessLog& out, const std::string& format) {
  auto& log_format = *out.mutable_log_format();
  log_format.mutable_json_format_options();
  google::protobuf::Struct& fields = *log_format.mutable_json_format();
  // A format that is no JSON is as none: istiod says so in its log and goes on.
  if (!format.empty() && xds::from_json(format, fields, xds::UnknownFields::kIgnore)) return;
  for (const auto& [name, value] : kJsonFields) (*fields.mutable_fields())[name].set_string_value(value);
}

}  // namespace

bool has_own_access_log(const model::MeshConfig& config) {
  return config.access_log_json || !config.access_log_format.empty() || config.access_log_file != kStandardOutput;
}

void fill_file_access_log(FileAccessLog& out, const model::MeshConfig& config) {
  out.set_path(config.access_log_file);
  if (config.access_log_json) return fill_json(out, config.access_log_format);
  if (config.access_log_format.empty()) return;
  const bool has_end = config.access_log_format.ends_with('\n');
  out.mutable_log_format()->mutable_text_format_source()->set_inline_string(config.access_log_format + (has_end ? "" : "\n"));
}

}  // namespace lateen::translate
