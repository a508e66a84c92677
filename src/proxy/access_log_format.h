// AccessLogFormat: an Envoy format string ("%PROTOCOL% %REQ(:PATH)%"), compiled once and filled in for each request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/request_record.h"

namespace lateen::proxy {

// Istio's default, with its line end.
inline constexpr std::string_view kIstioAccessLogFormat =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" "
    "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% "
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

// "-", or short names joined by "," in the order of the enum: "DI,UT". Appends.
void append_response_flags(std::string& text, std::uint32_t flags);

class AccessLogFormat {
 public:
  // Errors: kUnsupported for an operator that is not known, kInvalidConfig for one that is malformed; both name it.
  // An empty format is Istio's default.
  static Result<AccessLogFormat> compile(std::string_view format);

  // Appends the text of one request, as the format says it (a line end is part of the format). Values are escaped so
  // that none can break a line or a quoted field: control bytes, '"' and '\' as "\xNN".
  void append(std::string& text, const RequestRecord& record) const;

 private:
  enum class Operator : std::uint8_t {
    kLiteral, kStartTime, kRequestHeader, kResponseHeader, kResponseTrailer, kProtocol, kResponseCode, kResponseFlags,
    kResponseCodeDetails, kConnectionTerminationDetails, kUpstreamTransportFailureReason, kBytesReceived, kBytesSent,
    kDuration, kUpstreamServiceTime, kUpstreamHost, kUpstreamCluster, kUpstreamLocalAddress,
    kUpstreamRequestAttemptCount, kDownstreamLocalAddress, kDownstreamLocalAddressWithoutPort, kDownstreamLocalPort,
    kDownstreamRemoteAddress, kDownstreamRemoteAddressWithoutPort, kDownstreamRemotePort, kRequestedServerName,
    kRouteName, kGrpcStatus, kGrpcStatusNumber, kNothing,
    kTlsVersion, kTlsCipher, kTlsSessionId, kPeerSubject, kPeerIssuer, kPeerSerial, kPeerFingerprint256, kPeerFingerprint1,
    kPeerCert, kPeerUriSan, kPeerDnsSan, kPeerCertStart, kPeerCertEnd, kLocalSubject, kLocalUriSan, kLocalDnsSan,
  };
  struct Part {
    Operator op = Operator::kLiteral;
    std::string text;           // the literal, the name of the field, or the time format
    std::string alternative;    // REQ(X?Y): Y
    std::size_t length_max = 0; // 0: not cut
  };

  struct Known;
  static const Known* find(std::string_view name);
  static Result<Part> compile_operator(std::string_view format, std::size_t& at);
  static Result<void> set_argument(Part& part, std::string_view name, std::string_view argument, bool has_argument);
  static void append_part(std::string& text, const Part& part, const RequestRecord& record);
  static std::string_view text_of(const Part& part, const RequestRecord& record);
  static bool append_tls(std::string& text, Operator op, const RequestRecord& record);
  static bool append_number(std::string& text, Operator op, const RequestRecord& record);

  std::vector<Part> parts_;
};

}  // namespace lateen::proxy
