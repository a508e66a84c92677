// RequestRecord: the facts of one finished request, for the access log and the metrics. Filled by the request machine,
// read once when the request has ended; the views live as long as the stream.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "http/message.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// Envoy's response flags, by their short names (envoy access log, RESPONSE_FLAGS). Printed in this order.
enum ResponseFlag : std::uint32_t {
  kFailedLocalHealthCheck = 1u << 0,        // LH
  kNoHealthyUpstream = 1u << 1,             // UH
  kUpstreamRequestTimeout = 1u << 2,        // UT
  kLocalReset = 1u << 3,                    // LR
  kUpstreamRemoteReset = 1u << 4,           // UR
  kUpstreamConnectionFailure = 1u << 5,     // UF
  kUpstreamConnectionTermination = 1u << 6, // UC
  kUpstreamOverflow = 1u << 7,              // UO
  kNoRouteFound = 1u << 8,                  // NR
  kDelayInjected = 1u << 9,                 // DI
  kFaultInjected = 1u << 10,                // FI
  kRateLimited = 1u << 11,                  // RL
  kUpstreamRetryLimitExceeded = 1u << 12,   // URX
  kStreamIdleTimeout = 1u << 13,            // SI
  kDownstreamConnectionTermination = 1u << 14, // DC
  kDownstreamProtocolError = 1u << 15,      // DPE
  kUpstreamProtocolError = 1u << 16,        // UPE
  kUpstreamMaxStreamDurationReached = 1u << 17, // UMSDR
  kDurationTimeout = 1u << 18,              // DT
  kNoClusterFound = 1u << 19,               // NC
  kOverloadManager = 1u << 20,              // OM
};

struct RequestRecord {
  Time started{};                          // first byte of the request
  WallTime started_wall{};
  Duration duration{};                     // until the last byte of the response was handed to the kernel
  Duration upstream_service_time{-1};      // request sent upstream until response headers; negative: none
  const http::RequestHead* request = nullptr;
  std::string_view original_path;          // before rewriting and normalising
  std::uint16_t status = 0;                // 0: none was sent
  std::uint32_t flags = 0;                 // ResponseFlag
  std::string_view details;                // "via_upstream", "route_not_found", "fault_filter_abort" ...
  std::string_view connection_termination_details;
  std::string_view upstream_transport_failure;
  std::uint64_t bytes_received = 0, bytes_sent = 0;   // bodies
  std::uint32_t attempts = 0;              // tries that reached a connection pool
  std::string_view request_id;
  std::string_view route_name;
  const runtime::Cluster* cluster = nullptr;
  std::string_view cluster_name;           // also where the cluster does not exist
  const runtime::Endpoint* endpoint = nullptr;        // the last one tried
  std::string_view upstream_host;          // "10.1.2.3:9080"
  std::string_view upstream_local_address, downstream_local_address, downstream_remote_address;
  std::string_view requested_server_name;
  std::int32_t grpc_status = -1;           // negative: not gRPC or none
};

}  // namespace lateen::proxy
