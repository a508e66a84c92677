// LocalReply: an answer that the proxy gives by itself, with Envoy's statuses, bodies, flags and details.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "stream/stream.h"

namespace lateen::proxy {

struct LocalReply {
  std::uint16_t status = 503;
  std::string body = {};
  std::uint32_t flags = 0;                       // ResponseFlag
  std::string details = {};                      // %RESPONSE_CODE_DETAILS%
  bool overloaded = false;                       // x-envoy-overloaded: true
  std::string location = {};                      // redirects
  std::optional<std::uint32_t> grpc_status = {}; // instead of the one that belongs to the status
};

LocalReply route_not_found();                                  // 404 NR
LocalReply cluster_not_found(std::uint16_t status);            // NC, empty body; 503 unless the route says otherwise
LocalReply no_healthy_upstream();                              // 503 UH
LocalReply name_not_resolved();                                // 503 DF
LocalReply drop_overload();                                    // 503 DO
LocalReply upstream_timeout(std::string_view details);         // 504 UT
LocalReply fault_abort(std::uint16_t status, std::optional<std::uint32_t> grpc_status);   // FI
LocalReply unsupported(std::string_view what);                 // 500, the reason in the details
LocalReply stream_idle_timeout(bool request_ended);            // 504 or 408, SI
LocalReply stream_duration_over(bool request_ended);           // 504 or 408: max_stream_duration of the route
LocalReply try_duration_over(bool request_ended);              // 504 or 408, UMSDR: max_stream_duration of the cluster
LocalReply bad_grpc_web();                                     // 400
LocalReply cors_answer();                                      // 200, to a preflight
LocalReply request_receive_timeout();                          // 408
LocalReply upgrade_refused();                                  // 403
LocalReply bad_header_name();                                  // 400
LocalReply bad_path();                                         // 400
LocalReply http_10_refused();                                  // 426
LocalReply absolute_path_rejected();                           // 404
LocalReply missing_host();                                     // 400
LocalReply bad_scheme();                                       // 403
// The upstream was lost before its response began. `retried`: an earlier try failed too. `detail`: the transport's
// reason ("connection refused" ...), or empty; it is for the log and not for the client (Envoy 1.40).
LocalReply upstream_reset(stream::ResetReason reason, bool retried, std::string_view detail);

// The flag, and the words in bodies and details, of a reset.
std::uint32_t reset_flag(stream::ResetReason reason);
std::string_view reset_words(stream::ResetReason reason);
// "upstream_reset_after_response_started{connection_termination}"
std::string reset_details(std::string_view prefix, stream::ResetReason reason, std::string_view detail);

// Whether the request is gRPC, which gets its errors as trailers-only responses of status 200.
bool is_grpc(const http::RequestHead& request);
// The grpc-status among `headers`; negative: none.
std::int32_t grpc_status_of(const http::HeaderMap& headers);
// grpc-status that stands for an HTTP status, and back (grpc/doc/http-grpc-status-mapping.md; Envoy's table back).
std::uint32_t grpc_status_of_http(std::uint16_t status);
std::uint16_t http_status_of_grpc(std::uint32_t grpc_status);

// Fills `head` for `reply`; the bytes of `reply` must outlive it. What is to be sent as the body: nothing for HEAD and
// for gRPC, where the body went into grpc-message.
std::string_view write_local_reply(const LocalReply& reply, const http::RequestHead& request, http::ResponseHead& head);

}  // namespace lateen::proxy
