// networking.istio.io Sidecar as the user wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"
#include "model/destination_rule.h"
#include "model/gateway.h"
#include "model/virtual_service.h"

namespace lateen::model {

// SidecarPort.
struct SidecarPort {
  std::uint32_t number = 0;                    // 0: not given
  std::string protocol, name;
  bool operator==(const SidecarPort&) const = default;
};
enum class CaptureMode : std::uint8_t { kDefault, kIptables, kNone };

struct IstioIngressListener {
  SidecarPort port;
  std::string bind;                            // IP or "unix:///path"; "" if not given
  CaptureMode capture_mode = CaptureMode::kDefault;
  std::string default_endpoint;                // "127.0.0.1:80", "0.0.0.0:80", "unix:///path"; "" if not given
  std::optional<ServerTls> tls;
  std::optional<ConnectionPool> connection_pool;
  bool operator==(const IstioIngressListener&) const = default;
};
struct IstioEgressListener {
  std::optional<SidecarPort> port;
  std::string bind;
  CaptureMode capture_mode = CaptureMode::kDefault;
  std::vector<std::string> hosts;              // "namespace/host"
  bool operator==(const IstioEgressListener&) const = default;
};
struct Sidecar {
  std::map<std::string, std::string> workload_selector;  // labels; only with `has_workload_selector`
  bool has_workload_selector = false;
  std::vector<IstioIngressListener> ingress;
  std::vector<IstioEgressListener> egress;
  std::optional<ConnectionPool> inbound_connection_pool;
  // outboundTrafficPolicy.mode is ALLOW_ANY; false for REGISTRY_ONLY and for `{}`. Absent: as the mesh has it.
  std::optional<bool> allow_any_outbound;
  std::optional<Destination> egress_proxy;     // outboundTrafficPolicy.egressProxy; only with ALLOW_ANY
  bool operator==(const Sidecar&) const = default;
};

}  // namespace lateen::model
