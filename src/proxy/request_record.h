// RequestRecord: the facts of one finished request, for the access log and the metrics. Filled by the request machine,
// read once when the request has ended; the views live as long as the stream.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "http/message.h"
#include "proxy/tls_facts.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// Envoy's response flags, by their short names (envoy access log, RESPONSE_FLAGS). Envoy prints them in the order in which
// they were set ("DI,UT", "URX,UF"): the order of these bits is that order, so print from the lowest bit.
enum ResponseFlag : std::uint32_t {
  kDelayInjected = 1u << 0,                     // DI
  kRateLimited = 1u << 1,                       // RL
  kFaultInjected = 1u << 2,                     // FI
  kNoRouteFound = 1u << 3,                      // NR
  kNoClusterFound = 1u << 4,                    // NC
  kUpstreamRetryLimitExceeded = 1u << 5,        // URX
  kUpstreamConnectionFailure = 1u << 6,         // UF
  kUpstreamConnectionTermination = 1u << 7,     // UC
  kUpstreamOverflow = 1u << 8,                  // UO
  kUpstreamRemoteReset = 1u << 9,               // UR
  kLocalReset = 1u << 10,                       // LR
  kUpstreamProtocolError = 1u << 11,            // UPE
  kNoHealthyUpstream = 1u << 12,                // UH
  kUpstreamRequestTimeout = 1u << 13,           // UT
  kStreamIdleTimeout = 1u << 14,                // SI
  kUpstreamMaxStreamDurationReached = 1u << 15, // UMSDR
  kDurationTimeout = 1u << 16,                  // DT
  kFailedLocalHealthCheck = 1u << 17,           // LH
  kOverloadManager = 1u << 18,                  // OM
  kDownstreamProtocolError = 1u << 19,          // DPE
  kDownstreamConnectionTermination = 1u << 20,  // DC
  kDropOverload = 1u << 21,                     // DO
  kDnsResolutionFailure = 1u << 22,             // DF
};

struct RequestRecord {
  Time started{};                          // first byte of the request
  WallTime started_wall{};
  Duration duration{};                     // until the last byte of the response was handed to the kernel
  Duration upstream_service_time{-1};      // request sent upstream until response headers; negative: none
  const http::RequestHead* request = nullptr;
  const http::ResponseHead* response = nullptr;   // as sent to the client; null: none was
  const http::HeaderMap* response_trailers = nullptr;
  std::string_view original_path;          // before rewriting and normalising
  std::uint16_t status = 0;                // 0: none was sent
  std::uint32_t flags = 0;                 // ResponseFlag
  std::string_view details;                // "via_upstream", "route_not_found", "fault_filter_abort" ...
  std::string_view connection_termination_details;
  std::string_view upstream_transport_failure;
  std::uint64_t bytes_received = 0, bytes_sent = 0;   // bodies
  std::uint32_t attempts = 0;              // tries that reached a connection pool
  std::string_view request_id;
  const SharedText* route_name = nullptr;   // a look at it costs a cache miss: only who prints it looks
  const runtime::Cluster* cluster = nullptr;
  std::string_view cluster_name;           // also where the cluster does not exist
  const runtime::Endpoint* endpoint = nullptr;        // the last one tried
  std::string_view upstream_host;          // "10.1.2.3:9080"
  std::string_view upstream_local_address, downstream_local_address, downstream_remote_address;
  std::string_view requested_server_name;
  const ClientTls* client_tls = nullptr;   // null: the client's connection is plain text
  std::int32_t grpc_status = -1;           // negative: not gRPC or none
};

}  // namespace lateen::proxy
