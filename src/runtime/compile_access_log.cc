// Access logs of listeners: the first text log to a file is written.

#include <envoy/config/accesslog/v3/accesslog.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <google/protobuf/any.pb.h>

#include "runtime/compile_listener.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

using FileLog = envoy::extensions::access_loggers::file::v3::FileAccessLog;

constexpr std::string_view kFileLog = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
// Envoy's format where a file log has none.
constexpr std::string_view kDefaultLogFormat =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% "
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" "
    "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

// The format of one log, or nothing and a note.
std::optional<std::string> log_format(const FileLog& log, Fields& fields) {
  switch (log.access_log_format_case()) {
    case FileLog::ACCESS_LOG_FORMAT_NOT_SET: return std::string(kDefaultLogFormat);
    case FileLog::kFormat: return log.format();
    case FileLog::kLogFormat:
      fields.only(log.log_format(), {log.log_format().kTextFormatFieldNumber, log.log_format().kTextFormatSourceFieldNumber,
                                     log.log_format().kJsonFormatFieldNumber});
      if (log.log_format().has_text_format_source()) {
        const Fields::At at(fields, "log_format.text_format_source");
        const auto& source = log.log_format().text_format_source();
        fields.only(source, {source.kInlineStringFieldNumber, source.kInlineBytesFieldNumber});
        return source.has_inline_bytes() ? source.inline_bytes() : source.inline_string();
      }
      if (!log.log_format().text_format().empty()) return log.log_format().text_format();
      break;
    case FileLog::kJsonFormat:
    case FileLog::kTypedJsonFormat: break;
  }
  fields.note("json_format and typed_json_format cannot be written, only text; there will be no access log");
  return std::nullopt;
}

}  // namespace

void compile_access_log(const google::protobuf::RepeatedPtrField<envoy::config::accesslog::v3::AccessLog>& logs,
                        std::optional<std::string>& format, std::string& path, Fields& fields) {
  for (int i = 0; i < logs.size(); ++i) {
    const Fields::At at(fields, "access_log", i);
    const std::size_t mark = fields.mark();
    const auto& log = logs.Get(i);
    fields.only(log, {log.kNameFieldNumber, log.kFilterFieldNumber, log.kTypedConfigFieldNumber});
    FileLog file;
    if (log.has_filter()) fields.note("a filter is not supported; this log is not written");
    else if (type_name(log.typed_config()) != kFileLog) fields.note(log.name() + " is not supported; this log is not written");
    else if (format) fields.note("a second log is not written");
    else if (fields.unpack(log.typed_config(), file)) {
      fields.only(file, {file.kPathFieldNumber, file.kFormatFieldNumber, file.kLogFormatFieldNumber, file.kJsonFormatFieldNumber,
                         file.kTypedJsonFormatFieldNumber});
      format = log_format(file, fields);
      path = file.path();
    }
    // Traffic does not suffer from a log that is not quite as asked for.
    fields.take_unsupported(mark);
  }
}

}  // namespace lateen::runtime
