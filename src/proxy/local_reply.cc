#include "proxy/local_reply.h"

#include <algorithm>
#include <charconv>

#include "proxy/request_record.h"

namespace lateen::proxy {
namespace {

using stream::ResetReason;

// grpc-message is percent-encoded (gRPC over HTTP2, "Percent-Byte-Unencoded").
std::string percent_encode_message(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[byte >> 4U];
    out += kHex[byte & 0xfU];
  }
  return out;
}

std::string with_underscores(std::string_view words) {
  std::string out(words);
  std::replace(out.begin(), out.end(), ' ', '_');
  return out;
}

LocalReply make_reply(std::uint16_t status, std::string_view body, std::uint32_t flags, std::string_view details) {
  LocalReply reply;
  reply.status = status;
  reply.body = body;
  reply.flags = flags;
  reply.details = details;
  return reply;
}

}  // namespace

LocalReply route_not_found() { return make_reply(404, "", kNoRouteFound, "route_not_found"); }
LocalReply cluster_not_found(std::uint16_t status) { return make_reply(status, "", kNoClusterFound, "cluster_not_found"); }
LocalReply no_healthy_upstream() {
  return make_reply(503, "no healthy upstream", kNoHealthyUpstream, "no_healthy_upstream");
}
LocalReply name_not_resolved() { return make_reply(503, "DNS resolution failure", kDnsResolutionFailure, "dns_resolution_failure"); }
LocalReply drop_overload() { return make_reply(503, "drop overload", kDropOverload, "drop_overload"); }
LocalReply upstream_timeout(std::string_view details) {
  return make_reply(504, "upstream request timeout", kUpstreamRequestTimeout, details);
}
LocalReply fault_abort(std::uint16_t status, std::optional<std::uint32_t> grpc_status) {
  LocalReply reply = make_reply(status, "fault filter abort", kFaultInjected, "fault_filter_abort");
  reply.grpc_status = grpc_status;
  return reply;
}
LocalReply unsupported(std::string_view what) {
  return make_reply(500, "", 0, "unsupported{" + with_underscores(what) + "}");
}
LocalReply stream_idle_timeout(bool request_ended) {
  return make_reply(request_ended ? 504 : 408, "stream timeout", kStreamIdleTimeout, "stream_idle_timeout");
}
LocalReply stream_duration_over(bool request_ended) {
  constexpr std::uint32_t kDeadlineExceeded = 4;
  LocalReply reply = make_reply(request_ended ? 504 : 408, "downstream duration timeout", 0, "max_duration_timeout");
  reply.grpc_status = kDeadlineExceeded;
  return reply;
}
LocalReply try_duration_over(bool request_ended) {
  return make_reply(request_ended ? 504 : 408, "upstream max stream duration reached", kUpstreamMaxStreamDurationReached,
                    "upstream_max_stream_duration_reached");
}
LocalReply bad_grpc_web() {
  return make_reply(400, "Bad gRPC-web request, invalid base64 data.", 0, "grpc_base_64_decode_failed");
}
LocalReply cors_answer() { return make_reply(200, "", 0, "cors_response"); }
LocalReply request_receive_timeout() { return make_reply(408, "request timeout", 0, "request_overall_timeout"); }
LocalReply upgrade_refused() { return make_reply(403, "", 0, "upgrade_failed"); }
LocalReply http_10_refused() { return make_reply(426, "Upgrade Required", 0, "low_version"); }
LocalReply absolute_path_rejected() { return make_reply(404, "", 0, "absolute_path_rejected"); }
LocalReply missing_host() { return make_reply(400, "", 0, "missing_host_header"); }
LocalReply bad_scheme() { return make_reply(403, "Forbidden", 0, "scheme_of_another_connection"); }
LocalReply bad_header_name() { return make_reply(400, "", 0, "unexpected_underscore"); }
LocalReply bad_path() { return make_reply(400, "", 0, "path_normalization_failed"); }

std::uint32_t reset_flag(ResetReason reason) {
  switch (reason) {
    case ResetReason::kConnectFailure:
    case ResetReason::kConnectTimeout:
      return kUpstreamConnectionFailure;
    case ResetReason::kConnectionTermination:
      return kUpstreamConnectionTermination;
    case ResetReason::kProtocolError:
      return kUpstreamProtocolError;
    case ResetReason::kRefused:
    case ResetReason::kRemoteReset:
      return kUpstreamRemoteReset;
    case ResetReason::kOverflow:
      return kUpstreamOverflow;
    case ResetReason::kNone:
    case ResetReason::kLocal:
    case ResetReason::kIdleTimeout:
    case ResetReason::kHeaderTimeout:
      break;
  }
  return kLocalReset;
}

std::string_view reset_words(ResetReason reason) {
  switch (reason) {
    case ResetReason::kConnectFailure:
      return "remote connection failure";
    case ResetReason::kConnectTimeout:
      return "connection timeout";
    case ResetReason::kConnectionTermination:
      return "connection termination";
    case ResetReason::kProtocolError:
      return "protocol error";
    case ResetReason::kRefused:
      return "remote refused stream reset";
    case ResetReason::kRemoteReset:
      return "remote reset";
    case ResetReason::kOverflow:
      return "overflow";
    case ResetReason::kNone:
    case ResetReason::kLocal:
    case ResetReason::kIdleTimeout:
    case ResetReason::kHeaderTimeout:
      break;
  }
  return "local reset";
}

std::string reset_details(std::string_view prefix, ResetReason reason, std::string_view detail) {
  std::string out(prefix);
  out += '{';
  out += with_underscores(reset_words(reason));
  if (!detail.empty()) {
    out += '|';
    out += with_underscores(detail);
  }
  out += '}';
  return out;
}

LocalReply upstream_reset(ResetReason reason, bool retried, std::string_view detail) {
  std::string body = "upstream connect error or disconnect/reset before headers. ";
  body += retried ? "retried and the latest reset reason: " : "reset reason: ";
  body += reset_words(reason);
  LocalReply reply = make_reply(reason == ResetReason::kProtocolError ? 502 : 503, body, reset_flag(reason), "");
  reply.details = reset_details("upstream_reset_before_response_started", reason, detail);
  reply.overloaded = reason == ResetReason::kOverflow;
  return reply;
}

bool is_grpc(const http::RequestHead& request) {
  const std::optional<std::string_view> type = request.headers.get(http::HeaderId::kContentType);
  constexpr std::string_view kGrpc = "application/grpc";
  return type && type->starts_with(kGrpc) && (type->size() == kGrpc.size() || (*type)[kGrpc.size()] == '+');
}

std::int32_t grpc_status_of(const http::HeaderMap& headers) {
  const std::optional<std::string_view> text = headers.get(http::HeaderId::kGrpcStatus);
  std::int32_t status = -1;
  if (text) std::from_chars(text->data(), text->data() + text->size(), status);
  return status;
}

std::uint32_t grpc_status_of_http(std::uint16_t status) {
  switch (status) {
    case 400: return 13;
    case 401: return 16;
    case 403: return 7;
    case 404: return 12;
    case 429:
    case 502:
    case 503:
    case 504: return 14;
    default: return 2;
  }
}

std::uint16_t http_status_of_grpc(std::uint32_t grpc_status) {
  constexpr std::uint16_t kStatus[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
  return grpc_status < std::size(kStatus) ? kStatus[grpc_status] : 500;
}

std::string_view write_local_reply(const LocalReply& reply, const http::RequestHead& request, http::ResponseHead& head) {
  using http::HeaderId;
  head.headers.clear();
  head.status = reply.status;
  if (!reply.location.empty()) head.headers.add_reference(HeaderId::kLocation, reply.location);
  if (is_grpc(request)) {
    head.status = 200;
    head.headers.add_reference(HeaderId::kContentType, "application/grpc");
    head.headers.add(HeaderId::kGrpcStatus, std::to_string(reply.grpc_status.value_or(grpc_status_of_http(reply.status))));
    if (!reply.body.empty()) head.headers.add(HeaderId::kGrpcMessage, percent_encode_message(reply.body));
    if (reply.overloaded) head.headers.add_reference(HeaderId::kXEnvoyOverloaded, "true");
    return {};
  }
  if (reply.overloaded) head.headers.add_reference(HeaderId::kXEnvoyOverloaded, "true");
  if (!reply.body.empty()) {
    head.headers.add(HeaderId::kContentLength, std::to_string(reply.body.size()));
    head.headers.add_reference(HeaderId::kContentType, "text/plain");
  }
  return request.method == "HEAD" ? std::string_view() : std::string_view(reply.body);
}

}  // namespace lateen::proxy
